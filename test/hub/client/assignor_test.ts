// The assignors: every partition to exactly one member that wants it, evenly, whatever the members.
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { assignors, assignRange, assignRoundRobin } from "../../../hub/client/assignor.ts";
import type { Assignment } from "../../../hub/client/assignor.ts";
import { runs } from "../wire/values.ts";

const shown = (result: Map<string, Assignment>): Record<string, Record<string, number[]>> =>
  Object.fromEntries([...result].map(([member, topics]) => [member, Object.fromEntries(topics)]));

const member = (memberId: string, ...topics: string[]) => ({ memberId, topics });

test("range: consecutive runs per topic, the first members one more", () => {
  const result = assignRange(
    [member("b", "t", "u"), member("a", "t", "u")],
    new Map([
      ["t", 3],
      ["u", 2],
    ]),
  );
  assert.deepEqual(shown(result), { a: { t: [0, 1], u: [0] }, b: { t: [2], u: [1] } });
});

test("round robin: all partitions of all topics in turn", () => {
  const result = assignRoundRobin(
    [member("b", "t", "u"), member("a", "t", "u")],
    new Map([
      ["t", 3],
      ["u", 2],
    ]),
  );
  assert.deepEqual(shown(result), { a: { t: [0, 2], u: [1] }, b: { t: [1], u: [0] } });
});

test("round robin passes members that do not want the topic", () => {
  const result = assignRoundRobin(
    [member("a", "t"), member("b", "u")],
    new Map([
      ["t", 2],
      ["u", 2],
    ]),
  );
  assert.deepEqual(shown(result), { a: { t: [0, 1] }, b: { u: [0, 1] } });
});

test("more members than partitions: some get nothing, and are in the result", () => {
  const result = assignRange([member("a", "t"), member("b", "t"), member("c", "t")], new Map([["t", 2]]));
  assert.deepEqual(shown(result), { a: { t: [0] }, b: { t: [1] }, c: {} });
});

test("topics that are not there yet are left out", () => {
  for (const assign of assignors.values()) {
    assert.deepEqual(shown(assign([member("a", "gone", "empty")], new Map([["empty", 0]]))), { a: {} });
  }
});

const topic: fc.Arbitrary<string> = fc.constantFrom("t", "u", "v");
const members = fc
  .array(fc.uniqueArray(topic, { minLength: 1 }), { minLength: 1, maxLength: 6 })
  .map((lists) => lists.map((topics, index) => ({ memberId: `m${index}`, topics })));

test("every wanted partition goes to exactly one member that wants it; the same topics are shared evenly", () => {
  const counts = fc.record({ t: fc.nat(9), u: fc.nat(9), v: fc.nat(9) }).map((each) => new Map(Object.entries(each)));
  fc.assert(
    fc.property(members, counts, fc.constantFrom(...assignors.values()), (group, count, assign) => {
      const result = assign(group, count);
      assert.deepEqual([...result.keys()].sort(), group.map(({ memberId }) => memberId).sort());
      const given = new Map<string, number>();
      for (const [memberId, assignment] of result) {
        const wanted = group.find((one) => one.memberId === memberId)!.topics;
        for (const [name, partitions] of assignment) {
          assert.ok(wanted.includes(name));
          for (const partition of partitions) {
            given.set(`${name}-${partition}`, (given.get(`${name}-${partition}`) ?? 0) + 1);
          }
        }
      }
      const expected = [...new Set(group.flatMap(({ topics }) => topics))].flatMap((name) =>
        Array.from({ length: count.get(name)! }, (_, partition) => `${name}-${partition}`),
      );
      assert.deepEqual([...given.keys()].sort(), expected.sort());
      assert.ok([...given.values()].every((times) => times === 1));
    }),
    runs(200),
  );
});
