// The table of a hub's settings: defaults, checks, who may change what, and what hub/README.md says of them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { brokerSettings, checkSetting, groupSettings, placeOf } from "../../hub/broker_settings.ts";
import { HubError } from "../../hub/errors.ts";
import { topicSettings } from "../../hub/topic_settings.ts";

const all = [...brokerSettings.values(), ...groupSettings.values()];

test("every default passes its own check, and every setting says what it is", () => {
  for (const one of all) {
    if (one.default !== null) assert.equal(one.check(one.default), null, one.name);
    assert.ok(one.documentation.length > 15, one.name);
  }
});

test("every topic setting with a name at the hub is there, kept under the topic's name", () => {
  for (const one of topicSettings.values()) {
    if (one.brokerName === null) continue;
    const ofHub = brokerSettings.get(one.brokerName)!;
    assert.deepEqual([placeOf(ofHub), ofHub.default, ofHub.changedBy], [one.name, one.default, "client"]);
  }
});

test("each group setting has its default at the hub", () => {
  for (const name of groupSettings.keys()) assert.ok(brokerSettings.has(`group.${name}`), name);
});

test("clients change what they may, with a value that is good", () => {
  const refused = (name: string, value: string, pattern: RegExp): void =>
    assert.throws(
      () => checkSetting(brokerSettings, name, value),
      (error) => error instanceof HubError && error.kind === "INVALID_CONFIG" && pattern.test(error.message),
      name,
    );
  checkSetting(brokerSettings, "log.retention.ms", "1000");
  checkSetting(brokerSettings, "num.network.threads", "7");
  refused("log.retention.ms", "x", /whole number/);
  refused("retention.ms", "1", /Unknown setting/);
  refused("node.id", "2", /cannot be changed/);
  refused("offsets.retention.minutes", "2", /partidor\.toml/);
});

test("hub/README.md names every setting, and tells those that do nothing from the others", () => {
  const readme = readFileSync(new URL("../../hub/README.md", import.meta.url), "utf8");
  const part = (from: string): Set<string> => {
    const text = readme.slice(readme.indexOf(from));
    assert.ok(readme.includes(from), from);
    const list = text.slice(from.length, text.indexOf("\n\n", from.length + 2));
    return new Set([...list.matchAll(/`([a-z0-9.]+)`/g)].map((found) => found[1]!));
  };
  const sorted = (names: Iterable<string>): string[] => [...new Set(names)].sort();
  const names = (honoured: boolean, changedBy?: string): string[] => {
    const some = [...brokerSettings.values()].filter((one) => one.ofTopics === null && one.honoured === honoured);
    return sorted(some.filter((one) => changedBy === undefined || one.changedBy === changedBy).map((one) => one.name));
  };
  const topics = (honoured: boolean): string[] =>
    sorted([...topicSettings.values()].filter((one) => one.honoured === honoured).map((one) => one.name));
  assert.deepEqual(sorted(part("Topic settings that are honoured:")), topics(true));
  assert.deepEqual(sorted(part("Topic settings that are accepted and not acted on:")), topics(false));
  assert.deepEqual(sorted(part("Hub settings that clients change while it runs:")), names(true, "client"));
  assert.deepEqual(sorted(part("Hub settings that are read at the start:")), names(true, "file"));
  assert.deepEqual(sorted(part("Hub settings that are shown and never change:")), names(true, "nobody"));
  assert.deepEqual(sorted(part("Hub settings that are accepted and not acted on:")), names(false));
});
