// One log that new leaders cut: what was cut may be sent again by its producers, what was kept may not.
import { batchOf, Bench } from "../hub/log/support.ts";
import { seeded } from "./clock.ts";

interface Sent {
  readonly producerId: number;
  readonly baseSequence: number;
  readonly values: readonly string[];
  readonly offset: number;
}

const producers = 3;

/** What broke, or null. */
export async function cuts(seed: number): Promise<string | null> {
  const bench = new Bench();
  await bench.open();
  await bench.create();
  try {
    return await live(bench, seeded(seed * 7919 + 17));
  } catch (error) {
    return `I10 what was cut cannot be sent again: ${(error as Error).message}`;
  }
}

async function live(bench: Bench, chance: () => number): Promise<string | null> {
  const int = (max: number): number => Math.floor(chance() * max);
  /** What the log holds, oldest first. */
  let held: Sent[] = [];
  let written = 0;
  const ends = (sent: Sent): number => sent.offset + sent.values.length;
  for (let turn = 0; turn < 60; turn += 1) {
    const log = bench.log();
    const kind = chance();
    if (kind < 0.7) {
      const producerId = 1 + int(producers);
      const last = held.findLast((sent) => sent.producerId === producerId);
      const baseSequence = last === undefined ? 0 : last.baseSequence + last.values.length;
      const values = Array.from({ length: 1 + int(4) }, () => `${producerId} ${(written += 1)} ${"x".repeat(60)}`);
      const end = log.logEnd;
      const { baseOffset, duplicate } = log.append(batchOf(values, { producerId, producerEpoch: 0, baseSequence }), 0);
      if (duplicate || baseOffset !== end) {
        return `I1 sequence ${baseSequence} of ${producerId} is acknowledged at ${baseOffset}, and the log ends at ${end}`;
      }
      held.push({ producerId, baseSequence, values, offset: baseOffset });
    } else if (kind < 0.78) {
      const again = held.findLast(({ producerId }) => producerId === 1);
      if (again === undefined) continue;
      const options = { producerId: 1, producerEpoch: 0, baseSequence: again.baseSequence };
      const answer = log.append(batchOf(again.values, options), 0);
      if (!answer.duplicate || answer.baseOffset !== again.offset) return `I10 ${again.offset} is stored twice`;
    } else if (kind < 0.86) {
      await bench.settle(bench.store.flush());
      await bench.settle(bench.store.checkpoint());
    } else if (kind < 0.96) {
      // the word of a new leader: within the last batches, where a follower and it may differ
      await bench.settle(log.truncateTo(Math.max(0, log.logEnd - int(24))));
      held = held.filter((sent) => ends(sent) <= log.logEnd);
      if ((held.length === 0 ? 0 : ends(held.at(-1)!)) !== log.logEnd) return `I1 a cut took more: to ${log.logEnd}`;
    } else {
      await bench.settle(bench.store.flush());
      await bench.kill();
    }
  }
  await bench.settle(bench.store.flush());
  const there = (await bench.values()).join("\n");
  return there === held.flatMap(({ values }) => values).join("\n")
    ? null
    : "I1 the log does not hold what was acknowledged";
}
