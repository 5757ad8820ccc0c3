// Tests of repairs on a simulated disk against scripted hubs: who is asked, what is taken, and when it counts as lost.
import assert from "node:assert/strict";
import test from "node:test";
import type { Partition } from "../../../hub/engine/partition.ts";
import { Repairs } from "../../../hub/engine/repairs.ts";
import { HubError } from "../../../hub/errors.ts";
import { limits } from "../../../hub/limits.ts";
import { readBatchHeader } from "../../../hub/record/batch.ts";
import { verifyLog } from "../../../hub/log/verify.ts";
import { all, filled, joined, rot } from "../log/rot_support.ts";
import { type Bench, refusal } from "../log/support.ts";

interface Asked {
  readonly hub: number;
  readonly from: number;
  readonly to: number;
}

/** What a hub answers: batches of [from, to), at most two at a time. */
type Answer = (asked: Asked) => { readonly upTo: number; readonly records: Uint8Array };

class World {
  readonly bench: Bench;
  readonly asked: Asked[] = [];
  readonly events: string[] = [];
  readonly counts = new Map<string, number>();
  readonly effects: string[] = [];
  readonly hubs = new Map<number, Answer>();
  readonly down = new Set<number>();
  readonly partition: Partition;
  readonly repairs: Repairs;
  disturbed = 0;

  constructor(bench: Bench, highWatermark = 300) {
    this.bench = bench;
    const config = { id: { epoch: 0, n: 0 }, old: { members: ["1:a", "2:b", "3:c"], m: 2 }, next: null };
    const state = { config, amnesia: "none", tombstone: false };
    const replica = { leader: "3:c", state, role: "follower", highWatermark, log: bench.log(), gate: [], version: 0 };
    this.partition = { log: bench.log(), highWatermark, leads: false, replica } as unknown as Partition;
    this.repairs = new Repairs({
      store: bench.store,
      partitions: {
        ofLog: () => this.partition,
        disturbed: () => void (this.disturbed += 1),
        run: (_partition, effects) => void this.effects.push(...effects.map(({ kind }) => kind)),
      },
      peers: { call: (hub, _api, request) => this.#call(hub, request as unknown as Asked) as never },
      clock: bench.clock,
      trace: {
        ...bench.trace,
        event: (_level, event) => void this.events.push(event),
        count: (name, by = 1) => void this.counts.set(name, (this.counts.get(name) ?? 0) + by),
      },
      me: { hubId: 1 },
      isDown: (hub) => this.down.has(hub),
    });
  }

  async #call(hub: number, { from, to }: Asked): Promise<object> {
    this.asked.push({ hub, from, to });
    const answer = this.hubs.get(hub);
    if (!answer) throw new HubError("NETWORK_EXCEPTION");
    return { errorCode: 0, errorMessage: null, ...answer({ hub, from, to }) };
  }

  async until(done: () => boolean): Promise<void> {
    for (let i = 0; i < 400 && !done(); i += 1) await this.bench.clock.advance(100);
    assert.ok(done(), this.events.join());
  }
}

function having(replica: readonly Uint8Array[], end = 300): Answer {
  return ({ from, to }) => {
    const fits = replica.filter((batch) => {
      const { baseOffset, lastOffset } = readBatchHeader(batch);
      return baseOffset >= from && lastOffset < Math.min(to, end);
    });
    const some = fits.slice(0, 2);
    const last = some.at(-1);
    return { upTo: last ? readBatchHeader(last).lastOffset + 1 : from, records: joined(some) };
  };
}

test("the leader is asked first, in parts; the log is whole again, and readers are told", async () => {
  const { bench, replica } = await filled();
  const base = bench.log().segments[1]!.base;
  for (const offset of [5, 10, 15]) rot(bench, base + offset);
  const world = new World(bench);
  world.hubs.set(3, having(replica)).set(2, having(replica));
  world.repairs.start();
  assert.equal(bench.log().repairing, true);
  await world.until(() => !bench.log().repairing);
  assert.deepEqual(world.asked, [
    { hub: 3, from: base + 5, to: base + 20 },
    { hub: 3, from: base + 15, to: base + 20 },
  ]);
  assert.deepEqual(await bench.values(), all);
  assert.deepEqual(world.events, ["range_damaged", "range_repaired"]);
  assert.equal(world.counts.get("repaired_ranges"), 1);
  assert.ok(world.disturbed > 0);
});

test("a hub that is down is not asked, what another garbles is not taken, and the active segment is closed first", async () => {
  const { bench, replica } = await filled({ segmentBytes: 1_000_000 });
  rot(bench, 100);
  const world = new World(bench);
  const garbled: Answer = (asked) => {
    const { upTo, records } = having(replica)(asked);
    records[70]! ^= 1;
    return { upTo, records };
  };
  world.down.add(3);
  world.hubs.set(3, having(replica)).set(2, garbled);
  world.repairs.stir(bench.log());
  await world.until(() => world.asked.length > 2);
  assert.ok(world.asked.every(({ hub }) => hub === 2));
  assert.equal(bench.log().repairing, true);
  world.down.delete(3);
  await world.until(() => !bench.log().repairing);
  assert.equal(bench.log().segments.length, 2);
  assert.deepEqual(await bench.values(), all);
  await bench.settle(bench.store.close());
  assert.deepEqual(verifyLog(bench.disk).logs[0]!.damage, []);
});

test("nobody has it: after so many tries it counts as lost, and is still asked for", async () => {
  const { bench, replica } = await filled();
  const base = bench.log().segments[1]!.base;
  rot(bench, base + 5);
  const world = new World(bench);
  world.repairs.stir(bench.log());
  await world.until(() => world.events.includes("possible_loss"));
  assert.equal(world.asked.length, 2 * limits.repairTriesMax);
  assert.equal(bench.log().repairing, false);
  await assert.rejects(bench.values(), refusal("CORRUPT_MESSAGE"));
  world.hubs.set(2, having(replica));
  await world.until(() => bench.log().damaged.size === 0);
  assert.deepEqual(await bench.values(), all);
});

test("what is not known to be committed is not asked for: a follower gives it up at last", async () => {
  const { bench, replica } = await filled();
  const segment = bench.log().segments[1]!;
  rot(bench, segment.base + 5);
  rot(bench, segment.base + 10);
  const world = new World(bench, segment.base + 10);
  world.hubs.set(3, having(replica));
  world.repairs.stir(bench.log());
  await world.until(() => world.events.includes("possible_loss"));
  assert.deepEqual(new Set(world.asked.map(({ to }) => to)), new Set([segment.base + 10]));
  assert.deepEqual(world.effects, ["persist"], "a short log, and then the cut");
});
