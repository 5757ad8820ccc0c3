// One dialled connection to a hub or broker: pipelined calls, answers in order, a deadline for each.
import { codeOf, HubError } from "../errors.ts";
import type { Clock, Millis, Net, Socket, Timer } from "../io/ports.ts";
import { limits } from "../limits.ts";
import { apis, decodeResponse, encodeRequest, peekResponse } from "../wire/apis.ts";
import type { ApiName, CallOf, ReplyOf } from "../wire/apis.ts";
import { FrameSplitter } from "../wire/frame.ts";
import { newestSent } from "./versions.ts";

/**
 * Appends a batch at once, in the order of the calls, where the hub leads the partition and nothing has to be waited
 * for; `done` is called when it is committed at `acks`, or refused, maybe within the call. False: ask by a request.
 */
export type LocalAppend = (
  topic: string,
  partition: number,
  batch: Uint8Array,
  acks: number,
  done: (error: HubError | null, baseOffset: number) => void,
) => boolean;

/** What a read at once finds: records, or that there are none yet, and `wake` will be called unless `leave` is. */
export type LocalReading =
  | { readonly bytes: Uint8Array | Promise<Uint8Array>; readonly highWatermark: number }
  | { readonly leave: () => void };

/** Where to read: from `offset` on, at most `bytesMax` bytes beyond the first batch, below the watermark. */
export interface LocalPlace {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly bytesMax: number;
  /** Below the last stable offset (KIP-98). */
  readonly committedOnly: boolean;
}

/**
 * Reads a partition that the hub leads; where there is nothing yet, `wake` is called once, when that may have changed.
 * Null: ask by a request, which also says what is wrong.
 */
export type LocalRead = (place: LocalPlace, wake: () => void) => LocalReading | null;

/** A way to one hub, with or without a socket. */
export interface Connection {
  /** False once it is closed; it does not open again. */
  readonly open: boolean;
  /** True when no socket lies in between: calls take effect in the order they are made, within the call. */
  readonly direct: boolean;
  /** Of a direct one, where the hub takes batches without a request. */
  readonly append?: LocalAppend;
  /** Likewise, where the hub is read without a request. */
  readonly read?: LocalRead;
  /** The highest version both sides speak. Throws HubError UNSUPPORTED_VERSION when there is none. */
  version(api: ApiName): number;
  /**
   * Sends a request and waits for its answer. Rejects with HubError REQUEST_TIMED_OUT (the connection is closed then,
   * because answers are in order), NETWORK_EXCEPTION when it broke, INVALID_REQUEST when the answer is malformed.
   */
  call<N extends ApiName>(api: N, request: CallOf<N>, timeoutMs?: Millis): Promise<ReplyOf<N>>;
  /** Sends a request that has no answer: produce with acks=0. */
  tell<N extends ApiName>(api: N, request: CallOf<N>): void;
  /** Bytes that wait to be taken by the other side's socket. */
  buffered(): number;
  /** Idempotent; calls under way reject with NETWORK_EXCEPTION. */
  close(): void;
}

export interface DialOptions {
  readonly net: Net;
  readonly clock: Clock;
  readonly clientId: string;
  readonly host: string;
  readonly port: number;
  readonly connectMsMax?: Millis;
  /** How the other side is asked what it speaks, in place of ApiVersions: hubs say who they are (engine/peers.ts). */
  readonly greet?: Greet;
  /** Greeted, it goes on as a client: what is beyond the client's versions is not asked. */
  readonly asClient?: boolean;
  /** Called once when the connection is closed, by either side. */
  readonly onClosed?: () => void;
}

/** Asks in the newest version of this side; rejects as `Connection.call` does. */
export type Greet = (
  ask: <N extends ApiName>(api: N, request: CallOf<N>, timeoutMs: Millis) => Promise<ReplyOf<N>>,
) => Promise<readonly { readonly apiKey: number; readonly minVersion: number; readonly maxVersion: number }[]>;

interface Call {
  readonly api: ApiName;
  readonly version: number;
  readonly correlationId: number;
  readonly resolve: (reply: never) => void;
  readonly reject: (error: Error) => void;
  readonly deadline: Timer;
}

const correlationMax = 0x7fff_ffff;
const software = { clientSoftwareName: "partidor", clientSoftwareVersion: "0.1.0" };

/**
 * Connects and asks which versions are spoken.
 * @throws HubError NETWORK_EXCEPTION, REQUEST_TIMED_OUT
 */
export async function dial(options: DialOptions): Promise<Connection> {
  const { net, host, port } = options;
  let socket: Socket;
  try {
    socket = await net.dial(host, port, options.connectMsMax ?? limits.clientConnectMsMax);
  } catch (cause) {
    throw new HubError("NETWORK_EXCEPTION", `no connection to ${host}:${port}: ${messageOf(cause)}`, { cause });
  }
  const connection = new DialledConnection(socket, options);
  try {
    if (options.greet) await connection.greet(options.greet, options.asClient ?? false);
    else await connection.learnVersions();
  } catch (error) {
    connection.close();
    throw error;
  }
  return connection;
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

class DialledConnection implements Connection {
  readonly direct = false;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #clientId: string;
  readonly #address: string;
  readonly #onClosed: () => void;
  /** The newest version of each API that this side sends. */
  #newest: (api: ApiName) => number = newestSent;
  readonly #splitter = new FrameSplitter();
  readonly #versions = new Map<number, readonly [number, number]>();
  /** In the order of their requests; [#first] is the one that is answered next. */
  #calls: Call[] = [];
  #first = 0;
  #correlationId = 0;
  #open = true;

  constructor(socket: Socket, { clock, clientId, host, port, onClosed }: DialOptions) {
    this.#socket = socket;
    this.#clock = clock;
    this.#clientId = clientId;
    this.#address = `${host}:${port}`;
    this.#onClosed = onClosed ?? (() => {});
    socket.onData = (bytes) => this.#received(bytes);
    socket.onClose = (error) => this.#broken(error?.message ?? "the other side closed it");
  }

  get open(): boolean {
    return this.#open;
  }

  /**
   * ApiVersions: v3 first. A broker that does not know it answers error 35 in the form of v0 (KIP-511), which is
   * malformed as v3 or bears that code: v0 is asked for then.
   */
  async learnVersions(): Promise<void> {
    let reply = await this.#send("apiVersions", 3, software, limits.clientRequestMsMax).catch((error: unknown) => {
      if (error instanceof HubError && error.kind === "INVALID_REQUEST" && this.#open) return null;
      throw error;
    });
    if (reply === null || reply.errorCode === codeOf("UNSUPPORTED_VERSION")) {
      reply = await this.#send("apiVersions", 0, {}, limits.clientRequestMsMax);
    }
    if (reply.errorCode !== 0) {
      throw new HubError("UNSUPPORTED_VERSION", `${this.#address} answers ApiVersions with error ${reply.errorCode}`);
    }
    for (const { apiKey, minVersion, maxVersion } of reply.apiKeys)
      this.#versions.set(apiKey, [minVersion, maxVersion]);
  }

  async greet(greet: Greet, asClient: boolean): Promise<void> {
    if (!asClient) this.#newest = (api) => apis[api].max;
    const rows = await greet((api, request, timeoutMs) => this.#send(api, apis[api].max, request, timeoutMs));
    for (const { apiKey, minVersion, maxVersion } of rows) this.#versions.set(apiKey, [minVersion, maxVersion]);
  }

  version(api: ApiName): number {
    const { key, min } = apis[api];
    const theirs = this.#versions.get(key);
    const version = Math.min(this.#newest(api), theirs?.[1] ?? -1);
    if (theirs === undefined || version < Math.max(min, theirs[0])) {
      throw new HubError("UNSUPPORTED_VERSION", `${this.#address} and this client have no version of ${api} in common`);
    }
    return version;
  }

  call<N extends ApiName>(api: N, request: CallOf<N>, timeoutMs: Millis = limits.clientRequestMsMax) {
    try {
      return this.#send(api, this.version(api), request, timeoutMs);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  tell<N extends ApiName>(api: N, request: CallOf<N>): void {
    if (!this.#open) throw this.#closedError("it is closed");
    this.#socket.write(encodeRequest(api, this.version(api), this.#nextId(), this.#clientId, request));
  }

  buffered(): number {
    return this.#socket.buffered();
  }

  close(): void {
    if (!this.#open) return;
    this.#broken("it was closed");
    this.#socket.end();
  }

  #nextId(): number {
    this.#correlationId = (this.#correlationId + 1) & correlationMax;
    return this.#correlationId;
  }

  #send<N extends ApiName>(api: N, version: number, request: CallOf<N>, timeoutMs: Millis): Promise<ReplyOf<N>> {
    if (!this.#open) return Promise.reject(this.#closedError("it is closed"));
    if (this.#calls.length - this.#first >= limits.clientCallsMax) {
      return Promise.reject(new HubError("THROTTLING_QUOTA_EXCEEDED", `too many requests wait at ${this.#address}`));
    }
    const correlationId = this.#nextId();
    const parts = encodeRequest(api, version, correlationId, this.#clientId, request);
    return new Promise<ReplyOf<N>>((resolve, reject) => {
      const deadline = this.#clock.after(timeoutMs, () => this.#timedOut(call, timeoutMs));
      const call: Call = { api, version, correlationId, resolve, reject, deadline };
      this.#calls.push(call);
      this.#socket.write(parts);
    });
  }

  #received(bytes: Uint8Array): void {
    if (!this.#open) return;
    try {
      this.#splitter.push(bytes);
      for (let frame = this.#splitter.next(); frame !== null && this.#open; frame = this.#splitter.next()) {
        this.#answered(frame);
      }
    } catch (error) {
      this.#broken(messageOf(error));
      this.#socket.destroy();
    }
  }

  #answered(frame: Uint8Array): void {
    const call = this.#calls[this.#first];
    const correlationId = peekResponse(frame);
    if (call === undefined || call.correlationId !== correlationId) {
      throw new HubError("INVALID_REQUEST", `an answer bears the number ${correlationId}, not the one that is due`);
    }
    this.#first += 1;
    if (this.#first === this.#calls.length) {
      this.#calls = [];
      this.#first = 0;
    } else if (this.#first > 64) {
      this.#calls = this.#calls.slice(this.#first);
      this.#first = 0;
    }
    call.deadline.cancel();
    try {
      call.resolve(decodeResponse(call.api, call.version, frame) as never);
    } catch (error) {
      // Some brokers answer an ApiVersions they do not know in forms of their own: the older one is asked then.
      if (call.api === "apiVersions" && call.version > 0) return call.reject(error as Error);
      // Others break the protocol in answers that bear an error (a null where none may be): as if the answer was lost.
      const why = `its answer to ${call.api} v${call.version} cannot be read: ${messageOf(error)}`;
      call.reject(this.#closedError(why));
      throw error;
    }
  }

  #timedOut(late: Call, timeoutMs: Millis): void {
    if (!this.#open) return;
    late.reject(new HubError("REQUEST_TIMED_OUT", `${this.#address} did not answer ${late.api} in ${timeoutMs} ms`));
    this.#broken(`${late.api} was not answered in ${timeoutMs} ms`);
    this.#socket.destroy();
  }

  #closedError(why: string): HubError {
    return new HubError("NETWORK_EXCEPTION", `the connection to ${this.#address} broke: ${why}`);
  }

  #broken(why: string): void {
    if (!this.#open) return;
    this.#open = false;
    const calls = this.#calls.slice(this.#first);
    this.#calls = [];
    this.#first = 0;
    const error = this.#closedError(why);
    for (const call of calls) {
      call.deadline.cancel();
      call.reject(error);
    }
    this.#onClosed();
  }
}
