// Settings and their defaults, ApiVersions, and what closes a connection.
import { encodeRequest } from "../../../hub/wire/apis.ts";
import type { Scenario, Stage } from "./stage.ts";

const Resource = { Topic: 2, Broker: 4, Group: 32 } as const;

async function settings(at: Stage): Promise<void> {
  await at.topic("configs", 1, { "retention.ms": "1000" });
  const described = await at.ask("describeConfigs", 4, {
    resources: [{ resourceType: Resource.Topic, resourceName: "configs", configurationKeys: null }],
    includeSynonyms: true,
  });
  for (const one of described.results[0]!.configs) {
    at.note(`topic setting ${one.name}`, {
      value: one.value,
      readOnly: one.readOnly,
      configSource: one.configSource,
      configType: one.configType,
      isSensitive: one.isSensitive,
    });
  }
  const groupSettings = await at.ask("describeConfigs", 4, {
    resources: [{ resourceType: Resource.Group, resourceName: "configs-group", configurationKeys: null }],
  });
  const notServed = /^(?:share|streams)\./;
  for (const { name, value } of groupSettings.results[0]!.configs) {
    if (!notServed.test(name)) at.note(`group setting ${name}`, value);
  }
  const describe = (name: string, resourceType: number, resourceName: string, keys: string[] | null = null) =>
    at.step(name, "describeConfigs", 4, { resources: [{ resourceType, resourceName, configurationKeys: keys }] });
  await describe("of an unknown topic", Resource.Topic, "configs-nowhere");
  await describe("one of a topic", Resource.Topic, "configs", ["retention.ms", "no.such"]);
  const none = [{ resourceType: Resource.Topic, resourceName: "configs", configurationKeys: [] }];
  await at.step("none of a topic", "describeConfigs", 4, { resources: none }, ({ results }) => ({
    errorCode: results[0]!.errorCode,
    all: results[0]!.configs.length > 1,
  }));
  await describe("of another broker", Resource.Broker, "99", ["log.retention.ms"]);
  await describe("of a bad broker", Resource.Broker, "x", ["log.retention.ms"]);
  await describe("of a bad type", 77, "configs");
  const alter = (
    name: string,
    ops: readonly (readonly [string, number, string | null])[],
    where = "configs",
    validateOnly = false,
  ) =>
    at.step(name, "incrementalAlterConfigs", 1, {
      resources: [
        {
          resourceType: Resource.Topic,
          resourceName: where,
          configs: ops.map(([key, configOperation, value]) => ({ name: key, configOperation, value })),
        },
      ],
      validateOnly,
    });
  const [set, remove, append, subtract] = [0, 1, 2, 3];
  await alter("set", [["retention.ms", set, "2000"]]);
  await alter("set to null", [["retention.ms", set, null]]);
  await alter("set badly", [["retention.ms", set, "soon"]]);
  await alter("set an unknown one", [["no.such", set, "1"]]);
  await alter("delete", [["retention.ms", remove, null]]);
  await alter("delete an unknown one", [["no.such", remove, null]]);
  await alter("append to a list", [["cleanup.policy", append, "compact"]]);
  await alter("append again", [["cleanup.policy", append, "compact"]]);
  await alter("subtract from a list", [["cleanup.policy", subtract, "delete"]]);
  await alter("append to what is no list", [["retention.ms", append, "1"]]);
  await alter("a bad operation", [["retention.ms", 9, "1"]]);
  await alter("twice", [
    ["retention.ms", set, "1"],
    ["retention.ms", set, "2"],
  ]);
  await alter("only validated", [["retention.ms", set, "77"]], "configs", true);
  await alter("an unknown topic's", [["retention.ms", set, "77"]], "configs-nowhere");
  await describe("what is in force", Resource.Topic, "configs", ["retention.ms", "cleanup.policy"]);
  const replace = (name: string, configs: readonly { name: string; value: string | null }[], where = "configs") =>
    at.step(name, "alterConfigs", 2, {
      resources: [{ resourceType: Resource.Topic, resourceName: where, configs }],
      validateOnly: false,
    });
  await replace("replace", [{ name: "max.message.bytes", value: "5000" }]);
  await replace("replace with null", [{ name: "max.message.bytes", value: null }]);
  await replace("replace badly", [{ name: "max.message.bytes", value: "-5" }]);
  await replace("of an unknown topic, replaced", [], "configs-nowhere");
  await describe("what is in force then", Resource.Topic, "configs", [
    "retention.ms",
    "cleanup.policy",
    "max.message.bytes",
  ]);
}

/** A request header without a body; `more` zero bytes behind it (one is what a header of version 2 has for no tags). */
function bare(apiKey: number, version: number, more = 0): Uint8Array {
  const frame = Buffer.alloc(4 + 14 + more);
  frame.writeInt32BE(14 + more, 0);
  frame.writeInt16BE(apiKey, 4);
  frame.writeInt16BE(version, 6);
  frame.writeInt32BE(1, 8);
  frame.writeInt16BE(4, 12);
  frame.write("test", 14);
  return frame;
}

async function connections(at: Stage): Promise<void> {
  for (const version of [0, 1, 2, 3, 4]) {
    const request = { clientSoftwareName: "test", clientSoftwareVersion: "1" };
    await at.step(`api versions ${version}`, "apiVersions", version, request, ({ errorCode }) => ({ errorCode }));
  }
  await at.step("bad software name", "apiVersions", 3, { clientSoftwareName: "", clientSoftwareVersion: "1" }, (a) => ({
    errorCode: a.errorCode,
  }));
  await at.closes("api versions of a version to come", bare(18, 99, 1));
  await at.closes("unknown api", bare(999, 0));
  await at.closes("negative api", bare(-1, 0));
  await at.closes("unknown version", bare(3, 99));
  await at.closes("produce version 0", bare(0, 0));
  await at.closes("a body cut short", bare(3, 1));
  await at.closes("negative size", Uint8Array.of(255, 255, 255, 255));
  await at.closes("too large", Uint8Array.of(127, 255, 255, 255));
  await at.closes("just too large", Uint8Array.of(6, 64, 0, 1));
  await at.closes("an empty frame", Uint8Array.of(0, 0, 0, 0));
  const good = encodeRequest("metadata", 1, 1, "test", { topics: [] });
  await at.closes("a good one", ...good);
  await at.closes("in single bytes", ...[...Buffer.concat(good)].map((byte) => Uint8Array.of(byte)));
}

export const clusterScenarios: readonly Scenario[] = [
  { name: "settings", play: settings },
  { name: "connections", play: connections },
];
