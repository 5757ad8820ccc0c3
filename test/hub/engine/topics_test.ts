// The catalogue of topics over a store of facts.
import assert from "node:assert/strict";
import test from "node:test";
import { checkTopicName, Topics, uuidText } from "../../../hub/engine/topics.ts";
import { type ErrorName, HubError } from "../../../hub/errors.ts";
import { limits } from "../../../hub/limits.ts";
import type { FactStore } from "../../../hub/io/registry.ts";

function memoryFacts(): FactStore & { readonly size: number; broken: boolean } {
  const facts = new Map<string, Uint8Array>();
  return {
    broken: false,
    get size() {
      return facts.size;
    },
    get: (key) => facts.get(key),
    entries: (prefix) => [...facts].filter(([key]) => key.startsWith(prefix)),
    async put(changes) {
      if (this.broken) throw new HubError("KAFKA_STORAGE_ERROR");
      for (const [key, value] of changes) {
        if (value) facts.set(key, value);
        else facts.delete(key);
      }
    },
  };
}

let drawn = 0;
const random = {
  float: () => 0,
  bytes: (count: number) => new Uint8Array(count),
  uuid: () => new Uint8Array(16).fill(++drawn),
};
const open = (facts: FactStore): Topics => new Topics(facts, random, new Map([["retention.ms", "5"]]));
const refused = (name: ErrorName) => (error: unknown) => error instanceof HubError && error.kind === name;

test("a topic is there after a restart, with its id, settings and partitions", async () => {
  const facts = memoryFacts();
  const made = await open(facts).create("sensors", 4, new Map([["segment.ms", "9"]]), 77);
  const again = open(facts).byName("sensors")!;
  assert.deepEqual(again, made);
  assert.equal(open(facts).byId(made.topicId)?.name, "sensors");
  const settings = open(facts).settingsOf(again);
  assert.deepEqual([settings.number("segment.ms"), settings.number("retention.ms")], [9, 5]);
});

test("a name that is taken, collides, or is not legal", async () => {
  const topics = open(memoryFacts());
  await topics.create("a.b", 1, new Map(), 0);
  assert.throws(() => topics.check("a.b", 1, new Map()), refused("TOPIC_ALREADY_EXISTS"));
  assert.throws(() => topics.check("a_b", 1, new Map()), refused("INVALID_TOPIC_EXCEPTION"));
  for (const name of ["", ".", "..", "a/b", "ä", "x".repeat(250), "a\0", "../../etc"]) {
    assert.throws(() => checkTopicName(name), refused("INVALID_TOPIC_EXCEPTION"), name);
  }
  checkTopicName("x".repeat(249));
});

test("partition counts and settings are checked", () => {
  const topics = open(memoryFacts());
  for (const count of [0, -1, 1.5, limits.partitionsPerTopicMax + 1]) {
    assert.throws(() => topics.check("t", count, new Map()), refused("INVALID_PARTITIONS"), String(count));
  }
  assert.throws(() => topics.check("t", 1, new Map([["retention.ms", "x"]])), refused("INVALID_CONFIG"));
});

test("partitions grow and never shrink", async () => {
  const facts = memoryFacts();
  const topics = open(facts);
  await topics.create("t", 2, new Map(), 0);
  await assert.rejects(topics.grow("t", 2, false), refused("INVALID_PARTITIONS"));
  await assert.rejects(topics.grow("none", 2, false), refused("UNKNOWN_TOPIC_OR_PARTITION"));
  await topics.grow("t", 5, true);
  assert.equal(topics.byName("t")!.partitions, 2);
  await topics.grow("t", 5, false);
  assert.equal(open(facts).byName("t")!.partitions, 5);
});

test("a deletion is remembered until its logs are gone", async () => {
  const facts = memoryFacts();
  const topics = open(facts);
  const topic = await topics.create("t", 3, new Map(), 0);
  await topics.remove(topic);
  const restarted = open(facts);
  assert.equal(restarted.byName("t"), undefined);
  assert.deepEqual(restarted.unfinishedDeletions(), [{ topicId: topic.topicId, partitions: 3 }]);
  await restarted.deleted(topic.topicId);
  assert.equal(facts.size, 0);
});

test("a creation that the disk refused leaves nothing behind", async () => {
  const facts = memoryFacts();
  const topics = open(facts);
  facts.broken = true;
  await assert.rejects(topics.create("t", 1, new Map(), 0), refused("KAFKA_STORAGE_ERROR"));
  assert.equal(topics.byName("t"), undefined);
  facts.broken = false;
  await topics.create("t", 1, new Map(), 0);
});

test("a growth or change that the disk refused leaves the topic as it was", async () => {
  const facts = memoryFacts();
  const topics = open(facts);
  const topic = await topics.create("t", 1, new Map(), 0);
  facts.broken = true;
  await assert.rejects(topics.grow("t", 5, false), refused("KAFKA_STORAGE_ERROR"));
  await assert.rejects(topics.configure("t", new Map([["segment.ms", "9"]]), false), refused("KAFKA_STORAGE_ERROR"));
  assert.deepEqual([topics.byName("t"), topics.byId(topic.topicId)], [topic, topic]);
});

test("a topic made anew has another id", async () => {
  const topics = open(memoryFacts());
  const first = await topics.create("t", 1, new Map(), 0);
  await topics.remove(first);
  assert.notEqual((await topics.create("t", 1, new Map(), 0)).topicId, first.topicId);
});

test("uuid text is canonical", () => {
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => i * 17);
  assert.equal(uuidText(bytes), "00112233-4455-6677-8899-aabbccddeeff");
});
