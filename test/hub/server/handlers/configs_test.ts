// DescribeConfigs, AlterConfigs, IncrementalAlterConfigs over the wire.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf } from "../../../../hub/errors.ts";
import { brokerSettings } from "../../../../hub/broker_settings.ts";
import { topicSettings } from "../../../../hub/topic_settings.ts";
import { scratch } from "../../../tools/hub_process.ts";
import { openTestHub, withHub } from "../../../tools/test_hub.ts";
import { batchOf, dropTopic, is, makeTopic, produce } from "../../../tools/wire_calls.ts";
import type { WireClient } from "../../../tools/wire_client.ts";

const Topic = 2;
const Broker = 4;
const Logger = 8;
const ClientMetrics = 16;
const Group = 32;

async function describe(wire: WireClient, resourceType: number, resourceName: string, keys: string[] | null = null) {
  const resources = [{ resourceType, resourceName, configurationKeys: keys }];
  const request = { resources, includeSynonyms: true, includeDocumentation: true };
  return (await wire.call("describeConfigs", 4, request)).results[0]!;
}

async function change(
  wire: WireClient,
  changes: [name: string, operation: number, value: string | null][],
  validateOnly = false,
) {
  const configs = changes.map(([name, configOperation, value]) => ({ name, configOperation, value }));
  const resources = [{ resourceType: Topic, resourceName: "t", configs }];
  return (await wire.call("incrementalAlterConfigs", 1, { resources, validateOnly })).responses[0]!;
}

async function alter(
  wire: WireClient,
  resourceType: number,
  resourceName: string,
  values: Readonly<Record<string, string | null>>,
  validateOnly = false,
) {
  const configs = Object.entries(values).map(([name, text]) => ({ name, value: text }));
  const resources = [{ resourceType, resourceName, configs }];
  return (await wire.call("alterConfigs", 2, { resources, validateOnly })).responses[0]!;
}

async function value(wire: WireClient, name: string): Promise<string | null> {
  return (await describe(wire, Topic, "t", [name])).configs[0]!.value;
}

test("every setting is told with value, source, type and documentation", async () => {
  await withHub({ settings: { "retention.ms": "5000" } }, async ({ hub, wire }) => {
    await hub.ensureTopic("t");
    const all = await describe(wire, Topic, "t");
    assert.deepEqual(all.configs.map((entry) => entry.name).sort(), [...topicSettings.keys()].sort());
    for (const entry of all.configs) assert.ok(entry.documentation!.length > 20, entry.name);
    const retention = all.configs.find((entry) => entry.name === "retention.ms")!;
    assert.deepEqual([retention.value, retention.configSource, retention.configType], ["5000", 4, 5]);
    assert.deepEqual(
      retention.synonyms.map((one) => [one.value, one.source]),
      [
        ["5000", 4],
        ["604800000", 5],
      ],
    );
    const broker = await describe(wire, Broker, "1", ["log.retention.ms", "num.partitions"]);
    assert.deepEqual(broker.configs.map((entry) => [entry.name, entry.value]).sort(), [
      ["log.retention.ms", "5000"],
      ["num.partitions", "4"],
    ]);
    assert.equal((await describe(wire, Topic, "none")).errorCode, codeOf("UNKNOWN_TOPIC_OR_PARTITION"));
    assert.equal((await describe(wire, Broker, "9")).errorCode, codeOf("INVALID_REQUEST"));
  });
});

test("single changes: set, delete, append and subtract on a list, checked without effect", async () => {
  await withHub({}, async ({ hub, wire }) => {
    await hub.ensureTopic("t");
    assert.equal(
      (
        await change(wire, [
          ["retention.ms", 0, "1000"],
          ["cleanup.policy", 2, "compact"],
        ])
      ).errorCode,
      0,
    );
    assert.equal(await value(wire, "retention.ms"), "1000");
    assert.equal(await value(wire, "cleanup.policy"), "delete,compact");
    await change(wire, [["cleanup.policy", 3, "delete"]]);
    assert.equal(await value(wire, "cleanup.policy"), "compact");
    await change(wire, [["retention.ms", 1, null]]);
    assert.equal(await value(wire, "retention.ms"), "604800000");
    assert.equal((await change(wire, [["retention.ms", 0, "2000"]], true)).errorCode, 0);
    assert.equal(await value(wire, "retention.ms"), "604800000");
    for (const bad of [
      ["retention.ms", 0, "x"],
      ["no.such", 0, "1"],
      ["retention.ms", 2, "1"],
      ["cleanup.policy", 3, "compact"],
    ]) {
      const answer = await change(wire, [bad as [string, number, string | null]]);
      assert.equal(answer.errorCode, codeOf("INVALID_CONFIG"), String(bad));
    }
  });
});

test("AlterConfigs replaces the whole set", async () => {
  await withHub({}, async ({ hub, wire }) => {
    await hub.ensureTopic("t");
    await change(wire, [["retention.ms", 0, "1000"]]);
    is(await alter(wire, Topic, "t", { "segment.ms": "9999" }), "NONE");
    assert.deepEqual([await value(wire, "retention.ms"), await value(wire, "segment.ms")], ["604800000", "9999"]);
    is(await alter(wire, Topic, "t", { "segment.ms": "x" }), "INVALID_CONFIG");
    is(await alter(wire, Topic, "t", { "no.such": "1" }), "INVALID_CONFIG");
    is(await alter(wire, Topic, "t", { "segment.ms": null }), "INVALID_REQUEST");
    is(await alter(wire, Topic, "t", { "segment.ms": "1" }, true), "NONE");
    assert.equal(await value(wire, "segment.ms"), "9999");
    is(await alter(wire, Topic, "t", {}), "NONE");
    assert.equal(await value(wire, "segment.ms"), "604800000");
  });
});

test("requests that contradict themselves or name what is not here", async () => {
  await withHub({}, async ({ hub, wire }) => {
    await hub.ensureTopic("t");
    is(await change(wire, [["retention.ms", 0, null]]), "INVALID_REQUEST");
    is(await change(wire, [["retention.ms", 9, "1"]]), "INVALID_REQUEST");
    const twice = [
      ["retention.ms", 0, "1"],
      ["retention.ms", 1, null],
    ] as [string, number, string | null][];
    is(await change(wire, twice), "INVALID_REQUEST");
    const one = { resourceType: Topic, resourceName: "t", configs: [] };
    for (const version of [0, 1]) {
      const both = await wire.call("incrementalAlterConfigs", version, { resources: [one, one], validateOnly: false });
      for (const answer of both.responses) is(answer, "INVALID_REQUEST");
    }
    for (const version of [0, 1, 2]) {
      const both = await wire.call("alterConfigs", version, { resources: [one, one], validateOnly: false });
      for (const answer of both.responses) is(answer, "INVALID_REQUEST");
    }
    is(await alter(wire, Topic, "none", {}), "UNKNOWN_TOPIC_OR_PARTITION");
    is(await alter(wire, Topic, "", {}), "INVALID_REQUEST");
    for (const [type, name] of [
      [Broker, "9"],
      [Broker, "x"],
      [Logger, "1"],
      [ClientMetrics, "m"],
      [Group, ""],
      [77, "t"],
    ] as const) {
      is(await alter(wire, type, name, {}), "INVALID_REQUEST");
      if (type !== Logger) is(await describe(wire, type, name), "INVALID_REQUEST");
    }
    assert.deepEqual((await describe(wire, Logger, "1")).configs, []);
    is(await describe(wire, Logger, "2"), "INVALID_REQUEST");
  });
});

test("a hub's settings: every one told, whose word it is, who may change it; secrets stay unsaid", async () => {
  const settings = { "num.partitions": 7, "log.retention.bytes": 1000 };
  await withHub({ settings }, async ({ wire, folder, kafka }) => {
    const all = await describe(wire, Broker, "1");
    assert.deepEqual(all.configs.map((entry) => entry.name).sort(), [...brokerSettings.keys()].sort());
    const entry = (name: string) => all.configs.find((one) => one.name === name)!;
    for (const one of all.configs) assert.ok(one.documentation!.length > 15, one.name);
    assert.deepEqual([entry("num.partitions").value, entry("num.partitions").configSource], ["7", 4]);
    assert.deepEqual([entry("log.retention.bytes").value, entry("log.retention.bytes").configSource], ["1000", 4]);
    assert.deepEqual([entry("node.id").value, entry("log.dirs").value], ["1", folder]);
    assert.equal(entry("listeners").value, `PLAINTEXT://127.0.0.1:${kafka}`);
    assert.equal(entry("auto.create.topics.enable").value, "true");
    const password = entry("ssl.keystore.password");
    assert.deepEqual([password.value, password.isSensitive, password.readOnly], [null, true, true]);
    assert.deepEqual([entry("node.id").readOnly, entry("group.max.size").readOnly], [true, true]);
    assert.equal(entry("log.retention.ms").readOnly, false);
    assert.deepEqual((await describe(wire, Broker, "")).configs, []);
  });
});

test("versions 1 to 3 of DescribeConfigs leave out what they have no field for", async () => {
  await withHub({}, async ({ hub, wire }) => {
    await hub.ensureTopic("t");
    for (const version of [1, 2, 3, 4]) {
      const resources = [{ resourceType: Topic, resourceName: "t", configurationKeys: ["retention.ms"] }];
      const plain = await wire.call("describeConfigs", version, { resources, includeSynonyms: false });
      const none = [{ ...resources[0]!, configurationKeys: [] }];
      const all = await wire.call("describeConfigs", version, { resources: none, includeSynonyms: false });
      assert.ok(all.results[0]!.configs.length > 20, "no names are all names, as Kafka has it");
      const [entry] = plain.results[0]!.configs;
      assert.deepEqual([entry!.value, entry!.configSource, entry!.synonyms], ["604800000", 5, []]);
      assert.deepEqual([entry!.configType, entry!.documentation], [version < 3 ? 0 : 5, version < 3 ? "" : null]);
    }
  });
});

test("a hub's settings change while it runs, are in force at once, and outlive a restart", async () => {
  const { folder, remove } = scratch();
  try {
    let { hub, wire, close } = await openTestHub({ folder, settings: { "retention.ms": 9000 } });
    await hub.ensureTopic("t");
    const wanted = {
      "log.retention.ms": "7000",
      "message.max.bytes": "1000",
      "num.partitions": "3",
      "auto.create.topics.enable": "false",
      "num.io.threads": "99",
    };
    is(await alter(wire, Broker, "", { "log.retention.ms": "8000", "log.retention.bytes": "55" }), "NONE");
    is(await alter(wire, Broker, "1", wanted, true), "NONE");
    assert.equal(await value(wire, "retention.ms"), "8000");
    is(await alter(wire, Broker, "1", wanted), "NONE");
    for (let i = 0; i < 2; i++) {
      const retention = (await describe(wire, Topic, "t", ["retention.ms"])).configs[0]!;
      assert.deepEqual(
        retention.synonyms.map((one) => [one.name, one.value, one.source]),
        [
          ["log.retention.ms", "7000", 2],
          ["log.retention.ms", "8000", 3],
          ["log.retention.ms", "9000", 4],
          ["log.retention.ms", "604800000", 5],
        ],
      );
      assert.deepEqual([retention.value, retention.configSource], ["7000", 2]);
      is(await produce(wire, "t", batchOf(2000)), "MESSAGE_TOO_LARGE");
      const asked = { topics: [{ name: `new${i}` }], allowAutoTopicCreation: true };
      is((await wire.call("metadata", 9, asked)).topics[0]!, "UNKNOWN_TOPIC_OR_PARTITION");
      assert.equal((await makeTopic(wire, `made${i}`, -1)).numPartitions, 3);
      const told = (await describe(wire, Broker, "1", ["num.io.threads", "log.retention.bytes"])).configs;
      assert.deepEqual(told.map((one) => [one.name, one.value, one.configSource]).sort(), [
        ["log.retention.bytes", "55", 3],
        ["num.io.threads", "99", 2],
      ]);
      const all = (await describe(wire, Broker, "")).configs;
      assert.deepEqual(all.map((one) => [one.name, one.value, one.configSource]).sort(), [
        ["log.retention.bytes", "55", 3],
        ["log.retention.ms", "8000", 3],
      ]);
      await close();
      ({ hub, wire, close } = await openTestHub({ folder, settings: { "retention.ms": 9000 } }));
    }
    is(await alter(wire, Broker, "1", {}), "NONE");
    assert.equal(await value(wire, "retention.ms"), "8000");
    const drop = {
      resourceType: Broker,
      resourceName: "",
      configs: [{ name: "log.retention.ms", configOperation: 1 }],
    };
    const dropped = { resources: [{ ...drop, configs: [{ ...drop.configs[0]!, value: null }] }], validateOnly: false };
    is((await wire.call("incrementalAlterConfigs", 1, dropped)).responses[0]!, "NONE");
    assert.equal(await value(wire, "retention.ms"), "9000");
    is(await produce(wire, "t", batchOf(2000)), "NONE");
    await close();
  } finally {
    remove();
  }
});

test("what a hub reads at its start, or never changes, is refused with a sentence", async () => {
  await withHub({}, async ({ wire }) => {
    for (const [name, text, pattern] of [
      ["group.max.size", "5", /partidor\.toml/],
      ["node.id", "5", /cannot be changed/],
      ["no.such", "5", /Unknown setting/],
      ["num.partitions", "0", /whole number 1\.\.\d+/],
      ["log.cleanup.policy", "shred", /delete, compact/],
    ] as const) {
      const answer = await alter(wire, Broker, "1", { [name]: text });
      is(answer, "INVALID_CONFIG");
      assert.match(answer.errorMessage!, pattern);
    }
  });
});

test("deletion of topics can be switched off", async () => {
  await withHub({}, async ({ wire }) => {
    await makeTopic(wire, "t");
    is(await alter(wire, Broker, "1", { "delete.topic.enable": "false" }), "NONE");
    is(await dropTopic(wire, "t"), "TOPIC_DELETION_DISABLED");
    is(await alter(wire, Broker, "1", {}), "NONE");
    is(await dropTopic(wire, "t"), "NONE");
  });
});

test("a group's settings: defaults of the hub, its own, checked together, kept over a restart", async () => {
  const { folder, remove } = scratch();
  try {
    let { wire, close } = await openTestHub({ folder });
    const before = await describe(wire, Group, "g");
    assert.deepEqual(
      before.configs.map((one) => [one.name, one.value, one.configSource]),
      [
        ["consumer.heartbeat.interval.ms", "5000", 5],
        ["consumer.session.timeout.ms", "45000", 5],
      ],
    );
    is(await alter(wire, Group, "g", { "consumer.session.timeout.ms": "50000" }), "NONE");
    is(await alter(wire, Group, "g", { "consumer.session.timeout.ms": "100" }), "INVALID_CONFIG");
    is(await alter(wire, Group, "g", { "retention.ms": "100" }), "INVALID_CONFIG");
    await close();
    ({ wire, close } = await openTestHub({ folder }));
    const session = (await describe(wire, Group, "g", ["consumer.session.timeout.ms"])).configs[0]!;
    assert.deepEqual([session.value, session.configSource], ["50000", 8]);
    assert.deepEqual(
      session.synonyms.map((one) => [one.name, one.source]),
      [
        ["consumer.session.timeout.ms", 8],
        ["group.consumer.session.timeout.ms", 5],
      ],
    );
    const listed = await wire.call("listConfigResources", 1, { resourceTypes: [Group] });
    assert.deepEqual(listed.configResources, [{ resourceName: "g", resourceType: Group }]);
    is(await alter(wire, Group, "g", {}), "NONE");
    assert.deepEqual((await wire.call("listConfigResources", 1, { resourceTypes: [Group] })).configResources, []);
    await close();
  } finally {
    remove();
  }
});

test("a group's own heartbeat interval is what its members are told from then on", async () => {
  await withHub({ settings: { "group.consumer.heartbeat.interval.ms": 7000 } }, async ({ wire }) => {
    await makeTopic(wire, "t");
    const beat = async (groupId: string) => {
      const joining = { memberEpoch: 0, rebalanceTimeoutMs: 60_000, subscribedTopicNames: ["t"], topicPartitions: [] };
      const reply = await wire.call("consumerGroupHeartbeat", 1, { groupId, memberId: `of-${groupId}`, ...joining });
      return [reply.errorCode, reply.heartbeatIntervalMs];
    };
    assert.deepEqual(await beat("a"), [0, 7000]);
    is(await alter(wire, Group, "a", { "consumer.heartbeat.interval.ms": "6000" }), "NONE");
    assert.deepEqual(await beat("a"), [0, 6000]);
    assert.deepEqual(await beat("b"), [0, 7000]);
  });
});

test("resources that have settings are listed by their kind", async () => {
  await withHub({}, async ({ wire }) => {
    await makeTopic(wire, "t");
    const list = async (version: number, resourceTypes: number[]) => {
      const answer = await wire.call("listConfigResources", version, { resourceTypes });
      return [answer.errorCode, ...answer.configResources.map((one) => `${one.resourceType} ${one.resourceName}`)];
    };
    assert.deepEqual(await list(1, []), [0, "2 t", "4 1", "8 1"]);
    assert.deepEqual(await list(1, [Topic]), [0, "2 t"]);
    assert.deepEqual(await list(1, [77]), [codeOf("UNSUPPORTED_VERSION")]);
    assert.deepEqual(await list(0, []), [0]);
  });
});
