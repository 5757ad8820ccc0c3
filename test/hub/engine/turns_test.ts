// Turns: one change of a name after another, other names beside it, nothing kept when all have ended.
import assert from "node:assert/strict";
import test from "node:test";
import { Turns } from "../../../hub/engine/turns.ts";

test("changes of one name take turns in order, failed ones too; another name does not wait", async () => {
  const turns = new Turns();
  const seen: string[] = [];
  let open = (): void => {};
  const held = new Promise<void>((resolve) => (open = resolve));
  const first = turns.take("a", async () => {
    seen.push("a1 begins");
    await held;
    seen.push("a1 ends");
    throw new Error("refused");
  });
  const second = turns.take("a", async () => {
    seen.push("a2");
    return 2;
  });
  await turns.take("b", async () => void seen.push("b1"));
  open();
  await assert.rejects(first, /refused/);
  assert.equal(await second, 2);
  assert.deepEqual(seen, ["a1 begins", "b1", "a1 ends", "a2"]);
  await new Promise<void>((resolve) => setImmediate(resolve));
  assert.equal(turns.size, 0);
});
