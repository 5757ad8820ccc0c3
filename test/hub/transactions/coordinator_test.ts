// Stories of transactions: told in test/scenarios/transactions_*.txt.
import assert from "node:assert/strict";
import test from "node:test";
import * as machine from "../../../hub/transactions/coordinator.ts";
import { runScenario } from "../../tools/scenario.ts";
import { settings, Stage } from "./stage.ts";

for (const name of ["transactions_classic", "transactions_bumping", "transactions_fencing", "transactions_failing"]) {
  test(`scenario ${name}`, () => {
    const stage = new Stage();
    runScenario(name, (command) => stage.step(command));
  });
}

test("what nobody asked for changes nothing", () => {
  const coordinator = machine.newTransactionCoordinator(settings);
  assert.deepEqual(machine.onWritten(coordinator, "x", "NONE", 0), []);
  assert.deepEqual(machine.onEnded(coordinator, "x"), []);
  assert.deepEqual(machine.tick(coordinator, "x", 0), []);
  assert.deepEqual(machine.sweep(coordinator, 1e12), []);
  assert.equal(machine.nextDeadline(coordinator, "x"), Infinity);
});
