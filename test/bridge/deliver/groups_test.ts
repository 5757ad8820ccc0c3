// Shared subscriptions over a real hub: each record to one member, none left out, offsets and lag as Kafka knows them.
import assert from "node:assert/strict";
import test from "node:test";
import { Client, until, withWorld, type World } from "./world.ts";

const many = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

async function makeTopic(world: World, name: string, partitions: number): Promise<void> {
  const admin = world.client.admin();
  await admin.createTopic(name, { partitions });
  await admin.close();
}

async function publishAll(world: World, count: number, from = 0, devices = 12): Promise<void> {
  for (let at = 0; at < count; at += 50) {
    const burst = many(Math.min(50, count - at));
    await Promise.all(
      burst.map((n) => world.publish(`sensors/d${(from + at + n) % devices}/t`, String(from + at + n))),
    );
  }
}

const payloads = (...clients: readonly Client[]): number[] =>
  clients.flatMap(({ got }) => got.map(({ payload }) => Number(payload))).toSorted((a, b) => a - b);

test("each message goes to one member, in order per device, and the group is one that Kafka's tools know", async () => {
  await withWorld(async (world) => {
    await makeTopic(world, "sensors", 6);
    await publishAll(world, 10); // before the group
    const clients = many(3).map((n) => new Client(world, `c${n}`));
    for (const client of clients) client.connect();
    for (const client of clients) await client.subscribe("$share/workers/sensors/#");
    await publishAll(world, 600, 100);
    await until(() => payloads(...clients).length >= 600, "all came");
    assert.deepEqual(
      payloads(...clients),
      many(600).map((n) => n + 100),
    );
    for (const { got } of clients) {
      assert.ok(got.length > 50, `a share of ${got.length}`);
      for (const device of many(12)) {
        const own = got.filter(({ topic }) => topic === `sensors/d${device}/t`).map(({ payload }) => Number(payload));
        assert.deepEqual(
          own,
          own.toSorted((a, b) => a - b),
        );
      }
    }
    const admin = world.client.admin();
    const group = await admin.describeGroup("workers");
    assert.equal(group.state, "Stable");
    assert.equal(group.members.flatMap(({ assignment }) => assignment).length, 6);
    await until(() => clients.every(({ unacknowledged }) => unacknowledged === 0), "acknowledged");
    const offsets = async (): Promise<number> =>
      (await admin.groupOffsets("workers")).reduce((sum, { offset }) => sum + offset, 0);
    let committed = 0;
    for (let look = 0; look < 50 && committed < 610; look++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      committed = await offsets();
    }
    assert.equal(committed, 610);
    await admin.close();
  });
});

test("what a member did not acknowledge goes to another when it leaves, and its share with it", async () => {
  await withWorld(async (world) => {
    await makeTopic(world, "sensors", 4);
    const [idle, busy] = [new Client(world, "idle"), new Client(world, "busy")];
    idle.connect({ holds: true, receiveMax: 5 });
    busy.connect();
    await idle.subscribe("$share/g/sensors/#");
    await busy.subscribe("$share/g/sensors/#");
    await publishAll(world, 200);
    await until(() => busy.got.length > 20 && idle.got.length === 5, "both have some");
    idle.lose();
    await until(() => new Set(payloads(busy)).size === 200, "all came to the other");
    assert.deepEqual(payloads(busy), many(200), "each once");
  });
});

test("QoS 2 that a client has goes to nobody else, and is completed with it", async () => {
  await withWorld(async (world) => {
    await makeTopic(world, "sensors", 1);
    const first = new Client(world, "first");
    first.connect({ durable: true, holds: true, receiveMax: 3 });
    await first.subscribe("$share/g/sensors/#", 2);
    for (const n of many(6)) await world.publish("sensors/a/t", String(n), 2);
    await first.until(3);
    const second = new Client(world, "second");
    second.connect({ durable: true });
    await second.subscribe("$share/g/sensors/#", 2);
    first.lose();
    await second.until(3);
    assert.deepEqual(payloads(second), [3, 4, 5]);
    first.connect({ durable: true });
    await first.until(6);
    assert.deepEqual(
      first.got.slice(3).map(({ payload, dup }) => [payload, dup]),
      [
        ["0", true],
        ["1", true],
        ["2", true],
      ],
    );
  });
});

test("so it is where QoS 1 before it goes to another: by the offsets that go along with the commit", async () => {
  await withWorld(async (world) => {
    await makeTopic(world, "sensors", 1);
    const first = new Client(world, "first");
    first.connect({ durable: true, holds: true });
    await first.subscribe("$share/g/sensors/#", 2);
    for (const n of many(6)) await world.publish("sensors/a/t", String(n), n % 2 === 0 ? 1 : 2);
    await first.until(6);
    first.lose();
    await world.reopen();
    const second = new Client(world, "second");
    second.connect();
    await second.subscribe("$share/g/sensors/#", 2);
    await second.until(3);
    await world.publish("sensors/a/t", "6");
    await second.until(4);
    assert.deepEqual(payloads(second), [0, 2, 4, 6]);
  });
});

test("a group goes on where it was when its last member comes back, and after a restart", async () => {
  await withWorld(async (world) => {
    await makeTopic(world, "sensors", 3);
    const client = new Client(world, "c");
    client.connect({ durable: true });
    await client.subscribe("$share/g/sensors/+/t");
    await publishAll(world, 30);
    await client.until(30);
    await until(() => client.unacknowledged === 0, "acknowledged");
    client.lose();
    await publishAll(world, 30, 30);
    await world.reopen();
    const back = new Client(world, "c", client.stored);
    back.restart();
    back.connect({ durable: true });
    await back.until(30);
    assert.deepEqual(
      payloads(back),
      many(30).map((n) => n + 30),
    );
    const admin = world.client.admin();
    assert.equal((await admin.groupOffsets("g:sensors/+/t")).length, 3);
    await admin.close();
  });
});

test("a topic that is made later is read from its beginning; what is in no log goes round", async () => {
  await withWorld(async (world) => {
    const clients = [new Client(world, "a"), new Client(world, "b")];
    for (const client of clients) client.connect();
    await Promise.all(clients.map((client) => client.subscribe("$share/g/later/#")));
    await Promise.all(clients.map((client) => client.subscribe("$share/g/$SYS/#")));
    await world.publish("later/a/t", "0");
    await world.publish("later/a/t", "1");
    await until(() => payloads(...clients).length === 2, "both came");
    const base = { topic: "$SYS/x", qos: 1, retain: false, properties: {}, publisher: "", expiresAt: null } as const;
    for (const n of many(4)) {
      world.deliveries.publish({ ...base, payload: new TextEncoder().encode(String(n + 2)) }, Date.now());
    }
    assert.deepEqual(payloads(...clients), many(6));
    assert.deepEqual(
      clients.map(({ got }) => got.filter(({ topic }) => topic === "$SYS/x").length),
      [2, 2],
    );
  });
});

test("a slow member is no reason to lose or to double anything", async () => {
  await withWorld(async (world) => {
    await makeTopic(world, "sensors", 2);
    const clients = [new Client(world, "a"), new Client(world, "b")];
    for (const client of clients) client.connect({ holds: true, receiveMax: 10 });
    for (const client of clients) await client.subscribe("$share/g/sensors/#");
    await publishAll(world, 1_500);
    await until(() => clients.every(({ got }) => got.length === 10), "full");
    for (const client of clients) {
      client.holds = false;
      client.acknowledge();
    }
    await until(() => payloads(...clients).length >= 1_500, "all came");
    assert.deepEqual(payloads(...clients), many(1_500));
  });
});

test("two hubs share a group: each message to one member of either; one that stops leaves it to the other", async () => {
  await withWorld(async (world) => {
    await makeTopic(world, "sensors", 6);
    const other: World = { ...world, deliveries: world.another() };
    const [here, there] = [new Client(world, "here"), new Client(other, "there")];
    try {
      here.connect();
      there.connect();
      await here.subscribe("$share/g/sensors/#", 2);
      await there.subscribe("$share/g/sensors/#", 2);
      await publishAll(world, 300);
      await until(() => payloads(here, there).length >= 300, "all came");
      await until(() => here.unacknowledged + there.unacknowledged === 0, "acknowledged");
      assert.deepEqual(new Set(payloads(here, there)).size, 300);
      await publishAll(world, 300, 300);
      await until(() => new Set(payloads(here, there)).size === 600, "all came");
      assert.deepEqual(payloads(here, there), many(600), "each once");
      assert.ok(there.got.length > 100, `${there.got.length} there`);
      await until(() => there.unacknowledged === 0, "acknowledged");
    } finally {
      await other.deliveries.close();
    }
    await publishAll(world, 100, 600);
    await until(() => new Set(payloads(here, there)).size === 700, "all came");
    assert.deepEqual(payloads(here, there), many(700), "each once");
  });
});
