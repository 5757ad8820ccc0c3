// A scripted peer behind a Net: what it answers, when, and how it breaks is up to the test.
import type { LocalDispatch } from "../../../hub/client/local.ts";
import type { Net, Socket } from "../../../hub/io/ports.ts";
import { openClock } from "../../../hub/io/clock.ts";
import { openNet } from "../../../hub/io/net.ts";
import { advertised, decodeRequest, encodeResponse } from "../../../hub/wire/apis.ts";
import type { Request } from "../../../hub/wire/apis.ts";
import { FrameSplitter } from "../../../hub/wire/frame.ts";

export interface Peer {
  readonly port: number;
  readonly net: Net;
  readonly requests: Request[];
  /** Sockets of the clients, the last one last. */
  readonly sockets: Socket[];
  close(): Promise<void>;
}

/** Listens on a free port; ApiVersions is answered by itself, everything else goes to `answer`. */
export async function openPeer(answer: (request: Request, socket: Socket) => void): Promise<Peer> {
  const net = openNet(openClock());
  const requests: Request[] = [];
  const sockets: Socket[] = [];
  const listener = await net.listen("127.0.0.1", 0, (socket) => {
    const splitter = new FrameSplitter();
    sockets.push(socket);
    socket.onData = (bytes) => {
      splitter.push(bytes);
      for (let frame = splitter.next(); frame !== null; frame = splitter.next()) {
        const request = decodeRequest(frame);
        requests.push(request);
        if (request.api === "apiVersions") {
          const body = { errorCode: 0, apiKeys: advertised() };
          socket.write(encodeResponse("apiVersions", request.apiVersion, request.correlationId, body));
        } else answer(request, socket);
      }
    };
  });
  return { port: listener.port, net, requests, sockets, close: () => listener.close() };
}

/** A dispatch behind a socket: what a test scripted for the local client, over the wire. */
export function openPeerOf(
  dispatch: LocalDispatch,
  intrude: (request: Request, socket: Socket) => boolean,
): Promise<Peer> {
  return openPeer((request, socket) => {
    if (intrude(request, socket)) return;
    const { api, apiVersion, correlationId, clientId } = request;
    const listener = { host: socket.localAddress, port: socket.localPort };
    const context = {
      version: apiVersion,
      clientId,
      clientHost: "peer",
      connectionId: socket.id,
      listener,
      inProcess: true as const,
    };
    void dispatch(api, request.body as never, context).then((response) => {
      if (response !== null) socket.write(encodeResponse(api, apiVersion, correlationId, response as never));
    });
  });
}
