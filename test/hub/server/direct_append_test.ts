// A producer in the hub's process, whose batches go in without a request: order, offsets, refusals by name.
import assert from "node:assert/strict";
import test from "node:test";
import { slabs } from "../../../hub/client/slabs.ts";
import { HubError } from "../../../hub/errors.ts";
import { openTestHub } from "../../tools/test_hub.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("records keep their order and get their offsets; what is too large is refused by name and disturbs nobody", async () => {
  const { hub, close } = await openTestHub();
  try {
    const client = hub.client("test");
    await client.admin().createTopic("t", { partitions: 1, configs: { "max.message.bytes": "2000" } });
    const producer = client.producer({ batchBytes: 1_000 });
    const answers: string[] = [];
    const answered = new Promise<void>((resolve) => {
      for (let n = 0; n < 100; n++) {
        const value = n === 50 ? new Uint8Array(5_000) : bytes(`${n}`);
        producer.send("t", { key: null, value }, (error, offset) => {
          answers.push(error instanceof HubError ? `${n} ${error.kind}` : `${n} at ${offset}`);
          if (answers.length === 100) resolve();
        });
      }
    });
    assert.equal(answers.length, 0, "never within the call");
    await answered;
    const refused = answers.filter((answer) => answer.includes("MESSAGE_TOO_LARGE"));
    assert.deepEqual(refused, ["50 MESSAGE_TOO_LARGE"]);
    const offsets = answers
      .filter((answer) => !refused.includes(answer))
      .map((answer) => Number(answer.split(" at ")[1]));
    assert.deepEqual(
      offsets.toSorted((a, b) => a - b),
      Array.from({ length: 99 }, (_, n) => n),
    );
    const consumer = client.consumer();
    await consumer.assign([{ topic: "t", from: "earliest" }]);
    const values: number[] = [];
    while (values.length < 99) {
      for (const { records } of await consumer.poll(1_000)) {
        for (const { value } of records) values.push(Number(new TextDecoder().decode(value!)));
      }
    }
    assert.deepEqual(
      values,
      Array.from({ length: 100 }, (_, n) => n).filter((n) => n !== 50),
    );
    for (const each of [consumer, producer, client]) await each.close();
  } finally {
    await close();
  }
});

test("the memory of batches comes back, whether they were taken or refused, without a request or by one", async () => {
  const { hub, close } = await openTestHub();
  try {
    const client = hub.client("test");
    await client.admin().createTopic("t", { partitions: 2, configs: { "max.message.bytes": "2000" } });
    await hub.ensureTopic("__mqtt_retained"); // internal: by a request
    const [all, one, none] = [client.producer(), client.producer({ acks: 1 }), client.producer({ acks: 0 })];
    await all.publish("t", { key: null, value: bytes("first") });
    const before = slabs.free;
    for (let round = 0; round < 50; round++) {
      const tooLarge = all.publish("t", { key: null, value: new Uint8Array(5_000) });
      await assert.rejects(tooLarge, { kind: "MESSAGE_TOO_LARGE" });
      await all.publish("t", { key: null, value: bytes("a") });
      await one.publish("t", { key: bytes("key"), value: bytes("b") });
      await all.publish("__mqtt_retained", { key: bytes("key"), value: bytes("asked by a request") });
      none.send("t", { key: null, value: bytes("c") });
      await none.flush();
    }
    assert.equal(slabs.free, before);
    for (const each of [all, one, none, client]) await each.close();
  } finally {
    await close();
  }
});
