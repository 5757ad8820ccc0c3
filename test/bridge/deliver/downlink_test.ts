// Keys of records as MQTT topics.
import assert from "node:assert/strict";
import test from "node:test";
import {
  compileDownlinks,
  type DownlinkConfig,
  DownlinkError,
  downlinkOf,
  downlinkTopic,
} from "../../../bridge/deliver/downlink.ts";

const commands = downlinkOf({ topic: "commands", publish: "devices/{key}/commands" });

test("a key that makes no legal topic is for nobody", () => {
  assert.equal(downlinkTopic(commands, "7"), "devices/7/commands");
  assert.equal(downlinkTopic(commands, "a/b"), "devices/a/b/commands");
  for (const key of ["", "+", "a#", "nul\0"]) assert.equal(downlinkTopic(commands, key), null, key);
  assert.equal(downlinkTopic(downlinkOf({ topic: "t", publish: "{key}" }), "$SYS/x"), null);
  assert.equal(downlinkTopic(downlinkOf({ topic: "t", publish: "all" }), ""), "all");
});

test("a downlink that cannot be used is refused, and says which and why", () => {
  const good = { topic: "commands", publish: "devices/{key}/commands" };
  assert.deepEqual(compileDownlinks([good, { ...good, topic: "a_b.c-1", qos: 2 }]), [
    { topic: "commands", parts: ["devices/", "/commands"], qos: 1 },
    { topic: "a_b.c-1", parts: ["devices/", "/commands"], qos: 2 },
  ]);
  const bad: [Record<string, unknown>, RegExp][] = [
    [{ ...good, topic: "" }, /downlink 1: topic, the hub topic/],
    [{ ...good, topic: "__x" }, /internal/],
    [{ ...good, topic: "a/b" }, /letters, digits/],
    [{ topic: "commands" }, /publish, the MQTT topic, is missing/],
    [{ ...good, publish: "a/#" }, /no topic to publish to/],
    [{ ...good, publish: "" }, /no topic to publish to/],
    [{ ...good, publish: "$SYS/{key}" }, /begin with \$/],
    [{ ...good, publish: "a/{device}" }, /\{key\} is all/],
    [{ ...good, qos: 3 }, /qos = 3/],
    [{ ...good, key: "x" }, /key is unknown/],
  ];
  for (const [config, pattern] of bad) {
    assert.throws(
      () => compileDownlinks([config as unknown as DownlinkConfig]),
      (error) => error instanceof DownlinkError && pattern.test(error.message),
      JSON.stringify(config),
    );
  }
  assert.throws(() => compileDownlinks([good, good]), /downlink 2: topic commands has a downlink already/);
});
