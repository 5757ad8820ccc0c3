// Sockets that read into one buffer: what comes is whole and in order, paused or not; where it cannot be, it is said.
import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { Duplex } from "node:stream";
import test from "node:test";
import { readShared } from "../../../bridge/server/shared_read.ts";

const isNode = !("Deno" in globalThis);

test("a socket of Node reads into the shared buffer, through pauses, and tells its end", async () => {
  const got: Buffer[] = [];
  const buffers = new Set<ArrayBufferLike>();
  let ended: (() => void) | null = null;
  const whenEnded = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const server = createServer((socket: Socket) => {
    const onBytes = function (this: Socket, bytes: Buffer, count = bytes.length): void {
      got.push(Buffer.from(bytes.subarray(0, count)));
      buffers.add(bytes.buffer);
      this.pause();
      setImmediate(() => this.resume());
    };
    if (!readShared(socket, onBytes)) socket.on("data", (bytes: Buffer) => onBytes.call(socket, bytes));
    else assert.ok(isNode);
    socket.on("end", () => ended!());
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const sent = Buffer.alloc(1_000_000, 0).map((_, at) => at % 251);
  const clients = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
  clients[0]!.end(sent);
  await whenEnded;
  assert.ok(Buffer.concat(got).equals(sent));
  // on Node the runtime must let us, or every read costs 64 KiB
  assert.equal(buffers.size === 1, isNode);
  for (const client of clients) client.destroy();
  server.close();
});

test("what is no socket is left alone", () => {
  const stream = new Duplex({ read() {}, write() {} });
  assert.equal(
    readShared(stream, () => {}),
    false,
  );
});
