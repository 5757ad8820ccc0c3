// One socket: frames in, requests dispatched, answers out in the order of the requests.
import { codeOf, HubError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Clock, Socket } from "../io/ports.ts";
import type { Trace } from "../trace.ts";
import { advertised, decodeRequest, encodeResponse, peekRequest, type Request } from "../wire/apis.ts";
import { FrameSplitter } from "../wire/frame.ts";
import type { Dispatch } from "./dispatch.ts";

const apiVersionsKey = 18;

export interface SessionOptions {
  readonly socket: Socket;
  readonly dispatch: Dispatch;
  readonly clock: Clock;
  readonly trace: Trace;
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

/** An answer's place in the row; null parts = this request has no answer. */
interface Turn {
  readonly bytes: number;
  parts: readonly Uint8Array[] | null;
  done: boolean;
}

/**
 * Requests of one connection take effect one after another, as Kafka's muted channel has it, except that a row of
 * Produce requests overlaps: their appends happen in order, and waiting for one disk flush each would cap a pipelining
 * producer at one batch a flush. Answers leave in request order whatever finishes first (kafka.md 1a, trap 11).
 */
export class Session {
  readonly #socket: Socket;
  readonly #options: SessionOptions;
  readonly #splitter = new FrameSplitter();
  readonly #waiting: { readonly request: Request | UnknownVersion; readonly bytes: number }[] = [];
  #unansweredBytes = 0;
  #turns: Turn[] = [];
  #running = 0;
  #runningProduce = true;
  #paused = false;
  #closing = false;
  #draining = false;
  /** What a request that waits leaves when the client goes. Only one request at a time names it: produce does not. */
  #leave: (() => void) | null = null;
  lastUsed: number;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#socket = options.socket;
    this.lastUsed = options.clock.now();
    options.socket.onData = (bytes) => this.#received(bytes);
    options.socket.onDrain = () => this.#throttle();
    options.socket.onClose = () => {
      this.#closing = true;
      this.#forget();
      this.#leave?.();
      options.closed();
    };
  }

  /** True while a request is being answered. */
  get busy(): boolean {
    return this.#turns.length > 0;
  }

  close(): void {
    this.#closing = true;
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
    this.#throttle();
  }

  #arrived(frame: Uint8Array): void {
    const header = peekRequest(frame);
    if (header.apiKey === apiVersionsKey && header.apiVersion > 4) {
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
    while (this.#waiting.length > 0 && !this.#closing) {
      const { request, bytes } = this.#waiting[0]!;
      if ("unknownVersion" in request) {
        this.#waiting.shift();
        this.#turns.push({ parts: unknownVersion(request.unknownVersion), done: true, bytes: 0 });
        this.#answered(bytes);
        this.#flush();
        continue;
      }
      const produce = request.api === "produce";
      if (this.#running > 0 && !(produce && this.#runningProduce)) return;
      this.#runningProduce = produce;
      this.#waiting.shift();
      this.#run(request, bytes);
    }
  }

  #run(request: Request, bytes: number): void {
    const turn: Turn = { parts: null, done: false, bytes };
    this.#turns.push(turn);
    this.#running++;
    const { socket, dispatch } = this.#options;
    const context = {
      version: request.apiVersion,
      clientId: request.clientId,
      clientHost: socket.remoteAddress,
      connectionId: socket.id,
      listener: { host: socket.localAddress, port: socket.localPort },
      inProcess: false,
      onGone: (leave: (() => void) | null) => {
        this.#leave = leave;
      },
    };
    dispatch(request.api, request.body as never, context)
      .then((response) => {
        if (response !== null) {
          turn.parts = encodeResponse(request.api, request.apiVersion, request.correlationId, response as never);
        }
        this.#finished(turn);
      })
      .catch((error: unknown) => {
        this.#refuse(error, request.api);
        this.#finished(turn);
      });
  }

  #finished(turn: Turn): void {
    turn.done = true;
    this.#answered(turn.bytes);
    this.lastUsed = this.#options.clock.now(); // who waited long for this has just begun to be idle
    this.#running--;
    this.#flush();
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
    this.#socket.end();
  }
}
