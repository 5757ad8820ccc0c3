// Kept state of a lone hub through power cuts at any moment, on a simulated disk: what was acknowledged is there.
import assert from "node:assert/strict";
import test from "node:test";
import { KeptRetained } from "../../../bridge/keep/retained_keeper.ts";
import type { Message } from "../../../bridge/session/message.ts";
import { openClock } from "../../../hub/io/clock.ts";
import type { Clock } from "../../../hub/io/ports.ts";
import { silentTrace } from "../../../hub/mod.ts";
import { seeded } from "../../sim/clock.ts";
import { type CutStyle, SimDisk } from "../../sim/disk.ts";
import { bytes, type KeeperStage, openKeeper, readAll, record, session, text } from "./stage.ts";

const rounds = Number(process.env["ROUNDS"] ?? 8);
const firstSeed = Number(process.env["SEED"] ?? 1);
const clients = ["a", "b", "c"];

/** Values that a thing had, in the order they were written; which of them is the last that was acknowledged. */
class Trail<T> {
  readonly values: T[];
  acknowledged = 0;

  constructor(first: T) {
    this.values = [first];
  }

  write(value: T, stored: Promise<unknown>): void {
    const at = this.values.push(value) - 1;
    stored.then(
      () => {
        this.acknowledged = Math.max(this.acknowledged, at);
      },
      () => {}, // the hub that was cut off
    );
  }

  get last(): T {
    return this.values[this.values.length - 1]!;
  }

  /** What it may be after a cut at this moment. */
  possible(): T[] {
    return this.values.slice(this.acknowledged);
  }
}

interface Life {
  readonly sessions: Map<string, Trail<number>>;
  /** By client and id: the message that holds the id; 0 when it is free. */
  readonly ids: Map<string, Trail<number>>;
  /** Messages that were acknowledged. */
  stored: Set<string>;
  readonly retained: Map<string, Trail<string>>;
  number: number;
}

async function open(disk: SimDisk): Promise<KeeperStage & { readonly retained: KeptRetained }> {
  const stage = await openKeeper({ settings: { "num.partitions": 1 }, between: { disk: () => disk } });
  const client = stage.hub.hub.client("retained");
  const { hub } = stage.hub;
  const retained = new KeptRetained({ hub, client, clock: hub.clock, trace: silentTrace });
  await retained.open();
  const close = async (): Promise<void> => {
    await retained.close();
    await client.close();
    await stage.close();
  };
  return { ...stage, retained, close };
}

/** A few turns of random writes, some of them waited for. */
async function write(
  stage: Awaited<ReturnType<typeof open>>,
  life: Life,
  pick: (max: number) => number,
): Promise<void> {
  const { keeper, retained } = stage;
  for (let turn = 0; turn < 4 + pick(12); turn++) {
    for (let count = pick(5); count > 0; count--) {
      const client = clients[pick(clients.length)]!;
      const number = ++life.number;
      const kind = pick(8);
      if (kind < 3) life.sessions.get(client)!.write(number, keeper.store(client, session(number)));
      else if (kind < 6) hold(keeper, life, client, 1 + pick(3), number);
      else if (kind === 6) {
        const topic = `r/${pick(2)}`;
        const payload = pick(3) === 0 ? "" : `${number}`;
        life.retained.get(topic)!.write(payload, retained.set(message(topic, payload)));
      } else {
        const ended = keeper.end(client);
        life.sessions.get(client)!.write(0, ended);
        for (const [name, trail] of life.ids) if (name.startsWith(client)) trail.write(0, ended);
      }
    }
    if (pick(3) > 0) await new Promise((resolve) => setTimeout(resolve, pick(4)));
  }
}

/** Uses an id when it is free for certain, else releases it when its message is there for certain. */
function hold(keeper: KeeperStage["keeper"], life: Life, client: string, id: number, number: number): void {
  const trail = life.ids.get(`${client}/${id}`)!;
  if (trail.acknowledged !== trail.values.length - 1) return;
  if (trail.last !== 0) return trail.write(0, keeper.release(client, id));
  const value = `${client}/${id}/${number}`;
  const stored = keeper.storeOnce(client, id, "t", record(value));
  trail.write(number, stored);
  const acknowledged = life.stored;
  stored.then(
    () => void acknowledged.add(value),
    () => {},
  );
}

function message(topic: string, payload: string): Message {
  return { topic, payload: bytes(payload), qos: 1, retain: true, properties: {}, publisher: "d", expiresAt: null };
}

async function check(stage: Awaited<ReturnType<typeof open>>, life: Life, seed: number): Promise<void> {
  const known = new Map(stage.known.map(({ clientId, past }) => [clientId, past]));
  await stage.hub.hub.ensureTopic("t");
  const there = await readAll(stage.hub, "t");
  assert.equal(new Set(there).size, there.length, `seed ${seed}: nothing is stored twice`);
  for (const value of life.stored) assert.ok(there.includes(value), `seed ${seed}: ${value} was acknowledged`);
  for (const [client, trail] of life.sessions) {
    const found = known.get(client)?.session?.expirySeconds ?? 0;
    assert.ok(trail.possible().includes(found), `seed ${seed}: session ${client} is ${found} of ${trail.possible()}`);
    trail.write(found, Promise.resolve());
  }
  for (const [name, trail] of life.ids) {
    const [client, id] = name.split("/") as [string, string];
    const isOpen = known.get(client)?.inboundIds.includes(Number(id)) ?? false;
    const holder = trail.possible().find((number) => number !== 0 && there.includes(`${name}/${number}`));
    if (isOpen) assert.ok(holder !== undefined, `seed ${seed}: ${name} is open, and its message is not there`);
    else if (trail.possible().length === 1) assert.equal(trail.last, 0, `seed ${seed}: ${name} was acknowledged`);
    // one group: an id that is free again was released, or ended
    const wasFreed = trail.possible().includes(0);
    if (holder !== undefined && !isOpen) assert.ok(wasFreed, `seed ${seed}: ${name} lost the id of ${holder}`);
    trail.write(isOpen ? holder! : 0, Promise.resolve());
  }
  for (const [topic, trail] of life.retained) {
    const [found] = await stage.retained.match(topic, 0);
    const payload = found === undefined ? "" : text(found.payload);
    assert.ok(trail.possible().includes(payload), `seed ${seed}: ${topic} is ${payload} of ${trail.possible()}`);
    trail.write(payload, Promise.resolve());
  }
  await new Promise((resolve) => setImmediate(resolve));
}

async function live(seed: number, clock: Clock): Promise<void> {
  const chance = seeded(seed);
  const pick = (max: number): number => Math.floor(chance() * max);
  const life: Life = {
    sessions: new Map(clients.map((client) => [client, new Trail(0)])),
    ids: new Map(clients.flatMap((client) => [1, 2, 3].map((id) => [`${client}/${id}`, new Trail(0)] as const))),
    stored: new Set(),
    retained: new Map(["r/0", "r/1"].map((topic) => [topic, new Trail("")])),
    number: 0,
  };
  let disk = new SimDisk(clock, chance);
  for (let lives = 0; lives < 4; lives++) {
    const stage = await open(disk);
    try {
      await check(stage, life, seed);
      await write(stage, life, pick);
    } catch (error) {
      await stage.close();
      throw error;
    }
    const style = (["nothing", "everything", "some", "torn"] as const satisfies readonly CutStyle[])[pick(4)]!;
    disk = lives % 2 === 0 ? disk.afterPowerCut(clock, chance, style) : copyOf(disk, clock, chance);
    // what is acknowledged from here on is of a world that ended
    life.stored = new Set(life.stored);
    for (const trails of [life.sessions, life.ids, life.retained] as Map<string, Trail<unknown>>[]) {
      for (const [name, trail] of trails) trails.set(name, frozen(trail));
    }
    await stage.close();
  }
  const last = await open(disk);
  await check(last, life, seed).finally(() => last.close());
}

/** Only the process died: all that was written is in the page cache. */
function copyOf(disk: SimDisk, clock: Clock, chance: () => number): SimDisk {
  return disk.afterPowerCut(clock, chance, "everything");
}

function frozen<T>(trail: Trail<T>): Trail<T> {
  const copy = new Trail(trail.values[0] as T);
  copy.values.push(...trail.values.slice(1));
  copy.acknowledged = trail.acknowledged;
  return copy;
}

test("what was acknowledged survives power cuts at any moment; a QoS 2 message and its id do so together", async () => {
  const clock = openClock(true);
  const alive = setInterval(() => {}, 1_000); // the clock's timers do not keep a process
  try {
    for (let seed = firstSeed; seed < firstSeed + rounds; seed++) await live(seed, clock);
  } finally {
    clearInterval(alive);
  }
});
