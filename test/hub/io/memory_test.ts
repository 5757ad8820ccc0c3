// Early garbage collection.
import assert from "node:assert/strict";
import test from "node:test";
import { openClock } from "../../../hub/io/clock.ts";
import { guardMemory } from "../../../hub/io/memory.ts";
import { limits } from "../../../hub/limits.ts";

test("a process that grows beyond the calm is collected once a step, a small one never", async () => {
  let collected = 0;
  const alive = setInterval(() => {}, 1000);
  const guard = guardMemory(openClock(), () => collected++);
  try {
    const kept: Uint8Array[] = [];
    // touched pages count as resident; grow past the calm, then by more steps
    while (process.memoryUsage().rss < limits.memoryCalmBytes + 2 * limits.memoryStepBytes) {
      kept.push(new Uint8Array(8 << 20).fill(1));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (let i = 0; i < 50 && collected === 0; i++) {
      kept.push(new Uint8Array(8 << 20).fill(1));
      await new Promise((resolve) => setTimeout(resolve, limits.memoryLookMs));
    }
    assert.ok(collected > 0, "grown and not collected");
    assert.ok(kept.length > 0, "kept");
  } finally {
    guard.stop();
    clearInterval(alive);
  }
});
