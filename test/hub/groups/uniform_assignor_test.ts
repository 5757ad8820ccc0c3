// The uniform assignor: whole, equal, sticky; a whole rebalance of 200 members and 2,000 partitions is measured.
import assert from "node:assert/strict";
import test from "node:test";
import type { TopicPartitions } from "../../../hub/groups/topic_partitions.ts";
import { countOf, noPartitions, partitionsFrom, without } from "../../../hub/groups/topic_partitions.ts";
import type { Claimant } from "../../../hub/groups/uniform_assignor.ts";
import { assignUniform } from "../../../hub/groups/uniform_assignor.ts";
import { ConsumerStage } from "./consumer_stage.ts";

function claimants(count: number, topics: readonly string[], held = new Map<string, TopicPartitions>()): Claimant[] {
  return Array.from({ length: count }, (_, i) => {
    return { memberId: `m${i}`, topics, held: held.get(`m${i}`) ?? noPartitions };
  });
}

function loads(target: ReadonlyMap<string, TopicPartitions>): number[] {
  return [...target.values()].map(countOf);
}

function whole(target: ReadonlyMap<string, TopicPartitions>, counts: ReadonlyMap<string, number>): void {
  const all = partitionsFrom([...target.values()].flatMap((each) => [...each]));
  let wanted = 0;
  for (const count of counts.values()) wanted += count;
  assert.equal(countOf(all), wanted, "every partition");
  assert.equal(
    loads(target).reduce((sum, load) => sum + load, 0),
    wanted,
    "none twice",
  );
}

function moved(before: ReadonlyMap<string, TopicPartitions>, after: ReadonlyMap<string, TopicPartitions>): number {
  let sum = 0;
  for (const [id, partitions] of before) sum += countOf(without(partitions, after.get(id) ?? noPartitions));
  return sum;
}

test("uniform: equal shares for every number of members, and joins and leaves move only what they must", () => {
  const counts = new Map([
    ["t", 17],
    ["u", 5],
  ]);
  let held = new Map<string, TopicPartitions>();
  for (const members of [1, 2, 3, 5, 22, 30, 7, 6, 1, 4]) {
    const before = new Map([...held].slice(0, members));
    const gone = new Map([...held].slice(members));
    const target = assignUniform(claimants(members, ["t", "u"], before), counts);
    whole(target, counts);
    const shares = loads(target);
    assert.ok(Math.max(...shares) - Math.min(...shares) <= 1, `equal: ${shares}`);
    const share = Math.floor(22 / members);
    let most = 0;
    for (const id of target.keys()) if (!held.has(id)) most += share + 1;
    for (const partitions of gone.values()) most += countOf(partitions);
    assert.ok(moved(held, target) <= most, `sticky at ${members}`);
    held = target;
  }
  assert.equal(moved(held, assignUniform(claimants(4, ["t", "u"], held), counts)), 0, "nothing changed, nothing moves");
});

test("uniform: a topic that grew or went, a member that changed its mind", () => {
  const target = assignUniform(claimants(2, ["t", "u"]), new Map([["t", 4]]));
  const grown = assignUniform(claimants(2, ["t", "u"], target), new Map([["t", 6]]));
  assert.equal(moved(target, grown), 0, "growth moves nothing");
  assert.deepEqual(loads(grown), [3, 3]);
  const shrunk = assignUniform(claimants(2, ["u"], grown), new Map([["u", 2]]));
  assert.deepEqual(loads(shrunk), [1, 1]);
});

test("uniform: with unlike subscriptions each topic stays with its readers, as even as single moves get", () => {
  const counts = new Map([
    ["t", 6],
    ["u", 6],
  ]);
  const readers: Claimant[] = [
    { memberId: "a", topics: ["t"], held: noPartitions },
    { memberId: "b", topics: ["t", "u"], held: noPartitions },
    { memberId: "c", topics: ["u"], held: noPartitions },
  ];
  const target = assignUniform(readers, counts);
  whole(target, counts);
  assert.deepEqual(loads(target), [4, 4, 4]);
  assert.deepEqual([...target.get("a")!.keys()], ["t"]);
  assert.deepEqual([...target.get("c")!.keys()], ["u"]);
  const again = assignUniform(
    readers.map((each) => ({ ...each, held: target.get(each.memberId)! })),
    counts,
  );
  assert.equal(moved(target, again), 0);
  assert.equal(assignUniform([{ memberId: "a", topics: [], held: noPartitions }], new Map()).get("a")?.size, 0);
});

test("uniform: 200 members of 2,000 partitions join, settle and beat within bounds", () => {
  const stage = new ConsumerStage();
  stage.topic("t", 2_000);
  const beats = (id: string): void => {
    const { epoch, assigned } = stage.group().members.get(id)!;
    const reply = stage.beat({ memberId: id, memberEpoch: epoch, owned: assigned });
    assert.equal(reply?.error, "NONE");
  };
  const started = performance.now();
  const ids = Array.from({ length: 200 }, (_, i) => `member-${i}`);
  for (const id of ids) stage.join(id);
  const joined = performance.now();
  // What was told to go is given back, then what is free is taken.
  for (let round = 0; round < 3; round += 1) for (const id of ids) beats(id);
  const settled = performance.now();
  for (const member of stage.group().members.values()) assert.equal(countOf(member.assigned), 10);
  const stores = stage.stores;
  for (const id of ids) beats(id);
  const idle = performance.now() - settled;
  assert.equal(stage.stores, stores, "a heartbeat that changes nothing stores nothing");
  const record = stage.registry.get("g")?.length ?? 0;
  const text =
    `joins ${Math.round(joined - started)} ms, settling ${Math.round(settled - joined)} ms, ` +
    `200 idle heartbeats ${idle.toFixed(2)} ms, record ${record} bytes`;
  if (process.env.FIGURES !== undefined) console.log(text);
  assert.ok(settled - started < 10_000 && idle < 500, text);
  assert.ok(record < 64 * 1024, text);
});
