// The fleet as a program: it publishes, stops on SIGTERM, and says what is wrong with an argument.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import test from "node:test";
import { runner } from "../tools/hub_process.ts";
import { openStandIn } from "./stand_in.ts";

const main = new URL("../../devices/main.ts", import.meta.url).pathname;

function start(...args: string[]): { child: ChildProcess; ended: Promise<number | string>; words: () => string } {
  const child = spawn(process.execPath, [...runner(), main, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  let words = "";
  child.stderr!.on("data", (bytes: Buffer) => {
    words += bytes.toString();
  });
  const ended = new Promise<number | string>((resolve) =>
    child.on("close", (code, signal) => resolve(code ?? signal ?? -1)),
  );
  return { child, ended, words: () => words };
}

test("main publishes from as many devices as it is told and ends on SIGTERM", async () => {
  const hub = await openStandIn(true);
  const { child, ended } = start("--port", String(hub.port), "--devices", "3", "--speed", "20");
  try {
    await hub.arrived(30);
    assert.equal(new Set(hub.taken.map((entry) => entry.client)).size, 3);
    process.kill(child.pid!, "SIGTERM");
    assert.equal(await ended, 0);
  } finally {
    child.kill("SIGKILL");
    await hub.close();
  }
});

test("main ends with 2 and one sentence when an argument is wrong", async () => {
  const { ended, words } = start("--devices", "many");
  assert.equal(await ended, 2);
  assert.match(words(), /^devices must be a whole number from 1 to 2000, not NaN$/m);
});
