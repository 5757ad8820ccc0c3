// Real sockets.
import assert from "node:assert/strict";
import test from "node:test";
import { openClock } from "../../../hub/io/clock.ts";
import { openNet } from "../../../hub/io/net.ts";
import type { Socket } from "../../../hub/io/ports.ts";

const net = openNet(openClock());

test("bytes go both ways, parts in one piece, and both ends see the close", async () => {
  let accepted: Socket | undefined;
  const closed: string[] = [];
  const listener = await net.listen("127.0.0.1", 0, (socket) => {
    accepted = socket;
    socket.onData = (bytes) => socket.write([bytes, Uint8Array.of(33)]);
    socket.onClose = () => closed.push("server");
  });
  try {
    const socket = await net.dial("127.0.0.1", listener.port, 1000);
    const got: number[] = [];
    const echoed = new Promise<void>((resolve) => {
      socket.onData = (bytes) => {
        got.push(...bytes);
        if (got.at(-1) === 33) resolve();
      };
    });
    socket.write([Uint8Array.of(72), Uint8Array.of(105)]);
    await echoed;
    assert.equal(String.fromCharCode(...got), "Hi!");
    assert.equal(accepted!.remotePort, socket.localPort);
    assert.equal(socket.remoteAddress, "127.0.0.1");
    await new Promise<void>((resolve) => {
      accepted!.onClose = () => resolve();
      socket.onClose = () => closed.push("client");
      socket.end();
    });
  } finally {
    await listener.close();
  }
});

test("nobody there is an error, and so is a port that is taken", async () => {
  const listener = await net.listen("127.0.0.1", 0, () => {});
  await assert.rejects(
    net.listen("127.0.0.1", listener.port, () => {}),
    { code: "EADDRINUSE" },
  );
  await listener.close();
  await assert.rejects(net.dial("127.0.0.1", listener.port, 1000), { code: "ECONNREFUSED" });
});

test("closing a listener closes what it accepted", async () => {
  const listener = await net.listen("127.0.0.1", 0, () => {});
  const socket = await net.dial("127.0.0.1", listener.port, 1000);
  const gone = new Promise<void>((resolve) => {
    socket.onClose = () => resolve();
  });
  await listener.close();
  await gone;
});
