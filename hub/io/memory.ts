// Collects garbage early when the process has grown: what sockets read is freed late by the engine's own clock.
import v8 from "node:v8";
import vm from "node:vm";
import { limits } from "../limits.ts";
import type { Clock, Timer } from "./ports.ts";

/**
 * Byte arrays live outside the engine's heap, and it lets some 64 MiB of dead ones gather before it looks. On a machine
 * of 1 GiB that is much, so above `memoryCalmBytes` a collection runs for each `memoryStepBytes` of growth: a few a
 * second at the most, some 25 ms each. Does nothing where the runtime has no collector to call.
 */
export function guardMemory(clock: Clock, collect: (() => void) | null = collector()): { stop(): void } {
  if (collect === null) return { stop() {} };
  let settled = 0;
  let timer: Timer;
  const look = (): void => {
    timer = clock.after(limits.memoryLookMs, look);
    const { rss, external, heapUsed } = process.memoryUsage();
    const used = external + heapUsed;
    if (rss < limits.memoryCalmBytes) settled = used;
    if (rss < limits.memoryCalmBytes || used < settled + limits.memoryStepBytes) return;
    collect();
    const after = process.memoryUsage();
    settled = after.external + after.heapUsed;
  };
  timer = clock.after(limits.memoryLookMs, look);
  return { stop: () => timer.cancel() };
}

function collector(): (() => void) | null {
  try {
    v8.setFlagsFromString("--expose-gc");
    const found: unknown = vm.runInNewContext("gc");
    return typeof found === "function" ? (found as () => void) : null;
  } catch {
    return null;
  }
}
