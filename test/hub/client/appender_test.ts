// Batches under identities of the caller: none is doubled, whoever appends it again, and whatever an answer said.
import assert from "node:assert/strict";
import test from "node:test";
import { connectLocal } from "../../../hub/client/client.ts";
import type { Appender } from "../../../hub/client/faces.ts";
import { openClock } from "../../../hub/io/clock.ts";
import type { Clock } from "../../../hub/io/ports.ts";
import { limits } from "../../../hub/mod.ts";
import { openTestHub } from "../../tools/test_hub.ts";
import { readAll } from "../../bridge/keep/stage.ts";
import { scriptedHub, type ScriptedHub } from "./scripted_hub.ts";

const real = openClock();
/** Retry pauses cost nothing here. */
const clock: Clock = { ...real, now: real.now, after: (_delayMs, call) => real.after(0, call), soon: real.soon };
const record = (value: string) => ({ key: Buffer.from("k"), value: Buffer.from(value) });
const at = { topic: "t", partition: 0 };

async function withAppender(use: (hub: ScriptedHub, appender: Appender) => Promise<void>): Promise<void> {
  const hub = scriptedHub();
  hub.topics.set("t", 1);
  const client = connectLocal({ dispatch: hub.dispatch, clock, clientId: "test" });
  const alive = setInterval(() => {}, 1000);
  try {
    await use(hub, client.appender());
  } finally {
    await client.close();
    clearInterval(alive);
  }
}

test("an answer that is lost is asked for again, and the batch is there once", async () => {
  await withAppender(async (hub, appender) => {
    const identity = await appender.identity();
    assert.notEqual((await appender.identity()).producerId, identity.producerId);
    let lost = 3;
    hub.fate = () => (lost-- > 0 ? "lost" : "append");
    await appender.append(at, identity, [record("1"), record("2")]);
    assert.deepEqual(hub.values("t", 0), ["1", "2"]);
    assert.equal(hub.produceCalls.length, 4);
  });
});

test("what is refused is told at once; what nobody knows after as many attempts as a client makes", async () => {
  await withAppender(async (hub, appender) => {
    const identity = await appender.identity();
    hub.fate = () => "MESSAGE_TOO_LARGE";
    await assert.rejects(appender.append(at, identity, [record("1")]), { kind: "MESSAGE_TOO_LARGE", retriable: false });
    assert.equal(hub.produceCalls.length, 1);
    hub.fate = () => "NOT_ENOUGH_REPLICAS";
    await assert.rejects(appender.append(at, identity, [record("1")]), { kind: "NOT_ENOUGH_REPLICAS" });
    assert.equal(hub.produceCalls.length, 2 + limits.clientRetriesMax);
  });
});

test("the partition of a record is the one that a producer chooses; a topic that does not come is told", async () => {
  await withAppender(async (hub, appender) => {
    hub.topics.set("wide", 7);
    const partition = await appender.partitionOf("wide", record("1"));
    const client = connectLocal({ dispatch: hub.dispatch, clock, clientId: "test" });
    assert.equal((await client.producer().publish("wide", record("1"))).partition, partition);
    await client.close();
    assert.equal(await appender.partitionOf("wide", { ...record("1"), partition: 2 }), 2);
    await assert.rejects(appender.partitionOf("missing", record("1")), { kind: "UNKNOWN_TOPIC_OR_PARTITION" });
    hub.create = true;
    assert.ok((await appender.partitionOf("missing", record("1"))) < 2);
  });
});

test("a hub takes a batch of an identity once, also after the identity's next one", async () => {
  const opened = await openTestHub({});
  try {
    await opened.hub.ensureTopic("t");
    const [one, other] = [opened.hub.client("a"), opened.hub.client("b")];
    const identity = await one.appender().identity();
    const place = { topic: "t", partition: await one.appender().partitionOf("t", record("1")) };
    await one.appender().append(place, identity, [record("1"), record("2")]);
    await other.appender().append(place, identity, [record("1"), record("2")]);
    const next = { ...identity, producerEpoch: identity.producerEpoch + 1 };
    await other.appender().append(place, next, [record("3")]);
    await one.appender().append(place, identity, [record("1"), record("2")]);
    await one.appender().append(place, next, [record("3")]);
    assert.deepEqual(await readAll(opened, "t"), ["1", "2", "3"]);
    await Promise.all([one.close(), other.close()]);
  } finally {
    await opened.close();
  }
});
