// Subscriber: emit before commit, restart, split and kill, revocation, poison, warm-up, a hub that refuses for a while.
import assert from "node:assert/strict";
import test from "node:test";
import { HubError } from "../../hub/errors.ts";
import { type Fields, silentTrace, type Trace } from "../../hub/trace.ts";
import { startAnalytics } from "../../subscribers/analytics/analytics.ts";
import { aggregatesTopic, decodeAggregate } from "../../subscribers/messages.ts";
import { emittedOf, Subscriber, type SubscriberOptions } from "../../subscribers/subscriber.ts";
import { MemoryHub, until } from "./memory_hub.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const base = 1_700_000_040_000;

function copyTo(hub: MemoryHub, more: Partial<SubscriberOptions> = {}): SubscriberOptions {
  return {
    client: hub.client(),
    trace: silentTrace,
    group: "g",
    topics: ["in"],
    outTopics: ["out"],
    commitMs: 0,
    pollMs: 1,
    task: () => ({
      onRecord: (record) => [{ topic: "out", key: "k", value: record.value!, timestamp: record.timestamp }],
      resumeFrom: (next) => next,
    }),
    ...more,
  };
}

function fill(hub: MemoryHub, count: number): string[] {
  const texts: string[] = [];
  for (let i = 0; i < count; i++) {
    const text = `r${i}`;
    hub.append("in", i % hub.partitionsDefault, { key: null, value: bytes(text) });
    texts.push(text);
  }
  return texts.sort();
}

const distinct = (texts: readonly string[]): string[] => [...new Set(texts)].sort();

test("everything is written, then committed, and a restart begins at the commit", async () => {
  const hub = new MemoryHub();
  const texts = fill(hub, 100);
  const first = new Subscriber(copyTo(hub));
  await until(() => hub.texts("out").length === 100, "all written");
  await first.stop();
  assert.deepEqual(hub.texts("out").sort(), texts);
  assert.deepEqual(
    [...hub.commits.values()],
    [50, 50].map((offset) => ({ offset, metadata: "" })),
  );
  const second = new Subscriber(copyTo(hub));
  hub.append("in", 0, { key: null, value: bytes("new") });
  await until(() => hub.texts("out").length === 101, "only the new one");
  await second.stop();
  assert.equal(second.counts().emitted, 1);
});

test("nothing is committed before it is acknowledged", async () => {
  const hub = new MemoryHub();
  fill(hub, 20);
  let refusing = true;
  hub.onProduce = (topic) => {
    if (topic === "out" && refusing) throw new HubError("NOT_ENOUGH_REPLICAS");
  };
  const subscriber = new Subscriber(copyTo(hub));
  await until(() => subscriber.counts().records > 0, "the first turn");
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(hub.commits.size, 0);
  refusing = false;
  await until(() => hub.texts("out").length === 20, "written after the refusal ends");
  await subscriber.stop();
  assert.equal(
    [...hub.commits.values()].reduce((sum, { offset }) => sum + offset, 0),
    20,
  );
});

test("stopping while the hub refuses ends at once and commits nothing", async () => {
  const hub = new MemoryHub();
  fill(hub, 4);
  hub.onProduce = (topic) => {
    if (topic === "out") throw new HubError("KAFKA_STORAGE_ERROR");
  };
  const subscriber = new Subscriber(copyTo(hub));
  await until(() => subscriber.counts().records > 0, "the first turn");
  await subscriber.stop();
  assert.equal(hub.commits.size, 0);
});

test("two members share the partitions; one is killed and nothing is lost", async () => {
  const hub = new MemoryHub();
  hub.partitionsDefault = 4;
  const texts = fill(hub, 400);
  const one = new Subscriber(copyTo(hub));
  const two = new Subscriber(copyTo(hub));
  await until(() => hub.members.length === 2 && hub.members.every(({ held }) => held.length === 2), "two each");
  hub.kill(hub.members[0]!);
  await until(() => distinct(hub.texts("out")).length === 400, "all there");
  assert.deepEqual(distinct(hub.texts("out")), texts);
  await two.stop();
  await Promise.race([one.stop(), new Promise((resolve) => setTimeout(resolve, 10))]);
});

test("poison records are counted, named and skipped", async () => {
  const hub = new MemoryHub();
  const lines: [string, Fields][] = [];
  const trace: Trace = { ...silentTrace, event: (_, event, fields = {}) => void lines.push([event, fields]) };
  const sensor = (value: string | null, key: string | null = "d1"): void => {
    hub.append("sensors", 0, { key: key === null ? null : bytes(key), value: value === null ? null : bytes(value) });
  };
  for (const value of ["", "{", "[]", '{"t":1}', '{"t":1,"v":"x"}', null, "\u0000"]) sensor(value);
  sensor(`{"t":${base},"v":1}`, null);
  for (const t of [0, 30_000, 200_000]) sensor(`{"t":${base + t},"v":1}`);
  const subscriber = startAnalytics({ client: hub.client(), trace, commitMs: 0, pollMs: 1 });
  await until(() => subscriber.counts().records === 11, "all read");
  await until(() => hub.texts(aggregatesTopic).length === 1, "one window");
  await subscriber.stop();
  assert.equal(subscriber.counts().poison, 8);
  const said = lines.filter(([event]) => event === "subscriber_poison");
  assert.equal(said.length, 1, "one line for all of them");
  assert.equal(said[0]![1].offset, 0);
  assert.equal(subscriber.counts().restarts, 0);
});

test("a task that throws loses that record only", async () => {
  const hub = new MemoryHub();
  fill(hub, 10);
  const task: SubscriberOptions["task"] = () => ({
    onRecord: (record) => {
      if (record.offset === 2) throw new Error("no");
      return [{ topic: "out", key: "k", value: record.value!, timestamp: 0 }];
    },
    resumeFrom: (next) => next,
  });
  const subscriber = new Subscriber(copyTo(hub, { task }));
  await until(() => hub.texts("out").length === 8, "the others");
  await subscriber.stop();
  assert.equal(subscriber.counts().poison, 2);
});

test("a task with a memory is warmed up and stays silent meanwhile", async () => {
  const hub = new MemoryHub();
  fill(hub, 60);
  const seen: number[][] = [];
  const task: SubscriberOptions["task"] = () => {
    const offsets: number[] = [];
    seen.push(offsets);
    return {
      onRecord: (record) => {
        offsets.push(record.offset);
        return [{ topic: "out", key: "k", value: record.value!, timestamp: 0 }];
      },
      resumeFrom: (next) => next,
    };
  };
  const first = new Subscriber(copyTo(hub, { task, warmupRecords: 10 }));
  await until(() => hub.texts("out").length === 60, "all");
  await first.stop();
  hub.append("in", 0, { key: null, value: bytes("more") });
  const second = new Subscriber(copyTo(hub, { task, warmupRecords: 10 }));
  await until(() => hub.texts("out").length === 61, "one more");
  await second.stop();
  assert.deepEqual(
    seen.find((offsets) => offsets.includes(30)),
    Array.from({ length: 11 }, (_, i) => 20 + i),
  );
  assert.equal(hub.texts("out").length, 61);
});

test("aggregates after kills are those of an uninterrupted run", async () => {
  const readings = (hub: MemoryHub): void => {
    hub.partitionsDefault = 1;
    for (let i = 0; i < 600; i++) {
      const at = base + i * 700;
      const value = bytes(JSON.stringify({ t: at - ((i * 7919) % 15_000), v: (i * 31) % 17 }));
      hub.append("sensors", 0, { key: bytes(`d${(i * i) % 3}`), value, timestamp: at });
    }
  };
  const run = async (kills: number): Promise<Map<string, string>> => {
    const hub = new MemoryHub();
    readings(hub);
    for (let i = 0; i <= kills; i++) {
      const subscriber = startAnalytics({ client: hub.client(), trace: silentTrace, commitMs: 0, pollMs: 1 });
      const goal = Math.floor((600 * (i + 1)) / (kills + 1));
      await until(() => hub.members.length > 0 && (hub.commits.get("sensors/0") ? reached(hub) : 0) >= goal, "commits");
      if (i < kills) hub.kill(hub.members[0]!);
      else await subscriber.stop();
    }
    const byId = new Map<string, string>();
    for (const text of hub.texts(aggregatesTopic)) {
      const { id } = decodeAggregate(bytes(text));
      assert.equal(byId.get(id) ?? text, text, "a second copy is identical");
      byId.set(id, text);
    }
    return byId;
  };
  const reached = (hub: MemoryHub): number => {
    const { offset, metadata } = hub.commits.get("sensors/0")!;
    return Math.max(offset, emittedOf(metadata));
  };
  const whole = await run(0);
  assert.ok(whole.size > 5);
  assert.deepEqual(await run(4), whole);
});

test("metadata of others says nothing", () => {
  assert.equal(emittedOf("emitted=12"), 12);
  for (const text of ["", "emitted=", "emitted=-1", "emitted=1e9", "x emitted=1", "emitted=99999999999999999"]) {
    assert.equal(emittedOf(text), -1);
  }
});
