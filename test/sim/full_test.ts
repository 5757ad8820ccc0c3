// Tier F of the simulator: whole hubs in one process, seed by seed; a seed says all.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import path from "node:path";
import process from "node:process";
import test from "node:test";
import { runner } from "../tools/hub_process.ts";
import { runSeed } from "./full/run.ts";
import { recordedSeeds } from "./full/seeds.ts";
import { Stage } from "./full/stage.ts";
import { World } from "./full/world.ts";

/** Other runtimes show that it runs, the first one searches. */
const few = process.env["SEEDS"] !== undefined;
/** A fixed set, on so many processes; `npm run sim -- --tier f` searches on. */
const perProcess = 700;
const processes = 2;
/** A busy machine does not get through all of them. */
const minutesMax = 4;

test("calm runs: everything is acknowledged, read, committed, and equal on all hubs", async () => {
  for (let seed = 1; seed <= (few ? 1 : 4); seed += 1) {
    const { violation, tail, acks, commits } = await runSeed(seed, { faults: [], faultMs: 20_000 });
    assert.equal(violation, null, `SEED=${seed}\n${tail.slice(-20).join("\n")}`);
    assert.ok(acks > 100 && commits > 10, `SEED=${seed}: ${acks} acknowledged, ${commits} commits`);
  }
});

test("a seed tells all: two runs of one seed are the same", async () => {
  for (let seed = 1; seed <= (few ? 1 : 3); seed += 1) {
    const [one, two] = [await runSeed(seed, { faultMs: 5000 }), await runSeed(seed, { faultMs: 5000 })];
    assert.equal(one.hash, two.hash, `SEED=${seed}`);
    assert.ok(one.events > 1000, `SEED=${seed}: ${one.events} events`);
  }
});

test("bits flip on one hub's disk: everything is read, and all hubs hold the same again", async () => {
  for (let seed = 1; seed <= (few ? 2 : 15); seed += 1) {
    const { violation, tail } = await runSeed(seed, { faults: ["rot", "kill", "power", "stop", "isolate"] });
    assert.equal(violation, null, `SEED=${seed}\n${tail.slice(-20).join("\n")}`);
  }
});

test("seeds that once failed hold", { skip: few }, async () => {
  for (const { seed, faults, only, why } of recordedSeeds) {
    const { violation, tail } = await runSeed(seed, {
      ...(faults && { faults }),
      ...(only && { only: new Set(only) }),
    });
    assert.equal(violation, null, `SEED=${seed} (${why})\n${tail.slice(-20).join("\n")}`);
  }
});

/** Runs seeds in a process of their own; what it printed, and its exit code. */
function search(from: number): Promise<{ readonly code: number | null; readonly text: string }> {
  const main = path.join(import.meta.dirname, "main.ts");
  const bounds = ["--seeds", String(perProcess), "--minutes", String(minutesMax)];
  const seeds = ["--from", String(from), "--step", String(processes), ...bounds];
  const runtime = ["--max-semi-space-size=32", ...runner()]; // most of what a seed makes is garbage soon
  const child = spawn(process.execPath, [...runtime, main, "--tier", "f", ...seeds]);
  let text = "";
  child.stdout.on("data", (bytes) => (text += String(bytes)));
  child.stderr.on("data", (bytes) => (text += String(bytes)));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, text })));
}

test("hubs that are killed, cut off, paused and robbed of Redis lose nothing and come back", {
  skip: few,
}, async () => {
  const searches = Array.from({ length: processes }, (_, i) => search(1 + i));
  for (const { code, text } of await Promise.all(searches)) {
    assert.equal(code, 0, text);
    assert.match(text, /^[1-9]\d* seeds/m);
  }
});

test("a member whose join waits at a hub that loses its power joins again when the hub is back", async () => {
  const world = new World(1);
  const stage = new Stage(world, { hubs: 1, settings: { "offsets.topic.num.partitions": 3 } });
  const hub = stage.hubs[0]!;
  stage.start(hub);
  await world.run(10_000, () => hub.started);
  const join = async (name: string) => {
    const { client, machine } = stage.client(name);
    const consumer = client.consumer({ group: "g", sessionTimeoutMs: 6000 });
    await consumer.subscribe(["orders"]);
    return { consumer, machine };
  };
  await world.settle(stage.client("maker").client.admin().createTopic("orders", { partitions: 1 }), 10_000);
  const first = await join("first");
  await world.run(10_000, () => first.consumer.assignment().length > 0);
  stage.endClient(first.machine);
  const { consumer } = await join("second"); // which the hub lets wait until the first one's session ends
  await world.run(1000);
  assert.equal([...stage.partitionsOf(hub)].filter(({ topic }) => topic === "__consumer_offsets").length, 3);
  stage.cutPower(hub, "everything");
  await world.run(2000);
  stage.start(hub);
  await world.run(40_000, () => consumer.assignment().length > 0);
  assert.deepEqual(consumer.assignment(), [{ topic: "orders", partition: 0 }]);
});
