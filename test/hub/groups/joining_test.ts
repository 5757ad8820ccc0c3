// Stories of JoinGroup: refusals, votes, retries, bounds, static members.
import test from "node:test";
import { runScenario } from "../../tools/scenario.ts";
import { Stage } from "./stage.ts";

for (const name of ["groups_joining", "groups_static"]) {
  test(`joining: ${name}.txt`, () => {
    const stage = new Stage();
    runScenario(name, (command) => stage.step(command));
  });
}
