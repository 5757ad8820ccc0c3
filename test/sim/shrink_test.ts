// The shrinker of tier F: it finds the faults that matter, within its bound, and leaving one out changes no other.
import assert from "node:assert/strict";
import test from "node:test";
import { runSeed } from "./full/run.ts";
import { shrink } from "./full/shrink.ts";

const breaks = (needed: readonly number[], violation: string) => {
  let attempts = 0;
  const attempt = async (only: ReadonlySet<number>) => {
    attempts += 1;
    return { faults: 30, violation: needed.every((one) => only.has(one)) ? violation : "I16 Liveness: else" };
  };
  return { attempt, attempts: () => attempts };
};

test("what is left is what breaks the same invariant", async () => {
  for (const needed of [[], [30], [3, 17], [1, 2, 15, 29]]) {
    const { attempt } = breaks(needed, "I1 CommittedDurable: in these words");
    assert.deepEqual(await shrink({ faults: 30, violation: "I1 CommittedDurable: in others" }, attempt, 200), needed);
  }
});

test("it tries no more than it may", async () => {
  const { attempt, attempts } = breaks([3, 17], "I1 CommittedDurable: x");
  const left = await shrink({ faults: 30, violation: "I1 CommittedDurable: x" }, attempt, 9);
  assert.equal(attempts(), 9);
  assert.ok(left.includes(3) && left.includes(17) && left.length < 30, left.join());
});

test("a fault is the same one without those before it", async () => {
  const faultsOf = async (only?: ReadonlySet<number>): Promise<string[]> => {
    const lines: string[] = [];
    await runSeed(3, { print: (line) => lines.push(line), ...(only && { only }) });
    return lines.filter((line) => /^\S+ fault \d+:/.test(line)).map((line) => line.replace(/^\S+ /, ""));
  };
  const all = await faultsOf();
  const third = all.filter((line) => line.startsWith("fault 3:"));
  assert.ok(all.length > 3 && third.length > 0, all.join("\n"));
  assert.deepEqual(await faultsOf(new Set([3])), third);
});
