// Images of groups: merging is the same in every order, and what is newer here is found for a push there.
import assert from "node:assert/strict";
import test from "node:test";
import { imageOf, liveOf, mergeInto, newerParts, newImage } from "../../../hub/groups/image.ts";
import type { GroupImage } from "../../../hub/io/registry.ts";

/** A copy that does not depend on the order of offsets. */
function canonical(image: GroupImage): string {
  const offsets = [...image.offsets].sort((left, right) => left.partition - right.partition);
  return JSON.stringify({ ...image, offsets });
}

function randomImage(random: () => number): GroupImage {
  const below = (bound: number) => Math.floor(random() * bound);
  const position = () => ({ coordinatorEpoch: below(3), sequence: below(6) });
  // What was written at one place is one thing.
  const valueAt = (at: { coordinatorEpoch: number; sequence: number }, partition: number) => {
    const offset = at.coordinatorEpoch * 100 + at.sequence;
    if (at.sequence === 3) return null;
    return { topicId: "t", topic: "t", partition, offset, leaderEpoch: 0, metadata: "", committedAt: 0 };
  };
  const place = position();
  const generation = place.coordinatorEpoch * 9 + place.sequence;
  const record = { group: "g", ...place, generation, record: new Uint8Array(1) };
  const live = newImage("g");
  mergeInto(live, {
    group: "g",
    fenceEpoch: below(3),
    record: below(2) === 0 ? null : record,
    deleted: below(3) === 0 ? position() : null,
    offsets: Array.from({ length: below(4) }, () => {
      const at = position();
      const partition = below(3);
      return { topicId: "t", partition, position: at, value: valueAt(at, partition) };
    }),
  });
  return imageOf(live);
}

test("images merge to the same result in every order, and again to the same", () => {
  const seed = Number(process.env["SEED"] ?? 1);
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) / 2 ** 24;
  };
  for (let round = 0; round < 2_000; round += 1) {
    const images = [randomImage(random), randomImage(random), randomImage(random)];
    const results = [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0, 1],
      [0, 0, 2, 1, 2],
    ].map((order) => {
      const live = newImage("g");
      for (const i of order) mergeInto(live, images[i]!);
      return canonical(imageOf(live));
    });
    assert.equal(new Set(results).size, 1, `SEED=${seed}, round ${round}: ${results.join("\n")}`);
    // Pushing what is newer makes the other side equal to the merge of both.
    const [left, right] = images as [GroupImage, GroupImage];
    const both = liveOf(left);
    mergeInto(both, right);
    const pushed = liveOf(right);
    const newer = newerParts(left, right);
    if (newer !== null) mergeInto(pushed, newer);
    const fence = Math.max(left.fenceEpoch, right.fenceEpoch);
    const same = (image: GroupImage) => canonical({ ...image, fenceEpoch: fence });
    assert.equal(same(imageOf(pushed)), same(imageOf(both)), `SEED=${seed}, round ${round}`);
    assert.equal(newerParts(left, imageOf(both)), null);
  }
});
