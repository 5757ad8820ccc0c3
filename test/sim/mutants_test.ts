// The simulators are tested too: bugs put into a copy of the sources must be found, and the sources themselves stand.
import assert from "node:assert/strict";
import process from "node:process";
import test from "node:test";
import { mutants, mutated, unchanged } from "./mutants.ts";

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
