// Bits flip on the disks of a cluster: what one replica cannot read any more it fetches from another.
import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { type HubClient, openLogTools } from "../../hub/mod.ts";
import { eventually, HubCluster, readAll, seen, type TopicSeen } from "../tools/hub_cluster.ts";

const topic = "rot";
const place = { topic, partition: 0 };
const inSync = (found: TopicSeen): boolean => {
  return found.partitions.every((one) => one.leader > 0 && one.inSync.length === one.replicas.length);
};

async function write(client: HubClient, from: number, count: number): Promise<void> {
  const producer = client.producer({ acks: -1 });
  for (let i = from; i < from + count; i += 10) {
    const values = Array.from({ length: 10 }, (_, k) => Buffer.from(`${i + k}:`.padEnd(1000, "x")));
    await Promise.all(values.map((value) => producer.publish(topic, { key: null, value })));
  }
  await producer.close();
}

/** The segments of the topic's one partition on a hub, oldest first. */
function segmentsOf(cluster: HubCluster, id: number): string[] {
  const folder = cluster.folder(id);
  const { key } = openLogTools(folder)
    .verify()
    .logs.find(({ name }) => name === `${topic}-0`)!;
  const directory = path.join(folder, "topics", key);
  const names = readdirSync(directory).filter((name) => /^\d{20}\.log$/.test(name));
  return names.sort().map((name) => path.join(directory, name));
}

/** Turns a bit at each of these shares of a file. */
function flip(file: string, ...shares: number[]): void {
  const bytes = readFileSync(file);
  const descriptor = openSync(file, "r+");
  for (const share of shares) {
    const at = Math.floor(bytes.length * share);
    writeSync(descriptor, Buffer.of(bytes[at]! ^ 4), 0, 1, at);
  }
  closeSync(descriptor);
}

async function lead(cluster: HubCluster, client: HubClient, id: number): Promise<void> {
  await seen(client, topic, inSync);
  await eventually(
    async () => {
      await client.admin().cluster().elect("preferred", [place], id);
      return await seen(client, topic, ({ partitions }) => partitions[0]!.leader === id);
    },
    () => true,
  );
}

function damageOf(cluster: HubCluster, id: number): number {
  const { logs } = openLogTools(cluster.folder(id)).verify();
  return logs.reduce((sum, { damage }) => sum + damage.length, 0);
}

test("flipped bits in closed and active segments, on a leader and on followers: everything is read, and whole again", async () => {
  const cluster = await HubCluster.open(3);
  await cluster.run(async () => {
    const client = cluster.client();
    const configs = { "segment.bytes": "65536" };
    await client.admin().createTopic(topic, { partitions: 1, replicationFactor: 3, configs });
    await write(client, 0, 300);
    const whole = await seen(client, topic, inSync);
    const leader = whole.partitions[0]!.leader;
    const [one, two] = whole.partitions[0]!.replicas.filter((hub) => hub !== leader) as [number, number];

    // several ranges, the end of a segment too; on the hub that leads, and then on one that followed
    for (const id of [leader, one]) {
      await cluster.end(id, "SIGKILL");
      const [first, second] = segmentsOf(cluster, id);
      flip(first!, 0.1, 0.5, 0.999);
      flip(second!, 0.01);
      assert.ok(damageOf(cluster, id) > 0);
      await cluster.start(id);
      await lead(cluster, client, id);
      assert.equal((await readAll(client, topic)).size, 300);
    }

    // in the active segment below the recovery point, which stands at the end after an orderly stop
    await cluster.end(two);
    await cluster.start(two);
    await seen(client, topic, inSync);
    await write(client, 300, 10);
    await seen(client, topic, inSync);
    await cluster.end(two, "SIGKILL");
    flip(segmentsOf(cluster, two).at(-1)!, 0.05);
    assert.ok(damageOf(cluster, two) > 0);
    await cluster.start(two);
    await lead(cluster, client, two);
    assert.equal((await readAll(client, topic)).size, 310);

    for (const id of [leader, one, two]) {
      await cluster.end(id);
      assert.equal(damageOf(cluster, id), 0, `hub ${id}`);
    }
  });
});
