// The story of assignments that cannot be stored, are overtaken, or never fetched; of members that leave meanwhile.
import test from "node:test";
import { runScenario } from "../../tools/scenario.ts";
import { Stage } from "./stage.ts";

test("syncing: groups_failing.txt", () => {
  const stage = new Stage();
  runScenario("groups_failing", (command) => stage.step(command));
});
