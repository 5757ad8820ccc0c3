// Tests of reading an internal topic through damage: what is being repaired is waited for, what is lost is told.
import assert from "node:assert/strict";
import test from "node:test";
import { readCommitted } from "../../../hub/engine/committed_records.ts";
import type { Partition } from "../../../hub/engine/partition.ts";
import { FetchPlace, FetchRoom } from "../../../hub/engine/waiting_room.ts";
import { damageIn } from "../../../hub/log/damage.ts";
import { patchOf, repairSegment } from "../../../hub/log/segment_repair.ts";
import { filled, rot, within } from "../log/rot_support.ts";
import { refusal } from "../log/support.ts";

test("damage that is being repaired is waited for; without a repair, or a leadership, it is told", async () => {
  const { bench, replica } = await filled();
  const log = bench.log();
  const segment = rot(bench, log.segments[1]!.base + 5);
  const place = new FetchPlace();
  const room = new FetchRoom(bench.clock);
  const partition = { log, highWatermark: 300, leads: true, place } as unknown as Partition;
  await assert.rejects(bench.settle(readCommitted(partition, () => {})), refusal("CORRUPT_MESSAGE"));

  log.repairing = true;
  const reading = readCommitted(partition, () => {});
  await bench.clock.advance(1000);
  assert.equal(place.waiting.size, 1);
  const [damage] = (await bench.settle(damageIn(log, bench.store.host, segment)))!;
  const { from, to } = damage!;
  const patch = patchOf(log, damage!, from, within(replica, from, to), to);
  await bench.settle(repairSegment(log, bench.store.host, segment, [patch]));
  room.disturbed(place);
  assert.equal(await bench.settle(reading), 300);
  assert.equal(place.waiting.size, 0);

  rot(bench, 0);
  const lost = readCommitted(partition, () => {});
  const told = assert.rejects(lost, refusal("CORRUPT_MESSAGE"));
  await bench.clock.advance(1000);
  (partition as { leads: boolean }).leads = false;
  room.disturbed(place);
  await bench.settle(told);
});
