// Tests of the last stable offset, against a plain list of transactions.
import assert from "node:assert/strict";
import test from "node:test";
import { OpenTransactions } from "../../../hub/log/open_transactions.ts";
import { seeded } from "../../sim/clock.ts";

const only = process.env["SEED"] === undefined ? null : Number(process.env["SEED"]);

test("the last stable offset is that of the definition, whatever the order of begins, ends and watermarks", () => {
  for (let seed = only ?? 1; seed <= (only ?? 200); seed += 1) {
    const chance = seeded(seed);
    const open = new OpenTransactions();
    const all: { producerId: number; first: number; marker: number }[] = [];
    let [end, watermark] = [0, 0];
    for (let step = 0; step < 60; step += 1) {
      const producerId = Math.floor(chance() * 5);
      const mine = all.find((one) => one.producerId === producerId && one.marker < 0);
      if (chance() < 0.5) {
        open.begin(producerId, end);
        if (!mine) all.push({ producerId, first: end, marker: -1 });
      } else {
        const ended = open.end(producerId, end, chance() < 0.5);
        if (mine) mine.marker = end;
        const others = all.filter(({ marker }) => marker < 0).map(({ first }) => first);
        assert.equal(ended?.firstOffset, mine?.first, `SEED=${seed}`);
        if (ended) assert.equal(ended.stableEnd, Math.min(end + 1, ...others), `SEED=${seed}`);
      }
      end += 1;
      if (chance() < 0.4) watermark += Math.floor(chance() * (end - watermark + 1));
      const unstable = all.filter(({ marker }) => marker < 0 || marker >= watermark).map(({ first }) => first);
      assert.equal(open.lastStable(watermark), Math.min(watermark, ...unstable), `SEED=${seed} step ${step}`);
    }
  }
});
