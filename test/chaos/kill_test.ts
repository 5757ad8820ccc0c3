// kill -9 of a hub under load: whatever was acknowledged is there after the restart, once, in order, at its offset.
import assert from "node:assert/strict";
import test from "node:test";
import mqtt, { type MqttClient } from "mqtt";
import { connect, type InRecord } from "../../hub/mod.ts";
import { type HubProcess, scratch, startHub } from "../tools/hub_process.ts";

const rounds = Number(process.env.ROUNDS ?? 3);
const devices = 12;
const kafkaProducers = 3;
const loadMs = 1_500;

/** What was acknowledged: per device and per Kafka key, the numbers in the order of their acknowledgement. */
class Acknowledged {
  readonly mqtt = new Map<string, number[]>();
  readonly kafka = new Map<string, { number: number; partition: number; offset: number }[]>();

  noteMqtt(device: string, number: number): void {
    const list = this.mqtt.get(device) ?? [];
    this.mqtt.set(device, list);
    list.push(number);
  }
}

/** Publishes numbers with QoS 1, several in flight, until the connection breaks. */
async function device(hub: HubProcess, name: string, first: number, noted: Acknowledged, qos: 1 | 2): Promise<number> {
  const client: MqttClient = mqtt.connect({
    host: "127.0.0.1",
    port: hub.mqtt,
    protocolVersion: 4,
    clientId: name,
    reconnectPeriod: 0,
    clean: true,
  });
  await new Promise<void>((resolve, reject) => {
    client.once("connect", () => resolve());
    client.once("error", reject);
  });
  client.on("error", () => {});
  let next = first;
  let open = true;
  client.on("close", () => (open = false));
  const one = (): void => {
    if (!open) return;
    const number = next++;
    client.publish(`sensors/${name}/count`, String(number), { qos }, (error) => {
      if (error || !open) return;
      noted.noteMqtt(name, number);
      one();
    });
  };
  for (let i = 0; i < 8; i++) one();
  await new Promise<void>((resolve) => client.once("close", () => resolve()));
  client.end(true);
  return next;
}

/** Produces keyed numbers with acks=all until the hub is gone. */
async function kafkaProducer(hub: HubProcess, key: string, first: number, noted: Acknowledged): Promise<number> {
  const client = connect({ bootstrap: `127.0.0.1:${hub.kafka}`, clientId: key });
  const producer = client.producer({ acks: -1 });
  const acknowledged = noted.kafka.get(key) ?? [];
  noted.kafka.set(key, acknowledged);
  let next = first;
  let open = true;
  void hub.exited.then(() => (open = false));
  while (open) {
    const number = next++;
    const sent = producer.publish("events", { key: Buffer.from(key), value: Buffer.from(String(number)) });
    const gone = hub.exited.then(() => null);
    const done = await Promise.race([sent.catch(() => null), gone]);
    if (done) acknowledged.push({ number, ...done });
  }
  void client.close().catch(() => {});
  return next;
}

async function readAll(hub: HubProcess, topic: string): Promise<InRecord[]> {
  const client = connect({ bootstrap: `127.0.0.1:${hub.kafka}`, clientId: "checker" });
  try {
    const admin = client.admin();
    const [description] = await admin.topics([topic]);
    const places = description!.partitions.map(({ partition }) => ({ topic, partition }));
    const ends = await admin.offsets(places, "latest");
    const consumer = client.consumer();
    await consumer.assign([{ topic, from: "earliest" }]);
    const records: InRecord[] = [];
    const at = new Map<number, number>();
    while (ends.some(({ partition, offset }) => (at.get(partition) ?? 0) < offset)) {
      for (const batch of await consumer.poll(1000)) {
        records.push(...batch.records);
        at.set(batch.partition, batch.nextOffset);
      }
    }
    await consumer.close();
    return records;
  } finally {
    await client.close();
  }
}

function numbersByKey(records: readonly InRecord[]): Map<string, InRecord[]> {
  const byKey = new Map<string, InRecord[]>();
  for (const record of records) {
    const key = Buffer.from(record.key!).toString();
    byKey.set(key, [...(byKey.get(key) ?? []), record]);
  }
  return byKey;
}

const numberOf = (record: InRecord): number => Number(Buffer.from(record.value!).toString());

function check(noted: Acknowledged, sensors: readonly InRecord[], events: readonly InRecord[]): void {
  const readings = numbersByKey(sensors);
  for (const [name, numbers] of noted.mqtt) {
    const stored = (readings.get(name) ?? []).map(numberOf);
    const there = new Set(stored);
    const lost = numbers.filter((number) => !there.has(number));
    assert.deepEqual(lost, [], `${name}: PUBACKed and lost`);
    assert.equal(there.size, stored.length, `${name}: doubled`);
    assert.deepEqual(
      stored,
      [...stored].sort((a, b) => a - b),
      `${name}: out of order`,
    );
  }
  const produced = numbersByKey(events);
  for (const [key, acknowledged] of noted.kafka) {
    const byPlace = new Map((produced.get(key) ?? []).map((one) => [`${one.partition}:${one.offset}`, numberOf(one)]));
    for (const { number, partition, offset } of acknowledged) {
      assert.equal(byPlace.get(`${partition}:${offset}`), number, `${key}: ${number} at ${partition}:${offset}`);
    }
    const stored = (produced.get(key) ?? []).map(numberOf);
    assert.deepEqual(
      stored,
      [...stored].sort((a, b) => a - b),
      `${key}: out of order`,
    );
    assert.equal(new Set(stored).size, stored.length, `${key}: doubled`);
  }
}

test("kill -9 under load, again and again: every acknowledged record is there", async () => {
  const { folder, remove } = scratch();
  const noted = new Acknowledged();
  const next = new Map<string, number>();
  let hub: HubProcess | null = null;
  try {
    for (let round = 0; round < rounds; round++) {
      hub = await startHub({ data: folder });
      const victim = hub;
      const load = [
        ...Array.from({ length: devices }, async (_, i) => {
          const name = `dev-${i}`;
          next.set(name, await device(victim, name, next.get(name) ?? 0, noted, i % 3 === 2 ? 2 : 1));
        }),
        ...Array.from({ length: kafkaProducers }, async (_, i) => {
          const key = `producer-${i}`;
          next.set(key, await kafkaProducer(victim, key, next.get(key) ?? 0, noted));
        }),
      ];
      await new Promise((resolve) => setTimeout(resolve, loadMs));
      await victim.end("SIGKILL");
      await Promise.all(load);
    }
    hub = await startHub({ data: folder });
    const counted = [...noted.mqtt.values()].reduce((sum, list) => sum + list.length, 0);
    // enough to be a load on a machine that does much else at the same time
    assert.ok(counted > 300, `only ${counted} acknowledged`);
    check(noted, await readAll(hub, "sensors"), await readAll(hub, "events"));
    await hub.end();
  } finally {
    await hub?.end("SIGKILL");
    remove();
  }
});

test("a group resumes at its commit after kill -9", async () => {
  const { folder, remove } = scratch();
  const env = { PARTIDOR_SETTINGS__GROUP_INITIAL_REBALANCE_DELAY_MS: "0" };
  let hub: HubProcess | null = null;
  try {
    hub = await startHub({ data: folder, env });
    const first = connect({ bootstrap: `127.0.0.1:${hub.kafka}`, clientId: "first" });
    const producer = first.producer();
    const sent = Array.from({ length: 400 }, (_, i) =>
      producer.publish("jobs", { key: Buffer.from(`k${i % 9}`), value: Buffer.from(`${i}`) }),
    );
    await Promise.all(sent);
    const consumer = first.consumer({ group: "workers", from: "earliest" });
    await consumer.subscribe(["jobs"]);
    const committed = new Map<number, number>();
    const done = new Set<string>();
    while (done.size < 150) {
      for (const batch of await consumer.poll(500)) {
        // half of each batch is committed, the rest has to come again
        const half = batch.records.slice(0, Math.ceil(batch.records.length / 2));
        const offset = half.at(-1)!.offset + 1;
        await consumer.commit([{ topic: "jobs", partition: batch.partition, offset }]);
        committed.set(batch.partition, offset);
        for (const record of half) done.add(`${record.partition}:${record.offset}`);
        await consumer.seek({ topic: "jobs", partition: batch.partition }, { offset });
      }
    }
    await hub.end("SIGKILL");
    void first.close().catch(() => {});
    hub = await startHub({ data: folder, env });
    const second = connect({ bootstrap: `127.0.0.1:${hub.kafka}`, clientId: "second" });
    const offsets = await second.admin().groupOffsets("workers");
    assert.deepEqual(new Map(offsets.map(({ partition, offset }) => [partition, offset])), committed);
    await second.close();
    await hub.end();
  } finally {
    await hub?.end("SIGKILL");
    remove();
  }
});
