// The simulators are tested too: bugs put into a copy of the sources must be found, and the sources themselves stand.
import assert from "node:assert/strict";
import process from "node:process";
import test from "node:test";
import { heldBy, mutants, mutated, unchanged } from "./mutants.ts";
import { mutations } from "./protocol/mutations.ts";

test("each of the twenty mutations of replication is held by a test", () => {
  const numbers = (list: readonly { readonly id: string }[]): number[] =>
    [...new Set(list.flatMap(({ id }) => /^\d+/.exec(id) ?? []).map(Number))].sort((a, b) => a - b);
  assert.deepEqual(numbers(mutations), heldBy.protocol_test);
  assert.deepEqual(numbers(mutants), heldBy.mutants_test);
  const all = [...heldBy.protocol_test, ...heldBy.mutants_test].sort((a, b) => a - b);
  assert.deepEqual(
    all,
    Array.from({ length: 20 }, (_, i) => i + 1),
  );
});

for (const mutant of process.env["SEEDS"] === undefined ? mutants : []) {
  const { id, name, seed, breaks } = mutant;
  test(`mutant ${id}: ${name}`, async () => {
    const { look, remove } = await mutated(mutant);
    try {
      assert.match((await look(seed)) ?? "nothing broke", breaks, `SEED=${seed}`);
    } finally {
      remove();
    }
    assert.equal(await (await unchanged(mutant))(seed), null, `SEED=${seed}, without the change`);
  });
}
