// Random lives of clients over a real hub: lost connections, slow clients, restarts. Nothing is left out, order holds.
import assert from "node:assert/strict";
import test from "node:test";
import { filterMatches } from "../../../bridge/match/filter.ts";
import type { Qos } from "../../../bridge/wire/packet.ts";
import { Dice, seedsOf } from "../wire/random.ts";
import { Client, until, withWorld, type World } from "./world.ts";

const filters = ["sensors/#", "sensors/a/+", "+/b/t", "sensors/c/t", "other/#", "#"];
const topics = ["sensors/a/t", "sensors/a/u", "sensors/b/t", "sensors/c/t", "other/b/t", "other/c/t"];

interface Life {
  client: Client;
  isConnected: boolean;
  /** Since its SUBACK: what it must get, by filter. */
  readonly wants: Map<string, string[]>;
}

async function subscribe(life: Life, filter: string, qos: Qos): Promise<void> {
  await life.client.subscribe(filter, qos);
  if (!life.wants.has(filter)) life.wants.set(filter, []);
}

async function step(dice: Dice, world: World, lives: Life[], published: { count: number }): Promise<void> {
  const life = dice.pick(lives);
  const kind = dice.below(10);
  if (kind < 5) {
    const burst = dice.pick([1, 1, 5, 40]);
    const sent: Promise<void>[] = [];
    for (let each = 0; each < burst; each++) {
      const [topic, payload] = [dice.pick(topics), String(published.count++)];
      for (const { wants } of lives) {
        for (const [filter, list] of wants) if (filterMatches(filter, topic)) list.push(`${topic} ${payload}`);
      }
      sent.push(world.publish(topic, payload, dice.pick<Qos>([1, 1, 2])));
    }
    await Promise.all(sent);
  } else if (kind === 5 && life.isConnected) {
    await subscribe(life, dice.pick(filters), dice.pick<Qos>([1, 2]));
  } else if (kind === 6 && life.isConnected && life.wants.size > 1) {
    const filter = dice.pick([...life.wants.keys()]);
    life.client.unsubscribe(filter);
    life.wants.delete(filter);
  } else if (kind === 7) {
    if (life.isConnected) life.client.lose();
    else life.client.connect({ durable: true, receiveMax: dice.pick([1, 20, 65_535]), holds: dice.chance(0.3) });
    life.isConnected = !life.isConnected;
  } else if (kind === 8 && life.isConnected) {
    if (life.client.unacknowledged > 0) life.client.acknowledge(1 + dice.below(10));
  } else if (kind === 9 && dice.chance(0.15)) {
    await restart(world, lives);
  }
  if (dice.chance(0.3)) await new Promise((resolve) => setTimeout(resolve, dice.below(3)));
}

/** Connections end, and the hub finds what was stored then. */
async function restart(world: World, lives: Life[]): Promise<void> {
  for (const life of lives) if (life.isConnected) life.client.lose();
  await world.reopen();
  for (const life of lives) {
    const before = life.client;
    life.client = new Client(world, before.id, before.stored);
    life.client.got.push(...before.got);
    life.client.restart();
    life.isConnected = false;
  }
}

function check({ client, wants }: Life): void {
  const first = new Map<string, number>();
  for (const [at, text] of client.texts.entries()) if (!first.has(text)) first.set(text, at);
  for (const [filter, list] of wants) {
    const missing = list.filter((text) => !first.has(text));
    assert.deepEqual(missing, [], `${client.id} ${filter}`);
  }
  // in order by device, which is what one partition holds
  const last = new Map<string, number>();
  for (const text of first.keys()) {
    const [topic, payload] = text.split(" ") as [string, string];
    const device = topic.split("/").slice(0, 2).join("/");
    assert.ok((last.get(device) ?? -1) < Number(payload), `${client.id}: ${text} came after ${last.get(device)}`);
    last.set(device, Number(payload));
  }
  const once = client.got.filter(({ dup }) => !dup).map(({ topic, payload }) => `${topic} ${payload}`);
  const twice = once.filter((text, at) => once.indexOf(text) !== at);
  assert.deepEqual(twice, [], `${client.id}: sent twice as if for the first time`);
}

for (const seed of seedsOf(3)) {
  test(`random lives get all they are owed, in order (MQTT_SEED=${seed})`, async () => {
    const dice = new Dice(seed);
    await withWorld(async (world) => {
      const admin = world.client.admin();
      await admin.createTopic("sensors", { partitions: 3 });
      const lives: Life[] = ["w", "x", "y", "z"].map((id) => ({
        client: new Client(world, id),
        isConnected: false,
        wants: new Map(),
      }));
      const published = { count: 0 };
      for (let count = 0; count < 300; count++) await step(dice, world, lives, published);
      for (const life of lives) {
        if (life.isConnected) life.client.lose();
        life.client.connect({ durable: true });
      }
      for (const { client, wants } of lives) {
        const owed = new Set([...wants.values()].flat());
        await until(() => [...owed].every((text) => client.texts.includes(text)), `${client.id} has all`).catch(
          () => {},
        );
      }
      for (const life of lives) check(life);
      await admin.close();
    });
  });
}
