// Consumer groups of three hubs: their coordinator dies, Redis dies, is emptied; nothing committed is lost or skipped.
import assert from "node:assert/strict";
import test from "node:test";
import { type Consumer, connect, type HubClient } from "../../hub/mod.ts";
import { dialWire } from "../tools/wire_client.ts";
import { type ChaosHub, ChaosStage } from "./cluster/stage.ts";

const topic = "readings";
const group = "field";
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks any hub that is up. */
async function coordinatorOf(stage: ChaosStage): Promise<ChaosHub> {
  for (const end = performance.now() + 20_000; performance.now() < end; await pause(100)) {
    for (const { host, ports } of stage.hubs.filter(({ up }) => up)) {
      const wire = await dialWire(ports.kafka, host).catch(() => null);
      if (wire === null) continue;
      try {
        const { coordinators } = await wire.call("findCoordinator", 4, { keyType: 0, coordinatorKeys: [group] });
        const found = coordinators[0];
        const hub = stage.hubs.find(({ id }) => id === found?.nodeId);
        if (found?.errorCode === 0 && hub?.up) return hub;
      } finally {
        wire.close();
      }
    }
  }
  throw new Error("nobody coordinates the group");
}

/** One member: every record it was given, in a set that all members share, and committed after that. */
class Member {
  readonly #consumer: Consumer;
  readonly #running: Promise<void>;
  #open = true;

  constructor(client: HubClient, handled: Map<string, number>) {
    this.#consumer = client.consumer({ group, from: "earliest", sessionTimeoutMs: 10_000 });
    this.#running = this.#run(handled);
  }

  async #run(handled: Map<string, number>): Promise<void> {
    await this.#consumer.subscribe([topic]);
    while (this.#open) {
      const batches = await this.#consumer.poll(200);
      for (const { records } of batches) {
        for (const { value } of records) {
          const text = Buffer.from(value!).toString();
          handled.set(text, (handled.get(text) ?? 0) + 1);
        }
      }
      const offsets = batches.map(({ partition, nextOffset }) => ({ topic, partition, offset: nextOffset }));
      await this.#consumer.commit(offsets).catch((error: unknown) => {
        if (!/REBALANCE|GENERATION|MEMBER/.test(String(error))) throw error;
      });
    }
  }

  async close(): Promise<void> {
    this.#open = false;
    await this.#running;
    await this.#consumer.close();
  }
}

async function write(client: HubClient, from: number, count: number): Promise<void> {
  const producer = client.producer({ acks: -1 });
  const sent = Array.from({ length: count }, (_, i) => {
    const text = `v${from + i}`;
    return producer.publish(topic, { key: Buffer.from(text), value: Buffer.from(text) });
  });
  await Promise.all(sent);
  await producer.close();
}

async function reaches(handled: Map<string, number>, count: number): Promise<void> {
  for (const end = performance.now() + 40_000; handled.size < count; await pause(20)) {
    if (performance.now() > end) throw new Error(`only ${handled.size} of ${count} were handled`);
  }
}

test("a group outlives its coordinator, Redis, and an emptied Redis together with its coordinator", async () => {
  const stage = await ChaosStage.open(3);
  const clients = ["one", "two", "three"].map((id) => connect({ bootstrap: stage.bootstrap(), clientId: id }));
  const [client] = clients as [HubClient];
  const handled = new Map<string, number>();
  const members: Member[] = [];
  try {
    await client.admin().createTopic(topic, { partitions: 4 });
    members.push(new Member(clients[1]!, handled), new Member(clients[2]!, handled));
    await write(client, 0, 200);
    await reaches(handled, 200);

    const first = await coordinatorOf(stage);
    await first.end("SIGKILL");
    await write(client, 200, 200);
    await reaches(handled, 400);
    assert.notEqual((await coordinatorOf(stage)).id, first.id);
    await first.start();

    await stage.redis.kill();
    await write(client, 400, 200);
    await reaches(handled, 600);
    await stage.redis.start();

    await write(client, 600, 200);
    await reaches(handled, 800);
    await pause(1_500); // what Redis acknowledged is in the partition within a second (replication.md 2.9)
    await Promise.all(members.splice(0).map((member) => member.close()));
    const before = await client.admin().groupOffsets(group);
    assert.equal(
      before.reduce((sum, { offset }) => sum + offset, 0),
      800,
    );
    await stage.redis.command("FLUSHALL");
    await (await coordinatorOf(stage)).end("SIGKILL");
    await coordinatorOf(stage);
    const sorted = (all: typeof before) => [...all].sort((a, b) => a.partition - b.partition);
    for (const end = performance.now() + 20_000; ; await pause(200)) {
      const after = await client
        .admin()
        .groupOffsets(group)
        .catch(() => []);
      if (after.length === before.length) {
        assert.deepEqual(sorted(after), sorted(before));
        break;
      }
      assert.ok(performance.now() < end, "the offsets do not come back");
    }
    const again = [...handled.values()].filter((times) => times > 1).length;
    assert.ok(again < 800, "some records may be handled again after a failure, never all");
  } catch (error) {
    const words = stage.hubs.map((hub) => `--- hub ${hub.id}:\n${hub.words.slice(-5000)}`).join("\n");
    throw new Error(`${String(error)}\n${words}`, { cause: error });
  } finally {
    await Promise.race([Promise.all(members.map((member) => member.close().catch(() => {}))), pause(3_000)]);
    await Promise.race([Promise.all(clients.map((one) => one.close())), pause(3_000)]);
    await stage.close();
  }
});
