// A merge that is stopped anywhere, by a kill or a power cut, is finished by the next start: one file, the new one.
import assert from "node:assert/strict";
import test from "node:test";
import { finishMerges, mergedName } from "../../../hub/log/merge.ts";
import { segmentName } from "../../../hub/log/segment.ts";
import { readWhole, writeFully } from "../../../hub/log/small_file.ts";
import { seeded, SimClock } from "../../sim/clock.ts";
import { SimDisk } from "../../sim/disk.ts";

const directory = "topics/one";
const text = (content: string): Uint8Array => new TextEncoder().encode(content);

function put(disk: SimDisk, name: string, content: string): void {
  const file = disk.open(name, "create");
  writeFully(file, text(content), 0);
  file.syncNow();
  file.close();
}

/** A partition whose segments 10, 20 and 30 are about to become one, between two others. */
function prepared(seed: number): SimDisk {
  const disk = new SimDisk(new SimClock(), seeded(seed));
  disk.makeDirectory(directory);
  for (const base of [0, 10, 20, 30, 40]) {
    put(disk, `${segmentName(directory, base)}.log`, `old ${base}`);
    put(disk, `${segmentName(directory, base)}.txnindex`, "aborted");
  }
  put(disk, mergedName(directory, 10, 30), "new");
  for (const name of [".", "topics", directory]) disk.syncDirectory(name);
  return disk;
}

test("a stop at any operation, and any names a power cut keeps, end in the same files", () => {
  let stops = 0;
  for (let seed = 1; seed <= 1500; seed += 1) {
    const disk = prepared(seed);
    const before = disk.operations;
    disk.faults.crashAt = before + 1 + (seed % 13);
    try {
      finishMerges(disk, directory);
    } catch {
      stops += 1;
    }
    const chance = seeded(-seed);
    const clock = new SimClock();
    const next = seed % 7 === 0 ? disk.afterKill(clock, chance) : disk.afterPowerCut(clock, chance, "some");
    finishMerges(next, directory);
    const logs = next.names().filter((name) => name.endsWith(".log"));
    assert.deepEqual(
      logs,
      [0, 10, 40].map((base) => `${segmentName(directory, base)}.log`),
      `seed ${seed}`,
    );
    assert.equal(new TextDecoder().decode(readWhole(next, logs[1]!)!), "new", `seed ${seed}`);
    const others = next.names().filter((name) => !name.endsWith(".log"));
    assert.deepEqual(
      others,
      [0, 40].map((base) => `${segmentName(directory, base)}.txnindex`),
      `seed ${seed}`,
    );
  }
  assert.ok(stops > 1000, `${stops} stops`);
});

test("nothing to finish changes nothing", () => {
  const disk = new SimDisk(new SimClock(), seeded(1));
  disk.makeDirectory(directory);
  put(disk, `${segmentName(directory, 0)}.log`, "old");
  assert.equal(finishMerges(disk, directory), false);
  assert.deepEqual(disk.names(), [`${segmentName(directory, 0)}.log`]);
});
