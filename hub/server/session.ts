// One socket: frames in, requests dispatched, answers out in the order of the requests.
import { codeOf, HubError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Access } from "../engine/access.ts";
import type { Clock, Socket, Timer } from "../io/ports.ts";
import type { Trace } from "../trace.ts";
import { advertised, apis, decodeRequest, encodeResponse, isBetweenHubs } from "../wire/apis.ts";
import { peekRequest, type Request } from "../wire/apis.ts";
import { FrameSplitter } from "../wire/frame.ts";
import type { Dispatch } from "./handler.ts";
import { Identity } from "./identity.ts";
import { Toll } from "./toll.ts";

const apiVersionsKey = 18;
const isServed = (version: number): boolean => version >= 0 && version <= apis.apiVersions.max;

/** What one hub lets its connections do. */
export interface ConnectionBounds {
  /** socket.request.max.bytes */
  readonly requestBytesMax: number;
  /** connections.max.idle.ms */
  readonly idleMsMax: number;
  /** max.connections */
  readonly connectionsMax: number;
}

export const defaultBounds: ConnectionBounds = {
  requestBytesMax: limits.requestBytesMax,
  idleMsMax: limits.connectionIdleMsMax,
  connectionsMax: limits.connectionsMax,
};

/** A connection as an operator sees it. */
export interface ConnectionInfo {
  readonly id: number;
  readonly host: string;
  readonly port: number;
  /** Of its latest request; null before the first and where it has none. */
  readonly clientId: string | null;
  /** As told by ApiVersions v3 and newer (KIP-511); empty otherwise. */
  readonly softwareName: string;
  readonly softwareVersion: string;
  readonly idleMs: number;
}

export interface SessionOptions {
  readonly bounds: ConnectionBounds;
  readonly socket: Socket;
  readonly dispatch: Dispatch;
  readonly clock: Clock;
  readonly trace: Trace;
  /** null: everybody may come in, and traffic costs nothing. */
  readonly access: Access | null;
  /** Bytes of requests without an answer, all sessions together. */
  readonly unanswered: { bytes: number };
  /** Called once, when the socket is closed. */
  readonly closed: () => void;
}

/** An ApiVersions request of a version that nobody here knows: its correlation id. */
interface UnknownVersion {
  readonly unknownVersion: number;
}

function unknownVersion(correlationId: number): readonly Uint8Array[] {
  const body = { errorCode: codeOf("UNSUPPORTED_VERSION"), apiKeys: advertised() };
  return encodeResponse("apiVersions", 0, correlationId, body);
}

const saslAuthenticateKey = 36;

/** A token of a login whose handshake was of v0: no header around it, nor around its answer. */
function bareToken(frame: Uint8Array): Request {
  const header = { apiKey: saslAuthenticateKey, apiVersion: 0, correlationId: 0, clientId: null };
  return { api: "saslAuthenticate", ...header, body: { authBytes: frame } };
}

function bareAnswer(token: Uint8Array): readonly Uint8Array[] {
  const size = new Uint8Array(4);
  new DataView(size.buffer).setInt32(0, token.length);
  return [size, token];
}

const sizeOf = (parts: readonly Uint8Array[]): number => parts.reduce((sum, part) => sum + part.length, 0);

/** An answer's place in the row; null parts = this request has no answer. */
interface Turn {
  readonly bytes: number;
  parts: readonly Uint8Array[] | null;
  done: boolean;
}

/**
 * Requests of one connection take effect one after another, as Kafka's muted channel has it, except that a row of
 * Produce requests overlaps: their appends happen in order, and waiting for one disk flush each would cap a pipelining
 * producer at one batch a flush. So does what hubs ask each other: a slow election holds up no vote. Answers leave in
 * request order whatever finishes first (kafka.md 1a, trap 11).
 */
export class Session {
  readonly #socket: Socket;
  readonly #options: SessionOptions;
  readonly #identity: Identity;
  readonly #splitter: FrameSplitter;
  readonly #waiting: { readonly request: Request | UnknownVersion; readonly bytes: number }[] = [];
  #unansweredBytes = 0;
  #turns: Turn[] = [];
  #running = 0;
  /** Of what runs: whether more of its kind may begin. */
  #overlapping = true;
  /** A client that used up its quota: nothing of it is read or begun until the timer fires. */
  #muted: { readonly until: number; readonly timer: Timer } | null = null;
  #paused = false;
  #closing = false;
  /** The socket is closed. */
  #gone = false;
  #draining = false;
  /** Runs once the socket is ended: a client that does not go is cut off. */
  #ending: Timer | null = null;
  #clientId: string | null = null;
  #software = { name: "", version: "" };
  /** What a request that waits leaves when the client goes. Only one request at a time names it: produce does not. */
  #leave: (() => void) | null = null;
  lastUsed: number;
  readonly #opened: number;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#socket = options.socket;
    const asked = (options.access?.logins.mechanisms.length ?? 0) > 0;
    this.#identity = new Identity(options.socket.remoteAddress, asked);
    this.#splitter = new FrameSplitter(asked ? limits.saslFrameBytesMax : options.bounds.requestBytesMax);
    this.#opened = options.clock.now();
    this.lastUsed = this.#opened;
    options.socket.onData = (bytes) => this.#received(bytes);
    options.socket.onDrain = () => this.#throttle();
    options.socket.onClose = () => {
      this.#closing = true;
      this.#gone = true;
      this.#forget();
      this.#ending?.cancel();
      this.#muted?.timer.cancel();
      this.#leave?.();
      options.closed();
    };
  }

  /** True while a request is being answered. */
  get busy(): boolean {
    return this.#turns.length > 0;
  }

  /** When it is to be closed for doing nothing; who has yet to log in has little time, whatever they send meanwhile. */
  get idleUntil(): number {
    if (this.#identity.phase === "unknown") return this.#opened + limits.saslIdleMsMax;
    return this.busy ? Number.POSITIVE_INFINITY : this.lastUsed + this.#options.bounds.idleMsMax;
  }

  about(): ConnectionInfo {
    const { id, remoteAddress: host, remotePort: port } = this.#socket;
    const { name: softwareName, version: softwareVersion } = this.#software;
    const idleMs = this.busy ? 0 : this.#options.clock.now() - this.lastUsed;
    return { id, host, port, clientId: this.#clientId, softwareName, softwareVersion, idleMs };
  }

  close(): void {
    this.#closing = true;
    this.#end();
  }

  /** What is queued leaves; then the client has a little time to go by itself. */
  #end(): void {
    if (this.#ending !== null) return;
    this.#ending = this.#options.clock.after(limits.connectionEndMsMax, () => this.#socket.destroy());
    this.#socket.end();
  }

  /** Takes no more requests; closes when the answers under way have left. */
  drain(): void {
    this.#draining = true;
    this.#forget();
    if (!this.busy) this.close();
  }

  #received(bytes: Uint8Array): void {
    if (this.#closing || this.#draining) return;
    this.lastUsed = this.#options.clock.now();
    try {
      this.#splitter.push(bytes);
      for (let frame = this.#splitter.next(); frame !== null; frame = this.#splitter.next()) this.#arrived(frame);
    } catch (error) {
      this.#refuse(error);
    }
    this.#next();
    if (this.#hurried) this.#leave?.();
    this.#throttle();
  }

  /** A hub that sends while its fetch waits here has something to say that shall not wait. */
  get #hurried(): boolean {
    return this.#identity.hub !== null && this.#waiting.length > 0;
  }

  #arrived(frame: Uint8Array): void {
    if (this.#identity.bare) {
      this.#wait(bareToken(frame), frame.length);
      return;
    }
    const header = peekRequest(frame);
    if (header.apiKey === apiVersionsKey && !isServed(header.apiVersion)) {
      // Any version gets an answer; one that is not known gets error 35 in the form of v0 (KIP-511).
      this.#wait({ unknownVersion: header.correlationId }, frame.length);
    } else this.#wait(decodeRequest(frame), frame.length);
  }

  #wait(request: Request | UnknownVersion, bytes: number): void {
    this.#waiting.push({ request, bytes });
    this.#unansweredBytes += bytes;
    this.#options.unanswered.bytes += bytes;
  }

  #answered(bytes: number): void {
    this.#unansweredBytes -= bytes;
    this.#options.unanswered.bytes -= bytes;
  }

  /** Requests that did not begin will not. */
  #forget(): void {
    for (const { bytes } of this.#waiting.splice(0)) this.#answered(bytes);
  }

  /** Starts what may run now. */
  #next(): void {
    while (this.#waiting.length > 0 && !this.#closing && this.#muted === null) {
      const { request, bytes } = this.#waiting[0]!;
      if ("unknownVersion" in request) {
        this.#waiting.shift();
        this.#turns.push({ parts: unknownVersion(request.unknownVersion), done: true, bytes: 0 });
        this.#answered(bytes);
        this.#flush();
        continue;
      }
      const { api } = request;
      const overlaps = api === "produce" || (this.#identity.hub !== null && isBetweenHubs(api));
      if (this.#running > 0 && !(overlaps && this.#overlapping)) return;
      this.#overlapping = overlaps;
      this.#waiting.shift();
      this.#run(request, bytes);
    }
  }

  /** Keeps who asks for the list of connections. */
  #note(request: Request): void {
    this.#clientId = request.clientId;
    if (request.api !== "apiVersions" || request.apiVersion < 3) return;
    const name = request.body.clientSoftwareName.slice(0, limits.softwareTextMax);
    const version = request.body.clientSoftwareVersion.slice(0, limits.softwareTextMax);
    if (name === this.#software.name && version === this.#software.version) return;
    this.#software = { name, version };
    const { remoteAddress: client } = this.#socket;
    this.#options.trace.event("debug", "client_software", { client, clientId: request.clientId, name, version });
  }

  #run(request: Request, bytes: number): void {
    this.#note(request);
    const turn: Turn = { parts: null, done: false, bytes };
    this.#turns.push(turn);
    this.#running++;
    const { socket, dispatch } = this.#options;
    const { hub } = this.#identity;
    const toll = this.#options.access?.quotas.any && hub === null ? this.#toll(request, bytes) : null;
    const context = {
      version: request.apiVersion,
      clientId: request.clientId,
      clientHost: socket.remoteAddress,
      connectionId: socket.id,
      listener: { host: socket.localAddress, port: socket.localPort },
      inProcess: false,
      identity: this.#identity,
      hub: hub ?? undefined,
      onGone: (leave: (() => void) | null) => {
        // a request may come to its waiting after its client has gone, or has sent the next
        if (this.#gone || this.#hurried) leave?.();
        else this.#leave = leave;
      },
    };
    const began = toll === null ? 0 : this.#options.clock.now();
    const { body } = toll === null ? request : toll.bounded(request);
    const { bare } = this.#identity;
    const answering = dispatch(request.api, body as never, context);
    toll?.took(this.#options.clock.now() - began);
    answering
      .then((response) => {
        if (response !== null) turn.parts = bare ? this.#bareParts(response) : this.#encoded(request, response, toll);
        if (toll !== null) this.#mute(toll.waitMs);
        this.#finished(turn);
      })
      .catch((error: unknown) => {
        this.#refuse(error, request.api);
        this.#finished(turn);
      });
  }

  /** Opens the request's account; who used up their quota is not listened to from here on, and is told so. */
  #toll(request: Request, bytes: number): Toll {
    const toll = new Toll(this.#options.access!.quotas, request, this.#identity.user);
    toll.arrived(bytes);
    this.#mute(toll.waitMs);
    return toll;
  }

  #encoded(request: Request, response: object, toll: Toll | null): readonly Uint8Array[] {
    const { api, apiVersion, correlationId } = request;
    const encode = (body: object) => encodeResponse(api, apiVersion, correlationId, body as never);
    const began = toll === null ? 0 : this.#options.clock.now();
    const parts = encode(response);
    if (toll === null) return parts;
    toll.took(this.#options.clock.now() - began);
    toll.leaves(sizeOf(parts));
    // told once the size is known; records are parts by reference, so that encoding anew copies none
    return toll.waitMs === 0 ? parts : encode({ ...response, throttleTimeMs: toll.waitMs });
  }

  /** A refused bare login has no answer but the end of its connection. */
  #bareParts(response: object): readonly Uint8Array[] | null {
    const { errorCode, authBytes } = response as { readonly errorCode: number; readonly authBytes: Uint8Array };
    return errorCode === 0 ? bareAnswer(authBytes) : null;
  }

  /** Answers at once and then does not listen for so long (KIP-219). */
  #mute(waitMs: number): void {
    const { clock } = this.#options;
    const until = clock.now() + waitMs;
    if (waitMs === 0 || this.#closing || until <= (this.#muted?.until ?? 0)) return;
    this.#muted?.timer.cancel();
    const timer = clock.after(waitMs, () => {
      this.#muted = null;
      this.#next();
      this.#throttle();
    });
    this.#muted = { until, timer };
  }

  #finished(turn: Turn): void {
    turn.done = true;
    this.#answered(turn.bytes);
    this.lastUsed = this.#options.clock.now(); // who waited long for this has just begun to be idle
    this.#running--;
    this.#flush();
    if (this.#identity.phase === "failed") {
      this.close();
      return;
    }
    if (this.#identity.phase === "known") this.#splitter.allow(this.#options.bounds.requestBytesMax);
    this.#next();
    if (this.#draining && !this.busy) this.close();
    else this.#throttle();
  }

  /** Sends every finished answer that has no unfinished one before it, in one write. */
  #flush(): void {
    let count = 0;
    const parts: Uint8Array[] = [];
    while (count < this.#turns.length && this.#turns[count]!.done) {
      const turn = this.#turns[count++]!;
      if (turn.parts) parts.push(...turn.parts);
    }
    if (count > 0) this.#turns = this.#turns.slice(count);
    if (parts.length > 0 && !this.#closing) this.#socket.write(parts);
  }

  /** Reads no more while the client has too much unanswered or does not take its answers. */
  #throttle(): void {
    const own = this.#unansweredBytes;
    const full =
      this.#muted !== null ||
      own > limits.connectionInBytesMax ||
      (own > 0 && this.#options.unanswered.bytes > limits.requestsInBytesMax) ||
      this.#waiting.length + this.#turns.length >= limits.requestsQueuedPerConnectionMax ||
      this.#socket.buffered() > limits.connectionOutBytesMax;
    if (full === this.#paused) return;
    this.#paused = full;
    if (full) this.#socket.pause();
    else this.#socket.resume();
  }

  /** What has no answer in the protocol ends the connection; others are not disturbed. */
  #refuse(error: unknown, api?: string): void {
    if (this.#closing) return;
    this.#closing = true;
    const refusal = error instanceof HubError;
    this.#options.trace.event(refusal ? "warn" : "error", "connection_refused", {
      client: this.#socket.remoteAddress,
      api: api ?? null,
      error: refusal ? error.kind : "UNKNOWN_SERVER_ERROR",
      detail: error instanceof Error ? (refusal ? error.message : (error.stack ?? error.message)) : String(error),
    });
    this.#options.trace.count("connections_refused_total");
    this.#end();
  }
}
