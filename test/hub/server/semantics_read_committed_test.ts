// Read-committed consumers of a real hub, with its own coordinator: over sockets, without one, and after a restart.
import assert from "node:assert/strict";
import test from "node:test";
import type { Consumer } from "../../../hub/client/faces.ts";
import type { Hub } from "../../../hub/hub.ts";
import { encodeBatch } from "../../../hub/record/builder.ts";
import { scratch } from "../../tools/hub_process.ts";
import { withHub } from "../../tools/test_hub.ts";
import { fetch, is, makeTopic } from "../../tools/wire_calls.ts";
import type { WireClient } from "../../tools/wire_client.ts";

/** A transactional producer as the classic protocol has it. */
class Transactor {
  readonly #wire: WireClient;
  readonly #name: string;
  #sequence = 0;
  producerId = -1;
  epoch = -1;

  constructor(wire: WireClient, name: string) {
    this.#wire = wire;
    this.#name = name;
  }

  async init(): Promise<this> {
    await this.#wire.call("findCoordinator", 4, { keyType: 1, coordinatorKeys: [this.#name] });
    for (;;) {
      const request = { transactionalId: this.#name, transactionTimeoutMs: 60_000 };
      const reply = await this.#wire.call("initProducerId", 4, request);
      if (reply.errorCode === 51 || reply.errorCode === 14) continue; // the one before is being ended
      is(reply, "NONE");
      [this.producerId, this.epoch, this.#sequence] = [reply.producerId, reply.producerEpoch, 0];
      return this;
    }
  }

  async add(topic: string): Promise<void> {
    const { producerId, epoch: producerEpoch } = this;
    const v3AndBelowTopics = [{ name: topic, partitions: [0] }];
    for (;;) {
      const request = { v3AndBelowTransactionalId: this.#name, v3AndBelowProducerId: producerId };
      const ids = { ...request, v3AndBelowProducerEpoch: producerEpoch, v3AndBelowTopics };
      const reply = await this.#wire.call("addPartitionsToTxn", 3, ids);
      const [result] = reply.resultsByTopicV3AndBelow![0]!.resultsByPartition;
      if (result!.partitionErrorCode === 51) continue;
      is({ errorCode: result!.partitionErrorCode! }, "NONE");
      return;
    }
  }

  async send(topic: string, values: readonly string[]) {
    const { producerId, epoch: producerEpoch } = this;
    const records = values.map((value) => ({ key: null, value: Buffer.from(value) }));
    const options = { producerId, producerEpoch, baseSequence: this.#sequence, transactional: true };
    const topicData = [{ name: topic, partitionData: [{ index: 0, records: encodeBatch(records, options, 1000) }] }];
    const request = { transactionalId: this.#name, acks: -1, timeoutMs: 10_000, topicData };
    const { responses } = await this.#wire.call("produce", 9, request);
    this.#sequence += values.length;
    return responses[0]!.partitionResponses[0]!;
  }

  async end(committed: boolean): Promise<void> {
    const { producerId, epoch: producerEpoch } = this;
    const request = { transactionalId: this.#name, producerId, producerEpoch, committed };
    is(await this.#wire.call("endTxn", 3, request), "NONE");
  }
}

const text = (value: Uint8Array | null): string => Buffer.from(value!).toString();

async function read(consumer: Consumer, count: number): Promise<string[]> {
  const values: string[] = [];
  while (values.length < count) {
    for (const batch of await consumer.poll(10_000)) values.push(...batch.records.map(({ value }) => text(value)));
  }
  return values;
}

async function consumerOf(hub: Hub, isolation: "read_committed" | "read_uncommitted"): Promise<Consumer> {
  const consumer = hub.client("reader").consumer({ from: "earliest", isolation });
  await consumer.assign([{ topic: "t" }]);
  return consumer;
}

test("committed records come when their marker does; aborted ones never; others' readers see all but markers", async () => {
  await withHub({}, async ({ hub, wire }) => {
    await makeTopic(wire, "t");
    const [committed, all] = [await consumerOf(hub, "read_committed"), await consumerOf(hub, "read_uncommitted")];
    try {
      const [one, two] = [await new Transactor(wire, "one").init(), await new Transactor(wire, "two").init()];
      await one.add("t");
      await two.add("t");
      is(await one.send("t", ["a", "b"]), "NONE");
      is(await two.send("t", ["x"]), "NONE");
      is(await one.send("t", ["c"]), "NONE");
      assert.deepEqual(await read(all, 4), ["a", "b", "x", "c"]);
      assert.deepEqual(await committed.poll(50), []);
      await one.end(true);
      assert.deepEqual(await read(committed, 2), ["a", "b"], "up to the transaction that is open");
      await two.end(false);
      assert.deepEqual(await read(committed, 1), ["c"]);
      await one.add("t");
      is(await one.send("t", ["d"]), "NONE");
      await one.end(true);
      assert.deepEqual(await read(committed, 1), ["d"]);
      assert.deepEqual(await read(all, 1), ["d"]);
      const told = await fetch(wire, { topic: "t", isolationLevel: 1 });
      assert.deepEqual(told.abortedTransactions, [{ producerId: two.producerId, firstOffset: 2 }]);
    } finally {
      await Promise.all([committed.close(), all.close()]);
    }
  });
});

test("a reader comes to the end of a log that ends in markers and aborted records", async () => {
  await withHub({}, async ({ hub, wire }) => {
    await makeTopic(wire, "t");
    const one = await new Transactor(wire, "one").init();
    await one.add("t");
    is(await one.send("t", ["a"]), "NONE");
    await one.end(false);
    for (const isolation of ["read_committed", "read_uncommitted"] as const) {
      const consumer = await consumerOf(hub, isolation);
      try {
        let next = 0;
        const values: string[] = [];
        while (next < 2) {
          for (const { nextOffset, records } of await consumer.poll(10_000)) {
            next = nextOffset;
            values.push(...records.map(({ value }) => text(value)));
          }
        }
        assert.deepEqual(values, isolation === "read_committed" ? [] : ["a"]);
      } finally {
        await consumer.close();
      }
    }
  });
});

test("a partition that was not added is refused; so is a fenced producer's batch", async () => {
  await withHub({}, async ({ wire }) => {
    await makeTopic(wire, "t");
    const one = await new Transactor(wire, "one").init();
    is(await one.send("t", ["a"]), "INVALID_TXN_STATE");
    const zombie = await new Transactor(wire, "two").init();
    await zombie.add("t");
    is(await zombie.send("t", ["a"]), "NONE");
    await new Transactor(wire, "two").init();
    is(await zombie.send("t", ["b"]), "INVALID_PRODUCER_EPOCH");
  });
});

test("an open transaction is open after a restart, and its producer may end it", async () => {
  const { folder, remove } = scratch();
  try {
    let ids = { producerId: -1, epoch: -1 };
    await withHub({ folder }, async ({ wire }) => {
      await makeTopic(wire, "t");
      const aborted = await new Transactor(wire, "old").init();
      await aborted.add("t");
      is(await aborted.send("t", ["gone"]), "NONE");
      await aborted.end(false);
      const one = await new Transactor(wire, "one").init();
      await one.add("t");
      is(await one.send("t", ["a"]), "NONE");
      ids = { producerId: one.producerId, epoch: one.epoch };
    });
    await withHub({ folder }, async ({ hub, wire }) => {
      const before = await fetch(wire, { topic: "t", isolationLevel: 1, offset: 2 });
      assert.deepEqual([before.highWatermark, before.lastStableOffset], [3, 2]);
      const one = Object.assign(new Transactor(wire, "one"), ids);
      await one.end(true);
      const consumer = await consumerOf(hub, "read_committed");
      try {
        assert.deepEqual(await read(consumer, 1), ["a"]);
      } finally {
        await consumer.close();
      }
    });
  } finally {
    remove();
  }
});
