// The real clock: monotonic time for every decision, wall time for record timestamps.
import { existsSync } from "node:fs";
import type { Clock, Millis, Timer } from "./ports.ts";

/** No record was ever appended before this program existed: an earlier wall clock is a Pi without a battery. */
const builtAt = Date.UTC(2026, 10, 1);

/** systemd-timesyncd keeps this folder from boot on, and this file once it has reached a time server. */
const syncFolder = "/run/systemd/timesync";
const syncMark = "/run/systemd/timesync/synchronized";
const syncCheckMs = 10_000;

/** The clock of this process. `operatorTrusts` says that the wall clock is good whatever the system knows. */
export function openClock(operatorTrusts = false): Clock {
  let synchronised = false;
  let nextCheck = 0;
  return {
    now: () => performance.now(),
    wall: () => Date.now(),
    wallTrusted() {
      if (Date.now() < builtAt) return false;
      if (operatorTrusts || synchronised) return true;
      const now = performance.now();
      if (now < nextCheck) return false;
      nextCheck = now + syncCheckMs;
      synchronised = !existsSync(syncFolder) || existsSync(syncMark);
      return synchronised;
    },
    after(delayMs: Millis, call: () => void): Timer {
      const timer = setTimeout(call, delayMs);
      timer.unref();
      return { cancel: () => clearTimeout(timer) };
    },
    soon(call) {
      setImmediate(call);
    },
  };
}
