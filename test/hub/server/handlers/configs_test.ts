// DescribeConfigs, AlterConfigs, IncrementalAlterConfigs over the wire.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf } from "../../../../hub/errors.ts";
import { topicSettings } from "../../../../hub/topic_settings.ts";
import { withHub } from "../../../tools/test_hub.ts";
import type { WireClient } from "../../../tools/wire_client.ts";

const Topic = 2;
const Broker = 4;

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
      ["retention.ms", 0, null],
    ]) {
      const answer = await change(wire, [bad as [string, number, string | null]]);
      assert.equal(answer.errorCode, codeOf("INVALID_CONFIG"), String(bad));
    }
  });
});

test("AlterConfigs replaces the whole set; a broker's settings are not altered by clients", async () => {
  await withHub({}, async ({ hub, wire }) => {
    await hub.ensureTopic("t");
    await change(wire, [["retention.ms", 0, "1000"]]);
    const alter = (resourceType: number, resourceName: string, configs: { name: string; value: string | null }[]) =>
      wire.call("alterConfigs", 2, { resources: [{ resourceType, resourceName, configs }], validateOnly: false });
    await alter(Topic, "t", [{ name: "segment.ms", value: "9999" }]);
    assert.deepEqual([await value(wire, "retention.ms"), await value(wire, "segment.ms")], ["604800000", "9999"]);
    const broker = await alter(Broker, "1", [{ name: "num.partitions", value: "9" }]);
    assert.equal(broker.responses[0]!.errorCode, codeOf("INVALID_REQUEST"));
  });
});
