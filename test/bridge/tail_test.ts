// The reader behind MQTT subscribers of a cluster: what it opens it closes, however long it ran.
import assert from "node:assert/strict";
import test from "node:test";
import { Tail } from "../../bridge/tail.ts";
import type { Admin, Consumer, HubClient } from "../../hub/mod.ts";
import { silentTrace } from "../../hub/trace.ts";
import { SimClock } from "../sim/clock.ts";

/** A client of a hub that gets another topic with each look, and counts what is open. */
function countingClient(clock: SimClock): { readonly client: HubClient; readonly open: Set<object>; looks: number } {
  const open = new Set<object>();
  const counted = {
    open,
    looks: 0,
    client: {
      admin() {
        const admin = {
          topics: () => {
            counted.looks += 1;
            return Promise.resolve([{ name: `t${counted.looks}`, internal: false, partitions: [{ partition: 0 }] }]);
          },
          offsets: (places: readonly object[]) => Promise.resolve(places.map((place) => ({ ...place, offset: 0 }))),
          close: () => Promise.resolve(void open.delete(admin)),
        };
        open.add(admin);
        return admin as unknown as Admin;
      },
      consumer() {
        let ended = (): void => {};
        const consumer = {
          assign: () => Promise.resolve(),
          poll: (ms: number) =>
            new Promise((resolve) => {
              const timer = clock.after(ms, () => resolve([]));
              ended = () => {
                timer.cancel();
                resolve([]);
              };
            }),
          close: () => {
            open.delete(consumer);
            ended();
            return Promise.resolve();
          },
        };
        open.add(consumer);
        return consumer as unknown as Consumer;
      },
    } as unknown as HubClient,
  };
  return counted;
}

test("many looks later one admin and one consumer are open; closed, none is", async () => {
  const clock = new SimClock();
  const counted = countingClient(clock);
  const tail = new Tail({ client: counted.client, clock, trace: silentTrace, deliver: () => Promise.resolve() });
  await clock.settle(tail.ready());
  for (let i = 0; i < 40; i++) await clock.advance(500);
  assert.ok(counted.looks > 10, `${counted.looks} looks`);
  assert.equal(counted.open.size, 2);
  await clock.settle(tail.close());
  assert.equal(counted.open.size, 0);
});

test("closed before anybody subscribed it opens nothing", async () => {
  const clock = new SimClock();
  const counted = countingClient(clock);
  const tail = new Tail({ client: counted.client, clock, trace: silentTrace, deliver: () => Promise.resolve() });
  await tail.close();
  assert.deepEqual([counted.looks, counted.open.size], [0, 0]);
});
