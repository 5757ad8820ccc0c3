// Stories of groups that rebalance, lose members, fail to store, and outlive their hub.
import test from "node:test";
import { runScenario } from "../../tools/scenario.ts";
import { Stage } from "./stage.ts";

for (const name of ["groups_rebalance", "groups_failing"]) {
  test(`rebalance: ${name}.txt`, () => {
    const stage = new Stage();
    runScenario(name, (command) => stage.step(command));
  });
}
