// Filters, topics and shared filters, by the tables of MQTT5 section 4.7 and 4.8.
import assert from "node:assert/strict";
import test from "node:test";
import { filterMatches, isFilter, isTopic, parseShared } from "../../../bridge/match/filter.ts";
import { limits } from "../../../hub/mod.ts";

test("isFilter takes wildcards only where they fill a level", () => {
  const good = ["#", "+", "a", "/", "a/#", "+/a", "a//b", "$SYS/#", "a/+/b", "+/+/#", " "];
  const bad = ["", "#/a", "a#", "a/b#", "a+", "+a/b", "a/#/b", "a\u0000b"];
  assert.deepEqual(
    good.filter((one) => !isFilter(one)),
    [],
  );
  assert.deepEqual(bad.filter(isFilter), []);
});

test("isFilter and isTopic keep their bounds", () => {
  const levels = Array(limits.mqttTopicLevelsMax).fill("a").join("/");
  const long = "a".repeat(limits.mqttTopicLengthMax);
  for (const is of [isFilter, isTopic]) {
    assert.equal(is(levels), true);
    assert.equal(is(`${levels}/a`), false);
    assert.equal(is(long), true);
    assert.equal(is(`${long}a`), false);
  }
});

test("isTopic refuses wildcards, nothing and U+0000", () => {
  assert.deepEqual(
    ["a", "/", "a/b", "$x", "a//"].filter((one) => !isTopic(one)),
    [],
  );
  assert.deepEqual(["", "a/+", "#", "a+b", "\u0000"].filter(isTopic), []);
});

test("parseShared gives group and filter, or null", () => {
  assert.deepEqual(parseShared("$share/g/a/#"), { group: "g", filter: "a/#" });
  assert.deepEqual(parseShared("$share/g//"), { group: "g", filter: "/" });
  for (const bad of ["$share/g", "$share//a", "$share/g/", "$share/g+/a", "$share/#/a", "$share/g/a#", "a/b"]) {
    assert.equal(parseShared(bad), null, bad);
  }
});

test("filterMatches follows 4.7", () => {
  const table: [string, string, boolean][] = [
    ["a/#", "a", true],
    ["a/#", "a/b/c", true],
    ["a/#", "ab", false],
    ["#", "$SYS/x", false],
    ["+/x", "$SYS/x", false],
    ["$SYS/#", "$SYS/x", true],
    ["$SYS/+", "$SYS/x", true],
    ["+", "/a", false],
    ["+/+", "/a", true],
    ["/+", "/a", true],
    ["a/+", "a/", true],
    ["a/+", "a", false],
    ["a/b", "a/b/c", false],
    ["a/b", "a/b", true],
  ];
  for (const [filter, topic, expected] of table)
    assert.equal(filterMatches(filter, topic), expected, `${filter} ${topic}`);
});
