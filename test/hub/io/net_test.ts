// Real sockets.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
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

const table = "/proc/net/tcp";

/** The kernel's timer of the connection from one port to another: 02 asks a silent machine whether it is there. */
function timerOf(from: number, to: number): string | undefined {
  const hex = (port: number): string => `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = readFileSync(table, "utf8").split("\n");
  return lines.find((line) => line.includes(`${hex(from)} ${hex(to)}`))?.match(/ (\d\d):[\dA-F]{8} /)?.[1];
}

test("who only waits for an answer learns that the other machine is gone: both ends are kept alive", {
  skip: !existsSync(table) || "Deno" in globalThis,
}, async () => {
  let took: () => void = () => {};
  const taken = new Promise<void>((resolve) => {
    took = resolve;
  });
  const listener = await net.listen("127.0.0.1", 0, () => took());
  try {
    const { localPort } = await net.dial("127.0.0.1", listener.port, 1000);
    await taken;
    assert.equal(timerOf(localPort, listener.port), "02");
    assert.equal(timerOf(listener.port, localPort), "02");
  } finally {
    await listener.close();
  }
});
