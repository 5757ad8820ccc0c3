// One raw connection that speaks the wire in a version the test chooses, and can send what no client would.
import { openClock } from "../../hub/io/clock.ts";
import { openNet } from "../../hub/io/net.ts";
import { type ApiName, type CallOf, decodeResponse, encodeRequest, type ReplyOf } from "../../hub/wire/apis.ts";
import { FrameSplitter } from "../../hub/wire/frame.ts";

export interface WireClient {
  /** Sends one request and resolves with its decoded response; rejects when the connection closes first. */
  call<N extends ApiName>(api: N, version: number, request: CallOf<N>): Promise<ReplyOf<N>>;
  /** Sends bytes as they are. */
  send(bytes: Uint8Array): void;
  /** The next response frame that no `call` waits for. */
  frame(): Promise<Uint8Array>;
  /** Resolves when the hub closed the connection. */
  readonly closed: Promise<void>;
  close(): void;
}

export async function dialWire(port: number, host = "127.0.0.1"): Promise<WireClient> {
  const socket = await openNet(openClock()).dial(host, port, 5000);
  const splitter = new FrameSplitter();
  const waiting: { resolve: (frame: Uint8Array) => void; reject: (error: Error) => void }[] = [];
  const unclaimed: Uint8Array[] = [];
  socket.onData = (bytes) => {
    splitter.push(bytes);
    for (let frame = splitter.next(); frame !== null; frame = splitter.next()) {
      const next = waiting.shift();
      if (next) next.resolve(frame);
      else unclaimed.push(frame);
    }
  };
  const closed = new Promise<void>((resolve) => {
    socket.onClose = () => {
      for (const one of waiting.splice(0)) one.reject(new Error("the connection was closed"));
      resolve();
    };
  });
  const frame = (): Promise<Uint8Array> => {
    const ready = unclaimed.shift();
    if (ready) return Promise.resolve(ready);
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  };
  let correlationId = 0;
  return {
    async call(api, version, request) {
      socket.write(encodeRequest(api, version, ++correlationId, "test", request));
      return decodeResponse(api, version, await frame());
    },
    send: (bytes) => void socket.write([bytes]),
    frame,
    closed,
    close: () => socket.destroy(),
  };
}
