// One log whose card loses a bit below what was synced: nothing behind the damage may go for it, and a replica heals it.
import { damageIn } from "../../hub/log/damage.ts";
import { patchOf, repairSegment } from "../../hub/log/segment_repair.ts";
import { batchOf, Bench } from "../hub/log/support.ts";

/** What broke, or null. */
export async function rot(seed: number): Promise<string | null> {
  const bench = new Bench();
  await bench.open();
  const log = await bench.create();
  const textAt = (offset: number): string => `${offset} ${"x".repeat(900)}`;
  // until the journal has given its files back: it would fill the log again
  while (log.logEnd < 100 + seed) {
    for (let i = 0; i < 12; i += 1) log.append(batchOf([textAt(log.logEnd)]), 0);
    await bench.settle(bench.store.flush());
    await bench.settle(bench.store.checkpoint());
  }
  const replica = (await bench.settle(log.read(1, 1, log.logEnd))).slice();
  const names = bench.disk.names().filter((one) => one.startsWith(log.directory));
  const [name] = names.filter((one) => one.endsWith(".log"));
  bench.disk.flipBit(name!, Math.floor(bench.disk.lengthOf(name!) * 0.3), seed % 8); // in the second batch of four
  for (const cache of names) if (!cache.endsWith(".log")) bench.disk.remove(cache);
  await bench.kill();
  try {
    for (const offset of [2, 3, 4]) {
      const [value] = await bench.values(bench.log(), offset);
      if (value !== textAt(offset)) return `offset ${offset} is not there any more`;
    }
    await heal(bench, replica);
    const values = await bench.values();
    const wrong = values.findIndex((value, offset) => value !== textAt(offset));
    if (wrong >= 0 || values.length !== bench.log().logEnd) return `offset ${wrong} is not what it was`;
    return null;
  } catch (error) {
    return `what lay behind a damaged batch is gone: ${(error as Error).message}`;
  }
}

/** From the batch as another replica has it. */
async function heal(bench: Bench, batch: Uint8Array): Promise<void> {
  const log = bench.log();
  await bench.settle(log.read(1, 1, log.logEnd)).catch(() => {}); // meets the damage
  for (const segment of [...log.damaged]) {
    const found = (await bench.settle(damageIn(log, bench.store.host, segment)))!;
    const patches = found.map((damage) => patchOf(log, damage, damage.from, batch, damage.to));
    await bench.settle(repairSegment(log, bench.store.host, segment, patches));
  }
}
