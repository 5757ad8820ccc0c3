// Three hubs as a person starts them: they find each other, share topics, replace leaders, and refuse what is wrong.
import assert from "node:assert/strict";
import test from "node:test";
import { type Admin, connect, type HubClient } from "../../hub/mod.ts";
import { scratch, startHub } from "../tools/hub_process.ts";
import { makeRedis, startRedis } from "../tools/redis.ts";
import { type ChaosHub, ChaosStage } from "./cluster/stage.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function withStage(run: (stage: ChaosStage, client: HubClient) => Promise<void>, hubs = 3): Promise<void> {
  const stage = await ChaosStage.open(hubs);
  const client = connect({ bootstrap: stage.bootstrap(), clientId: "story" });
  try {
    await run(stage, client);
  } catch (error) {
    const words = stage.hubs.map((hub) => `--- hub ${hub.id}:\n${hub.words.slice(-4000)}`).join("\n");
    throw new Error(`${String(error)}\n${words}`, { cause: error });
  } finally {
    await Promise.race([client.close(), pause(3_000)]);
    await stage.close();
  }
}

type Described = Awaited<ReturnType<Admin["topics"]>>[number];

/** Waits until the topic is as wanted; rejects after 20 s with how it was. */
async function until(client: HubClient, topic: string, wanted: (found: Described) => boolean): Promise<Described> {
  let last: Described | undefined;
  for (const end = performance.now() + 20_000; performance.now() < end; await pause(50)) {
    [last] = await client
      .admin()
      .topics([topic])
      .catch(() => []);
    if (last && wanted(last)) return last;
  }
  throw new Error(`not as wanted within 20 s: ${JSON.stringify(last?.partitions)}`);
}

const inSyncAt =
  (count: number) =>
  ({ partitions }: Described): boolean =>
    partitions.every(({ leader, inSync }) => leader >= 0 && inSync.length === count);

const whole = inSyncAt(3);

async function write(client: HubClient, topic: string, from: number, count: number): Promise<string[]> {
  const producer = client.producer({ acks: -1 });
  const sent = Array.from({ length: count }, async (_, i) => {
    const text = `v${from + i}`;
    const place = await producer.publish(topic, { key: Buffer.from(text), value: Buffer.from(text) });
    return `${place.partition}@${place.offset} ${text}`;
  });
  const places = await Promise.all(sent);
  await producer.close();
  return places;
}

async function read(client: HubClient, topic: string, count: number): Promise<string[]> {
  const consumer = client.consumer();
  await consumer.assign([{ topic, from: "earliest" }]);
  const places: string[] = [];
  for (const end = performance.now() + 20_000; places.length < count && performance.now() < end; ) {
    for (const { records } of await consumer.poll(500)) {
      for (const { partition, offset, value } of records) {
        places.push(`${partition}@${offset} ${Buffer.from(value!).toString()}`);
      }
    }
  }
  await consumer.close();
  return places;
}

const hubOf = (stage: ChaosStage, id: number): ChaosHub => stage.hubs.find((hub) => hub.id === id)!;

test("three hubs replicate; a leader killed, a hub stopped in order, Redis emptied: nothing acknowledged is lost", async () => {
  await withStage(async (stage, client) => {
    const topic = "readings";
    await client.admin().createTopic(topic, { partitions: 6 });
    const described = await until(client, topic, whole);
    assert.ok(
      described.partitions.every(({ replicas }) => replicas.length === 3),
      "three replicas by default",
    );
    const written = await write(client, topic, 0, 200);

    const { leader } = described.partitions[0]!;
    await hubOf(stage, leader).end("SIGKILL");
    written.push(...(await write(client, topic, 200, 200)));
    await hubOf(stage, leader).start();
    await until(client, topic, whole);

    await stage.redis.command("FLUSHALL");
    written.push(...(await write(client, topic, 400, 100)));
    await pause(3_000);
    await client.admin().createTopic("after-the-flush", { partitions: 1 });
    assert.ok(
      (await client.admin().topics()).some(({ name }) => name === topic),
      "topics are back",
    );

    const stopped = hubOf(stage, (await until(client, topic, whole)).partitions[1]!.leader);
    assert.equal(await stopped.end("SIGTERM"), 0);
    written.push(...(await write(client, topic, 500, 100)));
    await stopped.start();

    const found = await read(client, topic, written.length);
    assert.deepEqual(new Set(found), new Set(written));
    assert.equal(found.length, written.length, "each once, at its offset");
  });
});

test("two hubs, where one alone may commit: the leader killed, then back, then stopped in order: nothing is lost", async () => {
  await withStage(async (stage, client) => {
    const topic = "pairs";
    await client.admin().createTopic(topic, { partitions: 2, configs: { "min.insync.replicas": "1" } });
    const { leader } = (await until(client, topic, inSyncAt(2))).partitions[0]!;
    const written = await write(client, topic, 0, 100);

    await hubOf(stage, leader).end("SIGKILL");
    const began = performance.now();
    written.push(...(await write(client, topic, 100, 100)));
    assert.ok(performance.now() - began < 15_000, "the other leads within seconds");
    await until(client, topic, ({ partitions }) => partitions.every((one) => one.leader >= 0 && one.leader !== leader));
    await hubOf(stage, leader).start();
    const back = await until(client, topic, inSyncAt(2));

    assert.equal(await hubOf(stage, back.partitions[0]!.leader).end("SIGTERM"), 0);
    written.push(...(await write(client, topic, 200, 100)));
    const found = await read(client, topic, written.length);
    assert.deepEqual(new Set(found), new Set(written));
  }, 2);
});

test("a topic made at any hub is served by all; partitions are added; a deleted topic is gone everywhere", async () => {
  await withStage(async (stage, client) => {
    for (const { id, host, ports } of stage.hubs) {
      const one = connect({ bootstrap: `${host}:${ports.kafka}`, clientId: `at-${id}` });
      try {
        await one.admin().createTopic(`made-at-${id}`, { partitions: 2 });
      } finally {
        await one.close();
      }
    }
    for (const { id } of stage.hubs) await until(client, `made-at-${id}`, whole);
    await client.admin().createPartitions("made-at-1", 4);
    const grown = await until(client, "made-at-1", (found) => found.partitions.length === 4 && whole(found));
    assert.equal(grown.partitions.length, 4);
    await client.admin().deleteTopic("made-at-2");
    for (const { host, ports } of stage.hubs) {
      const one = connect({ bootstrap: `${host}:${ports.kafka}`, clientId: "look" });
      try {
        for (const end = performance.now() + 10_000; ; await pause(50)) {
          const names = (await one.admin().topics()).map(({ name }) => name);
          if (!names.includes("made-at-2")) break;
          assert.ok(performance.now() < end, `${host} still tells of it`);
        }
      } finally {
        await one.close();
      }
    }
  });
});

test("a hub that starts before its Redis waits for it, and makes the cluster", async () => {
  const redis = await makeRedis();
  const folder = scratch();
  const starting = startHub({ data: folder.folder, args: ["--hub-id", "1", "--redis", redis.url] });
  starting.catch(() => {});
  try {
    await pause(4_000);
    await redis.start();
    assert.equal(await (await starting).end(), 0);
  } finally {
    await redis.remove();
    folder.remove();
  }
});

test("refused with a sentence: a number that is taken, a folder of another cluster, a Redis that may evict", async () => {
  const redis = await startRedis();
  const [first, second, third, fourth] = [scratch(), scratch(), scratch(), scratch()];
  const start = (data: string, id: number, url: string) =>
    startHub({ data, args: ["--hub-id", String(id), "--redis", url, "--listen", "127.0.0.1"] });
  try {
    const hub = await start(first.folder, 1, redis.url);
    try {
      await assert.rejects(start(second.folder, 1, redis.url), /another process is hub 1/);
      const client = connect({ bootstrap: `127.0.0.1:${hub.kafka}`, clientId: "one" });
      await client.admin().createTopic("t", { partitions: 1 });
      await client.close();
    } finally {
      await hub.end();
    }
    const other = await startRedis();
    try {
      const made = await start(third.folder, 3, other.url);
      await made.end();
      await assert.rejects(start(first.folder, 1, other.url), /belongs to cluster/);
    } finally {
      await other.remove();
    }
    const evicting = await startRedis({ settings: ["--maxmemory-policy", "allkeys-lru"] });
    try {
      await assert.rejects(start(fourth.folder, 2, evicting.url), /maxmemory-policy to noeviction/);
    } finally {
      await evicting.remove();
    }
  } finally {
    await redis.remove();
    for (const one of [first, second, third, fourth]) one.remove();
  }
});
