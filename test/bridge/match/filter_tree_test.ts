// The tree of subscriptions against a list of them, under random changes; its memo; its speed.
import assert from "node:assert/strict";
import test from "node:test";
import { filterMatches, parseShared } from "../../../bridge/match/filter.ts";
import { FilterTree, type Matches } from "../../../bridge/match/filter_tree.ts";
import type { Merged, Options } from "../../../bridge/match/merged.ts";
import { seededRandom } from "../../../devices/sensors.ts";

const plain: Options = { qos: 1, noLocal: false, retainAsPublished: false, id: 0 };

/** Matches as text, in an order that does not depend on the walk. */
function shown(matches: Matches<string>): string[] {
  const one = (match: Matches<string>["subscribers"][number]): string => {
    const { subscriber, all, own } = match;
    const part = (merged: typeof own): string =>
      merged === null ? "-" : `${merged.qos}${merged.retainAsPublished ? "r" : ""}[${[...merged.ids].sort()}]`;
    return `${subscriber} ${part(all)} ${part(own)}`;
  };
  const groups = matches.groups.map(({ group, filter, members }) => `${group}:${filter} {${members.map(one).sort()}}`);
  return [...matches.subscribers.map(one).sort(), ...groups.sort()];
}

/** The merged meaning by its definition. */
function merge(options: readonly Options[]): { all: Merged; own: Merged | null } {
  const of = (some: readonly Options[]): Merged => ({
    qos: Math.max(...some.map(({ qos }) => qos)) as Merged["qos"],
    retainAsPublished: some.some(({ retainAsPublished }) => retainAsPublished),
    ids: [...new Set(some.map(({ id }) => id).filter((id) => id !== 0))],
  });
  const local = options.filter(({ noLocal }) => !noLocal);
  return { all: of(options), own: local.length === 0 ? null : of(local) };
}

interface Held {
  readonly filter: string;
  readonly subscriber: string;
  options: Options;
}

/** The same by definition: every subscription is looked at. */
function reference(held: readonly Held[], topic: string): string[] {
  const lists = new Map<string, Options[]>();
  const groups = new Map<
    string,
    { group: string; filter: string; members: { subscriber: string; options: Options }[] }
  >();
  for (const { filter, subscriber, options } of held) {
    const shared = parseShared(filter);
    if (!filterMatches(shared?.filter ?? filter, topic)) continue;
    if (shared === null) lists.set(subscriber, [...(lists.get(subscriber) ?? []), options]);
    else {
      const group = groups.get(filter) ?? { ...shared, members: [] };
      group.members.push({ subscriber, options });
      groups.set(filter, group);
    }
  }
  return shown({
    subscribers: Array.from(lists, ([subscriber, several]) => ({ subscriber, ...merge(several) })),
    groups: Array.from(groups.values(), ({ group, filter, members }) => ({
      group,
      filter,
      members: members.map(({ subscriber, options }) => ({ subscriber, ...merge([options]) })),
    })),
  });
}

test("FilterTree agrees with a list of subscriptions after any changes, from memory too", () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = seededRandom(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const tree = new FilterTree<string>(60);
  const held: Held[] = [];
  let matched = 0;
  for (let step = 0; step < 6_000; step++) {
    if (random() < 0.4) {
      const levels = Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(["a", "b", "+", "", "$c"]));
      if (random() < 0.3) levels.push("#");
      const filter = (random() < 0.25 ? `$share/${pick(["g", "h"])}/` : "") + levels.join("/");
      const valid = !filter.startsWith("$share") || parseShared(filter) !== null;
      if (!valid) continue;
      const subscriber = random() < 0.5 ? pick(["x", "y"]) : `s${Math.floor(random() * 30)}`;
      const options: Options = {
        qos: pick([0, 1, 2] as const),
        noLocal: random() < 0.3,
        retainAsPublished: random() < 0.3,
        id: Math.floor(random() * 4),
      };
      const before = held.find((one) => one.filter === filter && one.subscriber === subscriber);
      assert.equal(tree.set(filter, subscriber, options), before === undefined, `seed ${seed}`);
      if (before === undefined) held.push({ filter, subscriber, options });
      else before.options = options;
    } else if (held.length > 40 || (held.length > 0 && random() < 0.3)) {
      const [gone] = held.splice(Math.floor(random() * held.length), 1);
      assert.equal(tree.remove(gone!.filter, gone!.subscriber), true, `seed ${seed}`);
      assert.equal(tree.remove(gone!.filter, gone!.subscriber), false, `seed ${seed}`);
    }
    assert.equal(tree.size, held.length, `seed ${seed}`);
    const topic = Array.from({ length: 1 + Math.floor(random() * 4) }, () => pick(["a", "b", "", "$c"])).join("/");
    const expected = reference(held, topic);
    matched += expected.length;
    assert.deepEqual(shown(tree.match(topic)), expected, `seed ${seed}, step ${step}, topic ${topic}`);
    assert.deepEqual(shown(tree.match(topic)), expected, `seed ${seed}, step ${step}, topic ${topic}, again`);
  }
  assert.ok(matched > 5_000, `seed ${seed}: only ${matched} matches were compared`);
});

test("FilterTree gives one answer object while nothing changes, and forgets it when its topic is touched", () => {
  const tree = new FilterTree<string>();
  tree.set("a/b", "x", plain);
  const first = tree.match("a/b");
  tree.set("a/c", "x", plain);
  assert.equal(tree.match("a/b"), first, "an exact filter leaves other topics alone");
  tree.set("a/b", "x", { ...plain, qos: 2 });
  assert.equal(tree.match("a/b").subscribers[0]!.all.qos, 2);
  tree.set("+/b", "y", plain);
  assert.equal(tree.match("a/b").subscribers.length, 2);
  tree.remove("+/b", "y");
  tree.remove("a/b", "x");
  assert.equal(tree.match("a/b").subscribers.length, 0);
});

test("FilterTree is empty again after the last removal", () => {
  const tree = new FilterTree<string>();
  for (const filter of ["a/b/c", "a/#", "+/b/#", "$share/g/a/b/c"]) tree.set(filter, "x", plain);
  for (const filter of ["a/b/c", "a/#", "+/b/#", "$share/g/a/b/c"]) assert.equal(tree.remove(filter, "x"), true);
  assert.equal(tree.size, 0);
  assert.deepEqual(shown(tree.match("a/b/c")), []);
});

test("FilterTree matches quickly among 100,000 subscriptions", () => {
  const tree = new FilterTree<number>();
  for (let at = 0; at < 100_000; at++) tree.set(`site/${at % 100}/device-${at}/commands`, at, plain);
  for (let at = 0; at < 100; at++) tree.set(`site/${at}/+/+`, 100_000 + at, plain);
  tree.set("$share/workers/site/#", 200_000, plain);
  const count = process.env.BENCH === undefined ? 100_000 : 1_000_000;
  const run = (devices: number): number => {
    const topics = Array.from({ length: devices }, (_, at) => `site/${at % 100}/device-${at}/commands`);
    const begun = process.cpuUsage();
    let found = 0;
    for (let at = 0; at < count; at++) found += tree.match(topics[at % devices]!).subscribers.length;
    const { user, system } = process.cpuUsage(begun);
    assert.equal(found, 2 * count);
    return (user + system) / count;
  };
  const [cold, hot] = [run(100_000), run(1_000)];
  console.log(
    `CPU of a match among ${tree.size}: ${cold.toFixed(2)} us of 100,000 topics, ${hot.toFixed(2)} us of 1,000`,
  );
  assert.ok(cold < 100 && hot < 20, `${cold} us, ${hot} us`);
});
