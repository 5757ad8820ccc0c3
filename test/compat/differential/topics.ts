// Metadata, topics, partitions and the cluster: what admins ask and what each refusal is.
import type { CallOf } from "../../../hub/wire/apis.ts";
import { zeroUuid } from "../../../hub/wire/schema.ts";
import { batch, type Scenario, type Stage } from "./stage.ts";

const unknownId = "11111111-2222-4333-8444-555555555555";

interface Wanted {
  readonly name: string;
  readonly numPartitions?: number;
  readonly replicationFactor?: number;
  readonly assignments?: readonly { readonly partitionIndex: number; readonly brokerIds: readonly number[] }[];
  readonly configs?: readonly { readonly name: string; readonly value: string | null }[];
}

type Creatable = CallOf<"createTopics">["topics"][number];
const full = (wanted: Wanted): Creatable => ({
  numPartitions: 1,
  replicationFactor: 1,
  assignments: [],
  configs: [],
  ...wanted,
});
/** Configs are compared name by name elsewhere. */
const without = (answer: { readonly topics: readonly object[] }) =>
  answer.topics.map((one) => ({ ...one, configs: [], topicId: null }));

async function creating(at: Stage): Promise<void> {
  const create = (name: string, wanted: readonly Wanted[], more: { validateOnly?: boolean; version?: number } = {}) => {
    const { validateOnly = false, version = 7 } = more;
    const request = { topics: wanted.map(full), timeoutMs: 5000, validateOnly };
    return at.step(name, "createTopics", version, request, without);
  };
  await create("new", [{ name: "create-one" }]);
  await create("there already", [{ name: "create-one" }]);
  await create("there already, only validated", [{ name: "create-one" }], { validateOnly: true });
  await create("only validated", [{ name: "create-never" }], { validateOnly: true });
  for (const version of [2, 3, 4, 5, 6])
    await create(`version ${version}`, [{ name: `create-v${version}` }], { version });
  await create("defaults", [{ name: "create-defaults", numPartitions: -1, replicationFactor: -1 }]);
  await create("defaults before they could be asked for", [{ name: "create-old", numPartitions: -1 }], { version: 3 });
  await create("no partitions", [{ name: "create-a", numPartitions: 0 }]);
  await create("-2 partitions", [{ name: "create-a", numPartitions: -2 }]);
  await create("replication factor 0", [{ name: "create-a", replicationFactor: 0 }]);
  await create("replication factor 3", [{ name: "create-a", replicationFactor: 3 }]);
  await create("replication factor -2", [{ name: "create-a", replicationFactor: -2 }]);
  const names = ["", ".", "..", "a b", "a/b", "x".repeat(249), "x".repeat(250), "ä", "a.b_c", "__mine"];
  for (const name of names) await create(`name ${name.length > 20 ? name.length : `"${name}"`}`, [{ name }]);
  await create("differs in . and _ only", [{ name: "a_b_c" }]);
  await create("twice in one request", [{ name: "create-twice" }, { name: "create-twice" }]);
  await create("one good, one bad", [{ name: "create-good" }, { name: "create bad" }]);
  const config = (name: string, value: string | null) => [{ name: "create-c", configs: [{ name, value }] }];
  await create("unknown config", config("no.such.config", "1"));
  await create("config that is no number", config("retention.ms", "soon"));
  await create("config out of range", config("retention.ms", "-2"));
  await create("null config", config("retention.ms", null));
  await create("config of a bad word", config("cleanup.policy", "keep"));
  await create("segment too small", config("segment.bytes", "10"));
  const assigned = (...brokerIds: readonly (readonly number[])[]): readonly Wanted[] => [
    {
      name: "create-assigned",
      numPartitions: -1,
      replicationFactor: -1,
      assignments: brokerIds.map((ids, partitionIndex) => ({ partitionIndex, brokerIds: ids })),
    },
  ];
  await create("assigned to a stranger", assigned([7]));
  await create("assigned twice", assigned([1, 1]));
  await create("assigned to nobody", assigned([]));
  await create("assigned with a count as well", [{ ...assigned([1])[0]!, numPartitions: 1 }]);
  const gap = [{ partitionIndex: 1, brokerIds: [1] }];
  await create("assigned with a gap", [{ ...assigned([1])[0]!, assignments: gap }]);
  await create("assigned", assigned([1], [1]));
  await create("nothing", []);
}

async function deleting(at: Stage): Promise<void> {
  const topicId = await at.topic("delete-one");
  await at.topic("delete-two");
  const remove = (name: string, topics: readonly { name?: string | null; topicId?: string }[]) =>
    at.step(name, "deleteTopics", 6, { topics: topics.map((one) => ({ name: null, ...one })), timeoutMs: 5000 });
  await remove("unknown name", [{ name: "delete-nowhere" }]);
  await remove("unknown id", [{ topicId: unknownId }]);
  await remove("neither", [{}]);
  await remove("name and id", [{ name: "delete-one", topicId }]);
  await remove("twice", [{ name: "delete-two" }, { name: "delete-two" }]);
  await remove("by name and by id", [{ name: "delete-one" }, { topicId }]);
  await remove("by id", [{ topicId }]);
  await remove("by id again", [{ topicId }]);
  await at.topic("delete-three");
  await at.step("version 1", "deleteTopics", 1, { topicNames: ["delete-three", "delete-four"], timeoutMs: 5000 });
  const again = await at.topic("delete-one");
  at.note("a topic made again has another id", again !== topicId);
  await at.step("metadata of the old id", "metadata", 12, { topics: [{ topicId, name: null }] });
  const old = [{ topicId, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 100 }] }];
  await at.step("fetch of the old id", "fetch", 13, { maxWaitMs: 0, minBytes: 0, topics: old });
}

async function growing(at: Stage): Promise<void> {
  await at.topic("grow", 2);
  const grow = (name: string, topic: string, count: number, brokers: readonly (readonly number[])[] | null = null) =>
    at.step(name, "createPartitions", 3, {
      topics: [{ name: topic, count, assignments: brokers?.map((brokerIds) => ({ brokerIds })) ?? null }],
      timeoutMs: 5000,
      validateOnly: false,
    });
  await grow("fewer", "grow", 1);
  await grow("as many", "grow", 2);
  await grow("none", "grow", 0);
  await grow("-1", "grow", -1);
  await grow("unknown topic", "grow-nowhere", 3);
  await grow("assigned to a stranger", "grow", 3, [[9]]);
  await grow("assigned too few", "grow", 4, [[1]]);
  await grow("assigned too many", "grow", 3, [[1], [1]]);
  await grow("assigned to nobody", "grow", 3, [[]]);
  await grow("assigned two where one", "grow", 3, [[1, 2]]);
  await grow("more", "grow", 3);
  await grow("assigned", "grow", 4, [[1]]);
  await at.led("grow", 4);
  await at.produce("the last one is led", "grow", batch(["x"]), { index: 3 });
  const one = { name: "grow", count: 6, assignments: null };
  await at.step("only validated", "createPartitions", 3, { topics: [one], timeoutMs: 5000, validateOnly: true });
  await at.step("twice in one request", "createPartitions", 3, {
    topics: [one, one],
    timeoutMs: 5000,
    validateOnly: false,
  });
  await at.step("how many there are", "metadata", 12, { topics: [{ name: "grow" }] });
}

async function metadata(at: Stage): Promise<void> {
  const topicId = await at.topic("meta", 2);
  for (const version of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]) {
    const named = { topics: [{ name: "meta" }, { name: "meta-nowhere" }] };
    await at.step(`version ${version}`, "metadata", version, named);
  }
  for (const version of [1, 4, 9, 12]) await at.step(`none, version ${version}`, "metadata", version, { topics: [] });
  const all = (answer: { readonly topics: readonly { readonly name: string | null }[] }) =>
    answer.topics.filter(({ name }) => name === "meta");
  await at.step("all, version 0", "metadata", 0, { topics: [] }, all);
  await at.step("all, version 1", "metadata", 1, { topics: null }, all);
  await at.step("all, version 12", "metadata", 12, { topics: null }, all);
  for (const name of ["", ".", "a b", "x".repeat(250)]) {
    await at.step(`bad name ${name.length > 9 ? name.length : name}`, "metadata", 12, { topics: [{ name }] });
    const auto = { topics: [{ name }], allowAutoTopicCreation: true };
    await at.step(`bad name ${name.length > 9 ? name.length : name}, to be made`, "metadata", 12, auto);
  }
  await at.step("by id", "metadata", 12, { topics: [{ topicId, name: null }] });
  await at.step("by unknown id", "metadata", 12, { topics: [{ topicId: unknownId, name: null }] });
  await at.step("by id and name", "metadata", 12, { topics: [{ topicId, name: "meta" }] });
  await at.step("by neither", "metadata", 12, { topics: [{ topicId: zeroUuid, name: null }] });
  await at.step("twice", "metadata", 12, { topics: [{ name: "meta" }, { name: "meta" }] });
  const allowed = { includeTopicAuthorizedOperations: true, includeClusterAuthorizedOperations: true };
  await at.step("operations, version 8", "metadata", 8, { topics: [{ name: "meta" }], ...allowed });
  await at.step("operations, version 12", "metadata", 12, { topics: [{ name: "meta" }], ...allowed });
  const cluster = { includeClusterAuthorizedOperations: true };
  for (const version of [0, 1, 2]) await at.step(`cluster, version ${version}`, "describeCluster", version, cluster);
  await at.step("cluster's controllers", "describeCluster", 1, { ...cluster, endpointType: 2 });
  await at.step("cluster's what", "describeCluster", 1, { ...cluster, endpointType: 3 });
  const pages = (name: string, topics: readonly string[], responsePartitionLimit: number, cursor: object | null) =>
    at.step(name, "describeTopicPartitions", 0, {
      topics: topics.map((topic) => ({ name: topic })),
      responsePartitionLimit,
      cursor: cursor as never,
    });
  await pages("a page", ["meta", "meta-nowhere"], 2000, null);
  await pages("a short page", ["meta"], 1, null);
  await pages("the next page", ["meta"], 1, { topicName: "meta", partitionIndex: 1 });
  await pages("a page beyond", ["meta"], 1, { topicName: "meta", partitionIndex: 9 });
}

async function operators(at: Stage): Promise<void> {
  await at.topic("operate");
  await at.step(
    "elections of all",
    "electLeaders",
    2,
    { electionType: 0, topicPartitions: null, timeoutMs: 3000 },
    (a) => ({
      errorCode: a.errorCode,
    }),
  );
  const topicPartitions = [
    { topic: "operate", partitions: [0, 4] },
    { topic: "operate-nowhere", partitions: [0] },
  ];
  for (const electionType of [0, 1, 2]) {
    await at.step(`elections of type ${electionType}`, "electLeaders", 2, {
      electionType,
      topicPartitions,
      timeoutMs: 3000,
    });
  }
  const move = (name: string, partitionIndex: number, replicas: readonly number[] | null, topic = "operate") =>
    at.step(name, "alterPartitionReassignments", 0, {
      timeoutMs: 3000,
      topics: [{ name: topic, partitions: [{ partitionIndex, replicas }] }],
    });
  await move("to where it is", 0, [1]);
  await move("to a stranger", 0, [8]);
  await move("to nobody", 0, []);
  await move("to one twice", 0, [1, 1]);
  await move("cancelled, none under way", 0, null);
  await move("of an unknown partition", 5, [1]);
  await move("of an unknown topic", 0, [1], "operate-nowhere");
  await at.step("moves under way", "listPartitionReassignments", 0, { timeoutMs: 3000, topics: null });
  const some = [{ name: "operate", partitionIndexes: [0, 3] }];
  await at.step("moves of some", "listPartitionReassignments", 0, { timeoutMs: 3000, topics: some });
  const dirs = [{ path: "/nowhere", topics: [{ name: "operate", partitions: [0, 7] }] }];
  await at.step("to another folder", "alterReplicaLogDirs", 2, { dirs });
  await at.produce("some bytes", "operate", batch(["x"]));
  const described = { topics: [{ topic: "operate", partitions: [0, 3] }] };
  await at.step("folders", "describeLogDirs", 4, described, ({ errorCode, results }) => ({
    errorCode,
    results: results.map((one) => ({ errorCode: one.errorCode, topics: one.topics })),
  }));
  await at.step("producers", "describeProducers", 0, {
    topics: [
      { name: "operate", partitionIndexes: [0, 3] },
      { name: "operate-nowhere", partitionIndexes: [0] },
    ],
  });
}

export const topicScenarios: readonly Scenario[] = [
  { name: "topics, create", play: creating },
  { name: "topics, delete", play: deleting },
  { name: "topics, more partitions", play: growing },
  { name: "metadata", play: metadata },
  { name: "operators", play: operators },
];
