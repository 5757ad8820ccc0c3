// The story of a group that rebalances, loses members, and outlives its hub.
import test from "node:test";
import { runScenario } from "../../tools/scenario.ts";
import { Stage } from "./stage.ts";

test("rebalance: groups_rebalance.txt", () => {
  const stage = new Stage();
  runScenario("groups_rebalance", (command) => stage.step(command));
});
