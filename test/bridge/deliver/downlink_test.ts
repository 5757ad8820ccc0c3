// Keys of records as MQTT topics.
import assert from "node:assert/strict";
import test from "node:test";
import { downlinkOf, downlinkTopic } from "../../../bridge/deliver/downlink.ts";

const commands = downlinkOf({ topic: "commands", publish: "devices/{key}/commands" });

test("a key that makes no legal topic is for nobody", () => {
  assert.equal(downlinkTopic(commands, "7"), "devices/7/commands");
  assert.equal(downlinkTopic(commands, "a/b"), "devices/a/b/commands");
  for (const key of ["", "+", "a#", "nul\0"]) assert.equal(downlinkTopic(commands, key), null, key);
  assert.equal(downlinkTopic(downlinkOf({ topic: "t", publish: "{key}" }), "$SYS/x"), null);
  assert.equal(downlinkTopic(downlinkOf({ topic: "t", publish: "all" }), ""), "all");
});
