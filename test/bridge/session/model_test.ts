// Random lives of sessions against plain clients and a plain log: cuts, takeovers, crashes; then all must be as promised.
import assert from "node:assert/strict";
import test from "node:test";
import { filterMatches } from "../../../bridge/match/filter.ts";
import type { Qos } from "../../../bridge/wire/packet.ts";
import { seededRandom } from "../../../devices/sensors.ts";
import { ModelClient } from "./model_client.ts";
import { partitionOf, partitions, World } from "./model_world.ts";

interface Wish {
  readonly filter: string;
  readonly qos: Qos;
  readonly packetId: number;
  /** When it was first asked for, and when its SUBACK came. */
  askedAt: number;
  grantedAt: number;
}

interface Life {
  readonly world: World;
  readonly wishes: Map<ModelClient, Wish[]>;
  /** Of a filter that comes and goes: when it was asked for, and when it was gone for certain. */
  readonly passing: Map<ModelClient, { from: number; until: number; ends: number }[]>;
  /** Share of faults, and packets or records of one step. */
  readonly evil: number;
  readonly batch: number;
  names: number;
  packetIds: number;
}

const topics = ["a/1", "a/2", "a/3", "b/1", "b/2", "x/1"];
const passingFilter = "x/#";

function begin(random: () => number): Life {
  const clients = ["u", "v", "w"].map((id) => new ModelClient(id, random() < 0.5 ? 4 : 5));
  const world = new World(random, clients);
  const qos = (): Qos => Math.floor(random() * 3) as Qos;
  const wishes = new Map(
    clients.map((client) => {
      const filters = [["a/+", "a/1"], ["b/#"], ["a/#", "b/1"]][world.int(3)]!;
      const list = filters.map((filter, at) => ({
        filter,
        qos: qos(),
        packetId: 1_000 + at,
        askedAt: 0,
        grantedAt: 0,
      }));
      return [client, list] as const;
    }),
  );
  const passing = new Map(
    clients.map((client) => [client, [] as { from: number; until: number; ends: number }[]] as const),
  );
  const [evil, batch] = [[1, 0.3, 0.1][world.int(3)]!, [4, 4, 60][world.int(3)]!];
  return { world, wishes, passing, evil, batch, names: 0, packetIds: 2_000 };
}

function subscribe(life: Life, client: ModelClient, filter: string, qos: Qos, packetId: number): void {
  const options = { qos, noLocal: false, retainAsPublished: false, retainHandling: 2 } as const;
  life.world.send(client, { kind: "subscribe", packetId, subscriptions: [{ filter, ...options }], properties: {} });
}

/** Clients ask for what they wish until it is granted. */
function keepWishes(life: Life): void {
  const { world, wishes } = life;
  for (const [client, list] of wishes) {
    for (const wish of list) {
      if (wish.grantedAt === 0 && client.answered.has(wish.packetId)) wish.grantedAt = world.now;
      if (wish.grantedAt > 0 || !world.isUp(client) || world.random() < 0.95) continue;
      if (wish.askedAt === 0) wish.askedAt = world.now;
      subscribe(life, client, wish.filter, wish.qos, wish.packetId);
    }
  }
}

function passAlong(life: Life, client: ModelClient): void {
  const spans = life.passing.get(client)!;
  const last = spans.at(-1);
  if (last !== undefined && last.ends > 0) {
    if (client.answered.has(last.ends)) last.until = Math.min(last.until, life.world.now);
    else {
      // not known whether the hub heard it: it is said again
      last.ends = ++life.packetIds;
      life.world.send(client, { kind: "unsubscribe", packetId: last.ends, filters: [passingFilter], properties: {} });
      return;
    }
  }
  if (last === undefined || last.until < Number.POSITIVE_INFINITY) {
    spans.push({ from: life.world.now, until: Number.POSITIVE_INFINITY, ends: 0 });
    subscribe(life, client, passingFilter, 2, ++life.packetIds);
  } else {
    last.ends = ++life.packetIds;
    life.world.send(client, { kind: "unsubscribe", packetId: last.ends, filters: [passingFilter], properties: {} });
  }
}

function step(life: Life, faults: boolean): void {
  const { world, evil } = life;
  const client = world.clients[world.int(world.clients.length)]!;
  const few = 1 + world.int(life.batch);
  const topic = topics[world.int(topics.length)]!;
  const dice = world.random();
  world.now++;
  keepWishes(life);
  if (faults && dice < 0.02) {
    const chance = world.random();
    if (chance < 0.2 * evil) world.crash();
    else if (chance < 0.75 * evil) world.cut(client);
    else if (chance < evil) world.connect(client);
  } else if (!world.hasLine(client) && dice < 0.1) world.connect(client);
  else if (faults && dice < 0.12) world.writable(client, world.random() < 0.6);
  else if (faults && dice < 0.13 && world.isUp(client)) passAlong(life, client);
  else if (faults && dice < 0.135 && life.batch > 10) {
    const names = Array.from({ length: world.int(400) }, () => `m${++life.names}`);
    world.produce(topic, names, world.int(3) as Qos);
  } else if (faults && dice < 0.3 && client.canPublish) {
    world.send(client, client.publish(`m${++life.names}`, topic, world.int(3) as Qos));
  } else if (dice < 0.45) world.up(client, few);
  else if (dice < 0.6) world.down(client, few);
  else if (dice < 0.7) world.commit(world.int(partitions), few);
  else if (dice < 0.8) world.tail(world.int(partitions), few);
  else if (dice < 0.88) world.catchUp(client, few);
  else if (dice < 0.96) world.store();
  else world.fetch();
}

/** No faults any more: everything under way ends. */
function settle(life: Life): void {
  const { world } = life;
  for (let round = 0; round < 20_000; round++) {
    world.now++;
    keepWishes(life);
    for (const client of world.clients) {
      if (!world.hasLine(client)) world.connect(client);
      world.writable(client, true);
      world.up(client, 100);
      world.down(client, 100);
      world.catchUp(client, 100);
    }
    for (let partition = 0; partition < partitions; partition++) {
      world.commit(partition, 100);
      world.tail(partition, 100);
    }
    for (let count = 0; count < 10; count++) {
      world.store();
      world.fetch();
    }
    const granted = [...life.wishes.values()].flat().every(({ grantedAt }) => grantedAt > 0);
    if (granted && world.isQuiet) return;
  }
  assert.fail(`it does not come to rest: ${world.shown()}`);
}

function check(life: Life): number {
  const { world, wishes } = life;
  const text = new TextDecoder();
  const entries = world.logs.flatMap((log, partition) =>
    log.map(({ message, arrivedAt }, offset) => ({
      name: text.decode(message.payload),
      message,
      arrivedAt,
      partition,
      offset,
    })),
  );
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  // what was published is in the log: QoS 2 once, QoS 1 at least once
  for (const client of world.clients) {
    for (const name of client.done) assert.ok(byName.has(name), `${name} was acknowledged and is not in the log`);
  }
  const qos2 = entries.filter(({ message }) => message.qos === 2).map(({ name }) => name);
  assert.equal(new Set(qos2).size, qos2.length, "a QoS 2 message is in the log twice");
  let promised = 0;
  for (const [client, list] of wishes) {
    const times = new Map<string, number>();
    for (const { name } of client.received) times.set(name, (times.get(name) ?? 0) + 1);
    for (const { name, message, arrivedAt } of entries) {
      const matching = list.filter(({ filter }) => filterMatches(filter, message.topic));
      const sure = matching.filter(({ grantedAt }) => grantedAt > 0 && grantedAt < arrivedAt);
      const qos = Math.min(message.qos, Math.max(0, ...sure.map((wish) => wish.qos)));
      if (sure.length === 0 || qos === 0) continue;
      promised++;
      assert.ok(times.has(name), `${client.id} never got ${name} of ${message.topic}`);
    }
    checkReceived(life, client, list, byName, qos2);
  }
  return promised;
}

type Entries = ReadonlyMap<string, { readonly arrivedAt: number; readonly partition: number; readonly offset: number }>;

function checkReceived(
  life: Life,
  client: ModelClient,
  wishes: readonly Wish[],
  entries: Entries,
  qos2: readonly string[],
): void {
  const seen = new Set<string>();
  const last = Array<number>(partitions).fill(-1);
  const published2 = new Set(qos2);
  for (const { name, topic, qos } of client.received) {
    const entry = entries.get(name);
    assert.ok(entry !== undefined, `${client.id} got ${name}, which is in no log`);
    const isWished = wishes.some(({ filter, askedAt }) => askedAt > 0 && filterMatches(filter, topic));
    const passed = life.passing.get(client)!.some(({ until }) => entry.arrivedAt <= until);
    assert.ok(isWished || (topic.startsWith("x/") && passed), `${client.id} got ${name} of ${topic} unasked`);
    // granted QoS may rise between two deliveries of which the first is at QoS 1
    if (qos === 2) assert.ok(!seen.has(`2 ${name}`), `${client.id} got ${name} twice at QoS 2`);
    // one record at a time: a QoS 1 message that its publisher sent twice is two records of one name
    if (qos === 0 && published2.has(name)) assert.ok(!seen.has(name), `${client.id} got ${name} twice at QoS 0`);
    // An UNSUBSCRIBE that was not answered may be forgotten in a crash (SEED=206405330): what was left out comes then.
    if (qos > 0 && !seen.has(name) && published2.has(name) && !topic.startsWith("x/")) {
      const partition = partitionOf(topic);
      assert.ok(entry.offset > last[partition]!, `${client.id} got ${name} after a later one`);
      last[partition] = entry.offset;
    }
    seen.add(name).add(`${qos} ${name}`);
  }
}

test("sessions keep their promises over cuts, takeovers and crashes", () => {
  // The same lives each time, so that a red run says something about a change; others are searched by SEED and ROUNDS.
  const { SEED, ROUNDS } = process.env;
  const count = Number(ROUNDS ?? (SEED === undefined ? 100 : 1));
  const first = Number(SEED ?? 1);
  const sums = { promised: 0, crashes: 0, cuts: 0, refetched: 0, behind: 0, resent: 0 };
  for (let seed = first; seed < first + count; seed++) {
    const life = begin(seededRandom(seed));
    try {
      for (let at = 0; at < 1_200; at++) step(life, true);
      settle(life);
      sums.promised += check(life);
    } catch (error) {
      throw new Error(`SEED=${seed}: ${(error as Error).message}`, { cause: error });
    }
    const { counts } = life.world;
    for (const key of ["crashes", "cuts", "refetched", "behind", "resent"] as const) sums[key] += counts[key];
  }
  console.log(`${count} lives from seed ${first}: ${JSON.stringify(sums)}`);
  if (count >= 50) for (const [what, times] of Object.entries(sums)) assert.ok(times > count / 20, `${what}: ${times}`);
});
