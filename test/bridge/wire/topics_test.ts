// Topic names and filters: what is legal, and which statement the rest breaks.
import assert from "node:assert/strict";
import test from "node:test";
import { Reason } from "../../../bridge/wire/packet.ts";
import { filterProblem, isShared, sharedParts, topicNameProblem } from "../../../bridge/wire/topics.ts";
import { Dice, filter, seedsOf, topic } from "./random.ts";

const broken = (found: { message: string } | null): string | null =>
  found === null ? null : /\[MQTT-(.*)\]$/.exec(found.message)![1]!;

test("topicNameProblem: at least one character, no wildcard, no U+0000", () => {
  for (const good of ["a", "/", "//", " ", "a/b", "$SYS/x", "a//b/", "ä"])
    assert.equal(topicNameProblem(good, 5), null);
  assert.equal(broken(topicNameProblem("", 5)), "4.7.3-1");
  assert.equal(broken(topicNameProblem("a/+", 4)), "3.3.2-2");
  assert.equal(broken(topicNameProblem("#", 5)), "3.3.2-2");
  assert.equal(broken(topicNameProblem("a\0", 5)), "4.7.3-2");
  assert.equal(topicNameProblem("#", 5)?.code, Reason.topicNameInvalid);
});

test("filterProblem: wildcards fill their level, # is the last", () => {
  const good = [
    "#",
    "+",
    "/",
    "a",
    "a/#",
    "+/#",
    "+/+",
    "/+",
    "+/",
    "a/+/b",
    "a//#",
    "$SYS/#",
    "$share",
    "$shared/x",
    " ",
  ];
  for (const each of good) assert.equal(filterProblem(each, 5), null, each);
  const bad: readonly [string, string, string][] = [
    ["", "4.7.3-1", "4.7.3-1"],
    ["a#", "4.7.1-2", "4.7.1-1"],
    ["a/#/b", "4.7.1-2", "4.7.1-1"],
    ["#/", "4.7.1-2", "4.7.1-1"],
    ["##", "4.7.1-2", "4.7.1-1"],
    ["a/b#", "4.7.1-2", "4.7.1-1"],
    ["a+", "4.7.1-3", "4.7.1-2"],
    ["+a", "4.7.1-3", "4.7.1-2"],
    ["a/++/b", "4.7.1-3", "4.7.1-2"],
    ["a/b+/c", "4.7.1-3", "4.7.1-2"],
    ["a\0", "4.7.3-2", "4.7.3-2"],
  ];
  for (const [each, four, five] of bad) {
    assert.equal(broken(filterProblem(each, 4)), four, each);
    assert.equal(broken(filterProblem(each, 5)), five, each);
    assert.equal(filterProblem(each, 5)?.code, Reason.topicFilterInvalid);
  }
});

test("filterProblem: a shared subscription has a name without wildcards, and a filter", () => {
  for (const good of ["$share/g/a", "$share/g/#", "$share/g/+/b", "$share/g//", "$share/ /a", "$share/$share/a"]) {
    assert.equal(filterProblem(good, 5), null, good);
  }
  assert.equal(broken(filterProblem("$share/", 5)), "4.8.2-1");
  assert.equal(broken(filterProblem("$share//a", 5)), "4.8.2-1");
  assert.equal(broken(filterProblem("$share/g", 5)), "4.8.2-2");
  assert.equal(broken(filterProblem("$share/g/", 5)), "4.8.2-2");
  assert.equal(broken(filterProblem("$share/g+/a", 5)), "4.8.2-2");
  assert.equal(broken(filterProblem("$share/#", 5)), "4.8.2-2");
  assert.equal(broken(filterProblem("$share/g/a#", 5)), "4.7.1-1");
  assert.equal(broken(filterProblem("$share/g/#/a", 5)), "4.7.1-1");
});

test("sharedParts takes a shared filter apart", () => {
  assert.deepEqual(sharedParts("$share/g/a/+"), { group: "g", filter: "a/+" });
  assert.deepEqual(sharedParts("$share/g//"), { group: "g", filter: "/" });
  assert.equal(sharedParts("a/b"), null);
  assert.ok(isShared("$share/g/a") && !isShared("$share") && !isShared("$shared/a"));
});

test("random names and filters are legal", () => {
  for (const seed of seedsOf(500)) {
    const dice = new Dice(seed);
    const [name, of] = [topic(dice), filter(dice)];
    assert.equal(topicNameProblem(name, 5), null, `MQTT_SEED=${seed}`);
    assert.equal(filterProblem(of, 5), null, `MQTT_SEED=${seed}`);
  }
});
