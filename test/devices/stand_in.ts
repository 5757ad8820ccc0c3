// A few lines of MQTT for tests of devices: accepts, records PUBLISHes, and acknowledges when the test says so.
import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

export interface Taken {
  readonly client: string;
  readonly topic: string;
  readonly payload: string;
  /** Sends the PUBACK. */
  readonly acknowledge: () => void;
}

export interface StandIn {
  readonly port: number;
  readonly taken: Taken[];
  /** Resolves when `count` PUBLISHes have come in all. */
  arrived(count: number): Promise<void>;
  /** Cuts every connection. */
  cut(): void;
  close(): Promise<void>;
}

/** @param acknowledge false holds every PUBACK until the test calls `Taken.acknowledge`. */
export async function openStandIn(acknowledge: boolean, port = 0): Promise<StandIn> {
  const taken: Taken[] = [];
  const sockets = new Set<Socket>();
  let waiting: { count: number; wake: () => void }[] = [];
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    serve(socket, acknowledge, (entry) => {
      taken.push(entry);
      const ready = waiting.filter((wait) => wait.count <= taken.length);
      waiting = waiting.filter((wait) => wait.count > taken.length);
      for (const wait of ready) wait.wake();
    });
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    taken,
    arrived: (count) =>
      count <= taken.length ? Promise.resolve() : new Promise((wake) => waiting.push({ count, wake })),
    cut: () => sockets.forEach((socket) => socket.destroy()),
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function serve(socket: Socket, acknowledge: boolean, onPublish: (entry: Taken) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  let client = "";
  socket.on("data", (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      let length = 0;
      let at = 1;
      for (let shift = 0; ; shift += 7) {
        if (at >= rest.length) return;
        const byte = rest[at++]!;
        length += (byte & 127) * 2 ** shift;
        if (byte < 128) break;
      }
      if (rest.length < at + length) return;
      const type = rest[0]! >> 4;
      const body = rest.subarray(at, at + length);
      rest = rest.subarray(at + length);
      if (type === 1) {
        client = body.subarray(12, 12 + body.readUInt16BE(10)).toString();
        socket.write(Uint8Array.of(0x20, 2, 0, 0));
      } else if (type === 3) {
        const end = 2 + body.readUInt16BE(0);
        const id = body.subarray(end, end + 2);
        const answer = (): void => void socket.write(Uint8Array.of(0x40, 2, id[0]!, id[1]!));
        onPublish({
          client,
          topic: body.subarray(2, end).toString(),
          payload: body.subarray(end + 2).toString(),
          acknowledge: answer,
        });
        if (acknowledge) answer();
      } else if (type === 14) {
        socket.end();
      }
    }
  });
}
