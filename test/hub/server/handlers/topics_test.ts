// CreateTopics, DeleteTopics, CreatePartitions over the wire, each refusal by its code.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { codeOf, type ErrorName } from "../../../../hub/errors.ts";
import { openClock } from "../../../../hub/io/clock.ts";
import { openRandom } from "../../../../hub/io/crypto.ts";
import { openDisk } from "../../../../hub/io/disk.ts";
import type { Clock, Disk } from "../../../../hub/io/ports.ts";
import { defaultLogSettings, openStore } from "../../../../hub/log/store.ts";
import { silentTrace } from "../../../../hub/mod.ts";
import type { CallOf } from "../../../../hub/wire/apis.ts";
import { openTestHub, withHub } from "../../../tools/test_hub.ts";
import { scratch } from "../../../tools/hub_process.ts";
import type { WireClient } from "../../../tools/wire_client.ts";

type Wanted = CallOf<"createTopics">["topics"][number];

const wanted = (name: string, more: Partial<Wanted> = {}): Wanted => ({
  name,
  numPartitions: -1,
  replicationFactor: -1,
  assignments: [],
  configs: [],
  ...more,
});

async function create(
  wire: WireClient,
  topics: readonly Wanted[],
  options: { validateOnly?: boolean; version?: number } = {},
) {
  const { version = 7, validateOnly = false } = options;
  return (await wire.call("createTopics", version, { topics, validateOnly })).topics;
}

test("defaults, the resulting settings, and the topic in the next metadata", async () => {
  await withHub({ settings: { "num.partitions": 3 } }, async ({ wire }) => {
    const configs = [{ name: "retention.ms", value: "1000" }];
    const [made] = await create(wire, [wanted("t", { configs })]);
    assert.deepEqual([made!.errorCode, made!.numPartitions, made!.replicationFactor], [0, 3, 1]);
    const entries = new Map(made!.configs!.map((entry) => [entry.name, entry]));
    assert.deepEqual([entries.get("retention.ms")!.value, entries.get("retention.ms")!.configSource], ["1000", 1]);
    assert.equal(entries.get("segment.ms")!.configSource, 5);
    const { topics } = await wire.call("metadata", 12, { topics: [{ name: "t" }], allowAutoTopicCreation: false });
    assert.deepEqual([topics[0]!.errorCode, topics[0]!.topicId, topics[0]!.partitions.length], [0, made!.topicId, 3]);
    const byId = await wire.call("metadata", 12, { topics: [{ name: null, topicId: made!.topicId }] });
    assert.equal(byId.topics[0]!.name, "t");
  });
});

test("each refusal has its code, and nothing is made", async () => {
  await withHub({}, async ({ wire }) => {
    await create(wire, [wanted("taken"), wanted("dot.ted")]);
    const refusals: [Wanted, ErrorName][] = [
      [wanted("taken"), "TOPIC_ALREADY_EXISTS"],
      [wanted("dot_ted"), "INVALID_TOPIC_EXCEPTION"],
      [wanted("a/b"), "INVALID_TOPIC_EXCEPTION"],
      [wanted("__mine"), "INVALID_TOPIC_EXCEPTION"],
      [wanted("x1", { numPartitions: 0 }), "INVALID_PARTITIONS"],
      [wanted("x2", { replicationFactor: 3 }), "INVALID_REPLICATION_FACTOR"],
      [wanted("x3", { configs: [{ name: "no.such", value: "1" }] }), "INVALID_CONFIG"],
      [wanted("x4", { configs: [{ name: "retention.ms", value: null }] }), "INVALID_CONFIG"],
      [wanted("x5", { assignments: [{ partitionIndex: 0, brokerIds: [9] }] }), "INVALID_REPLICA_ASSIGNMENT"],
      [wanted("x6", { assignments: [{ partitionIndex: 1, brokerIds: [1] }] }), "INVALID_REPLICA_ASSIGNMENT"],
      [wanted("x7", { numPartitions: 2, assignments: [{ partitionIndex: 0, brokerIds: [1] }] }), "INVALID_REQUEST"],
    ];
    const answers = await create(
      wire,
      refusals.map(([topic]) => topic),
    );
    answers.forEach((answer, i) => {
      const [topic, name] = refusals[i]!;
      assert.equal(answer.errorCode, codeOf(name), `${topic.name}: ${answer.errorMessage}`);
      assert.ok(answer.errorMessage!.length > 10);
    });
    const twice = await create(wire, [wanted("twin"), wanted("twin")]);
    assert.deepEqual(
      twice.map((one) => one.errorCode),
      [42],
    );
    const checked = await create(wire, [wanted("only-checked")], { validateOnly: true });
    assert.equal(checked[0]!.errorCode, 0);
    const { topics } = await wire.call("metadata", 12, { topics: null });
    assert.deepEqual(topics.map((topic) => topic.name).sort(), ["dot.ted", "taken"]);
  });
});

test("topics, their ids and their growth survive a restart; a topic made anew has another id", async () => {
  const { folder, remove } = scratch();
  try {
    let opened = await openTestHub({ folder });
    const [made] = await create(opened.wire, [wanted("t", { assignments: [{ partitionIndex: 0, brokerIds: [1] }] })]);
    const grow = { topics: [{ name: "t", count: 4, assignments: null }], timeoutMs: 1000, validateOnly: false };
    assert.equal((await opened.wire.call("createPartitions", 3, grow)).results[0]!.errorCode, 0);
    assert.equal(
      (await opened.wire.call("createPartitions", 3, grow)).results[0]!.errorCode,
      codeOf("INVALID_PARTITIONS"),
    );
    await opened.close();
    opened = await openTestHub({ folder });
    const { topics } = await opened.wire.call("metadata", 12, { topics: [{ name: "t" }] });
    assert.deepEqual([topics[0]!.topicId, topics[0]!.partitions.length], [made!.topicId, 4]);
    const gone = await opened.wire.call("deleteTopics", 6, {
      topics: [{ name: null, topicId: made!.topicId }],
      timeoutMs: 1000,
    });
    assert.deepEqual([gone.responses[0]!.errorCode, gone.responses[0]!.name], [0, "t"]);
    const [anew] = await create(opened.wire, [wanted("t")]);
    assert.notEqual(anew!.topicId, made!.topicId);
    const old = await opened.wire.call("metadata", 12, { topics: [{ name: null, topicId: made!.topicId }] });
    assert.equal(old.topics[0]!.errorCode, codeOf("UNKNOWN_TOPIC_ID"));
    await opened.close();
  } finally {
    remove();
  }
});

test("deleting what is not there", async () => {
  await withHub({}, async ({ wire }) => {
    const { responses } = await wire.call("deleteTopics", 1, { topicNames: ["none"], timeoutMs: 1000 });
    assert.equal(responses[0]!.errorCode, codeOf("UNKNOWN_TOPIC_OR_PARTITION"));
  });
});

test("auto-creation happens when the client and the hub both allow it", async () => {
  const ask = async (wire: WireClient, name: string, allowed: boolean): Promise<number> => {
    const { topics } = await wire.call("metadata", 9, { topics: [{ name }], allowAutoTopicCreation: allowed });
    return topics[0]!.errorCode;
  };
  await withHub({}, async ({ wire }) => {
    assert.equal(await ask(wire, "no", false), codeOf("UNKNOWN_TOPIC_OR_PARTITION"));
    assert.equal(await ask(wire, "yes", true), 0);
    assert.equal(await ask(wire, "not/legal", true), codeOf("INVALID_TOPIC_EXCEPTION"));
  });
  await withHub({ settings: { "auto.create.topics.enable": "false" } }, async ({ wire }) => {
    assert.equal(await ask(wire, "yes", true), codeOf("UNKNOWN_TOPIC_OR_PARTITION"));
  });
});

test("metadata v0 with no names means all, v1 with none means none", async () => {
  await withHub({}, async ({ wire }) => {
    await create(wire, [wanted("t")]);
    assert.equal((await wire.call("metadata", 0, { topics: [] })).topics.length, 1);
    assert.equal((await wire.call("metadata", 1, { topics: [] })).topics.length, 0);
    const all = await wire.call("metadata", 2, { topics: null });
    assert.equal(all.topics.length, 1);
    assert.ok(all.clusterId!.length > 10);
    assert.equal(all.controllerId, 1);
  });
});

test("assignments of a growth name the replicas of each new partition and of no other", async () => {
  await withHub({}, async ({ wire }) => {
    await create(wire, [wanted("t", { numPartitions: 2 })]);
    const grow = async (count: number, replicas: number[][] | null): Promise<number> => {
      const assignments = replicas?.map((brokerIds) => ({ brokerIds })) ?? null;
      const request = { topics: [{ name: "t", count, assignments }], timeoutMs: 1000, validateOnly: false };
      return (await wire.call("createPartitions", 3, request)).results[0]!.errorCode;
    };
    assert.equal(await grow(4, [[1]]), codeOf("INVALID_REPLICA_ASSIGNMENT"));
    assert.equal(await grow(4, [[1], []]), codeOf("INVALID_REPLICA_ASSIGNMENT"));
    assert.equal(await grow(4, [[1], [2]]), codeOf("INVALID_REPLICA_ASSIGNMENT"));
    assert.equal(await grow(2, [[1]]), codeOf("INVALID_PARTITIONS"));
    assert.equal(await grow(4, [[1], [1]]), 0);
  });
});

test("a deletion names each topic once, by name or id", async () => {
  await withHub({}, async ({ wire }) => {
    const [made] = await create(wire, [wanted("t")]);
    const drop = async (topics: NonNullable<CallOf<"deleteTopics">["topics"]>) => {
      const { responses } = await wire.call("deleteTopics", 6, { topics, timeoutMs: 1000 });
      return responses.map((one) => one.errorCode);
    };
    const wrong = codeOf("INVALID_REQUEST");
    assert.deepEqual(await drop([{ name: "t" }, { name: "t" }]), [wrong]);
    assert.deepEqual(await drop([{ name: "t" }, { name: null, topicId: made!.topicId }]), [wrong]);
    assert.deepEqual(await drop([{ name: "t", topicId: made!.topicId }]), [wrong]);
    assert.deepEqual(await drop([{ name: null }]), [wrong]);
    assert.deepEqual(await drop([{ name: null, topicId: made!.topicId }]), [0]);
  });
});

test("a growth that the disk refuses midway leaves the topic as it was, and works once there is room", async () => {
  const { folder, remove } = scratch();
  let refuse = true;
  // the sixth partition finds the disk full
  const disk = (real: Disk): Disk =>
    wrapped(real, "makeDirectory", (name: string) => {
      if (refuse && name.endsWith("-5")) throw Object.assign(new Error(`no room for ${name}`), { code: "ENOSPC" });
      real.makeDirectory(name);
    });
  // what waits for room looks a hundred times as often
  const clock = (real: Clock): Clock =>
    wrapped(real, "after", (delayMs: number, call: () => void) => real.after(delayMs / 100, call));
  const opened = await openTestHub({ folder, between: { disk, clock } });
  try {
    const { wire, hub } = opened;
    await create(wire, [wanted("t", { numPartitions: 2 })]);
    const topics = [{ name: "t", count: 9, assignments: null }];
    const grow = async () =>
      (await wire.call("createPartitions", 3, { topics, timeoutMs: 1000, validateOnly: false })).results[0]!.errorCode;
    const count = async () => (await wire.call("metadata", 12, { topics: [{ name: "t" }] })).topics[0]!.partitions;
    assert.equal(await grow(), codeOf("KAFKA_STORAGE_ERROR"));
    assert.deepEqual(
      (await count()).map((one) => one.errorCode),
      [0, 0],
    );
    refuse = false;
    while (hub.health().status === "degraded") await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(await grow(), 0);
    assert.deepEqual(
      (await count()).map((one) => one.errorCode),
      Array.from({ length: 9 }, () => 0),
    );
  } finally {
    await opened.close();
    remove();
  }
});

test("logs that a crash left beyond the count of a topic are gone after the next start", async () => {
  const { folder, remove } = scratch();
  try {
    let opened = await openTestHub({ folder });
    const [made] = await create(opened.wire, [wanted("t", { numPartitions: 2 })]);
    await opened.close();
    // what a growth leaves that made its logs and did not come to its end
    const clock = openClock(true);
    const listener = { durable: () => {}, stateChanged: () => {}, possibleLoss: () => {} };
    const rest = { clock, random: openRandom(), trace: silentTrace, hubId: 1, listener };
    const store = await openStore({ disk: openDisk(folder), ...rest });
    await store.createPartition(made!.topicId, 2, "t", defaultLogSettings);
    await store.close();
    opened = await openTestHub({ folder });
    assert.deepEqual(readdirSync(path.join(folder, "topics")).sort(), [`${made!.topicId}-0`, `${made!.topicId}-1`]);
    const { topics } = await opened.wire.call("metadata", 12, { topics: [{ name: "t" }] });
    assert.equal(topics[0]!.partitions.length, 2);
    await opened.close();
  } finally {
    remove();
  }
});

function wrapped<Port extends object>(real: Port, method: keyof Port, call: unknown): Port {
  return new Proxy(real, {
    get(target, name) {
      if (name === method) return call;
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
