// Beats under this hub's own number: another process, or what this hub said before it was started anew.
import assert from "node:assert/strict";
import test from "node:test";
import type { Beat } from "../../../hub/cluster/liveness.ts";
import { Pulse, type PulseOptions } from "../../../hub/engine/pulse.ts";
import { SimClock } from "../../sim/clock.ts";

function stage(): { readonly pulse: Pulse; readonly clock: SimClock; readonly hear: (session: string) => void } {
  const clock = new SimClock();
  let hear: (text: string) => void = () => {};
  const coordination = { onBeat: (listener: (text: string) => void) => (hear = listener), state: () => "up" };
  const me = { hubId: 1, dirId: "mine" };
  const options = { coordination, clock, me, session: "now", beatMs: 1000, sessionMs: 6000, onHeard() {} };
  const pulse = new Pulse(options as unknown as PulseOptions);
  const beat = { hubId: 1, dirId: "mine", counter: 1, hasData: true, metaSeq: 0, draining: false };
  return {
    pulse,
    clock,
    hear: (session) => hear(JSON.stringify({ ...beat, session, gone: [], silent: [] } as unknown as Beat)),
  };
}

test("who goes on beating under this hub's number is another process", async () => {
  const { pulse, clock, hear } = stage();
  hear("other");
  assert.equal(pulse.twin, null);
  await clock.advance(1000);
  hear("other");
  assert.equal(pulse.twin, "mine");
});

test("beats of an earlier run of this hub that a hung Redis lets go all at once are nobody's", async () => {
  const { pulse, clock, hear } = stage();
  for (let i = 0; i < 5; i += 1) hear("before");
  await clock.advance(2000);
  assert.equal(pulse.twin, null);
});
