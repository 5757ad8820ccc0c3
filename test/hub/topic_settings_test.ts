// Topic settings: defaults, checks, and which value is in force.
import assert from "node:assert/strict";
import test from "node:test";
import { HubError } from "../../hub/errors.ts";
import { checkTopicSetting, EffectiveSettings, topicSettings } from "../../hub/topic_settings.ts";

test("every default passes its own check", () => {
  for (const setting of topicSettings.values()) {
    assert.equal(setting.check(setting.default), null, setting.name);
    assert.ok(setting.documentation.length > 20, setting.name);
  }
});

test("one week is kept by default, and acknowledged means synced", () => {
  const settings = new EffectiveSettings(new Map(), new Map());
  assert.equal(settings.number("retention.ms"), 604_800_000);
  assert.equal(settings.text("log.fsync"), "always");
});

test("a topic's own value wins over the hub's, the hub's over the default", () => {
  const settings = new EffectiveSettings(
    new Map([["retention.ms", "1"]]),
    new Map([
      ["retention.ms", "2"],
      ["segment.ms", "3"],
    ]),
  );
  assert.equal(settings.number("retention.ms"), 1);
  assert.equal(settings.number("segment.ms"), 3);
  assert.equal(settings.flag("preallocate"), false);
});

test("refusals name the setting and what it needs", () => {
  const refused = (name: string, value: string, pattern: RegExp): void =>
    assert.throws(
      () => checkTopicSetting(name, value),
      (error) => {
        assert.ok(error instanceof HubError && error.kind === "INVALID_CONFIG");
        assert.match(error.message, pattern);
        return true;
      },
    );
  refused("no.such", "1", /Unknown topic setting no\.such/);
  refused("retention.ms", "-2", /whole number from -1 up/);
  refused("retention.ms", "1.5", /whole number/);
  refused("segment.bytes", "10", /whole number 65536/);
  refused("cleanup.policy", "delete,shred", /delete, compact/);
  refused("min.cleanable.dirty.ratio", "2", /0\.\.1/);
  refused("log.fsync", "sometimes", /one of always, interval, os/);
});

test("Kafka's Long.MAX_VALUE is taken as text", () => {
  checkTopicSetting("message.timestamp.after.max.ms", "9223372036854775807");
});
