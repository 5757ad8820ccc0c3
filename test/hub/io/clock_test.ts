// The real clock.
import assert from "node:assert/strict";
import test from "node:test";
import { openClock } from "../../../hub/io/clock.ts";

test("monotonic time does not go back, wall time is the date", () => {
  const clock = openClock();
  const [a, b] = [clock.now(), clock.now()];
  assert.ok(b >= a);
  assert.ok(Math.abs(clock.wall() - Date.now()) < 1000);
});

test("a timer fires once, a cancelled one never", async () => {
  const clock = openClock();
  const fired: string[] = [];
  clock.after(1, () => fired.push("cancelled")).cancel();
  // an unfired timer does not keep the process alive, so something else has to while the test waits
  const alive = setInterval(() => {}, 1000);
  await new Promise<void>((resolve) => {
    clock.after(2, () => {
      fired.push("fired");
      resolve();
    });
  });
  clearInterval(alive);
  assert.deepEqual(fired, ["fired"]);
});

test("soon comes after this turn", async () => {
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    openClock().soon(() => {
      order.push("soon");
      resolve();
    });
    order.push("now");
  });
  assert.deepEqual(order, ["now", "soon"]);
});

test("an operator can vouch for the wall clock", () => {
  assert.equal(openClock(true).wallTrusted(), Date.now() > Date.UTC(2026, 10, 1));
});
