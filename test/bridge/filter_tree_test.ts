// The filter tree against the definition of a match, level by level, under random adds and removes.
import assert from "node:assert/strict";
import test from "node:test";
import { FilterTree } from "../../bridge/filter_tree.ts";
import { seededRandom } from "../../devices/sensors.ts";

function definition(filter: string[], topic: string[]): boolean {
  if (topic[0]!.startsWith("$") && (filter[0] === "#" || filter[0] === "+")) return false;
  for (let at = 0; at < filter.length; at++) {
    if (filter[at] === "#") return at <= topic.length;
    if (at >= topic.length || (filter[at] !== "+" && filter[at] !== topic[at])) return false;
  }
  return filter.length === topic.length;
}

test("FilterTree.matches follows MQTT 4.7", () => {
  const tree = new FilterTree();
  tree.add("a/#");
  assert.deepEqual(
    ["a", "a/b", "a/b/c", "b", ""].map((topic) => tree.matches(topic)),
    [true, true, true, false, false],
  );
  tree.add("+/x");
  assert.deepEqual(
    ["b/x", "$b/x", "/x", "b/x/y"].map((topic) => tree.matches(topic)),
    [true, false, true, false],
  );
  assert.equal(tree.remove("a/b"), false);
  assert.equal(tree.remove("a/#"), true);
  assert.equal(tree.remove("a/#"), false);
  assert.equal(tree.matches("a/b"), false);
  assert.equal(tree.size, 1);
});

test("FilterTree agrees with the definition after any adds and removes", () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = seededRandom(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const tree = new FilterTree();
  const held: string[] = [];
  for (let step = 0; step < 3_000; step++) {
    if (random() < 0.5 || held.length === 0) {
      const levels = Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(["a", "b", "+", "", "$c"]));
      if (random() < 0.3) levels.push("#");
      tree.add(levels.join("/"));
      held.push(levels.join("/"));
    } else if (held.length > 12 || random() < 0.5) {
      const [filter] = held.splice(Math.floor(random() * held.length), 1);
      assert.equal(tree.remove(filter!), true, `seed ${seed}`);
    }
    assert.equal(tree.size, held.length, `seed ${seed}`);
    const topic = Array.from({ length: 1 + Math.floor(random() * 4) }, () => pick(["a", "b", "", "$c"])).join("/");
    const expected = held.some((filter) => definition(filter.split("/"), topic.split("/")));
    assert.equal(tree.matches(topic), expected, `seed ${seed}, step ${step}, topic ${topic}, filters ${held}`);
    assert.equal(tree.matches(topic), expected, `seed ${seed}, from memory`);
  }
});
