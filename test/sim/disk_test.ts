// The simulated disk: it conforms like the real one, and its evils are what they say.
import assert from "node:assert/strict";
import test from "node:test";
import { disksConform } from "../conformance/disk_conformance.ts";
import { seeded, SimClock } from "./clock.ts";
import { pageBytes, SimDisk } from "./disk.ts";

disksConform("simulated disk", () => {
  const clock = new SimClock();
  return { disk: new SimDisk(clock, seeded(1)), settle: (promise) => clock.settle(promise), close: () => {} };
});

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function content(disk: SimDisk, name: string): string | null {
  if (!disk.exists(name)) return null;
  const file = disk.open(name, "read");
  const bytes = new Uint8Array(file.size());
  file.read(bytes, 0);
  return text(bytes);
}

test("a power cut takes unsynced bytes and unsynced names; a kill takes nothing", async () => {
  const clock = new SimClock();
  const disk = new SimDisk(clock, seeded(2));
  const file = disk.open("named", "create");
  file.write(new TextEncoder().encode("synced"), 0);
  await clock.settle(file.sync());
  disk.syncDirectory(".");
  file.write(new TextEncoder().encode("CHANGED"), 0);
  disk.open("unnamed", "create").syncNow();
  assert.equal(content(disk.afterKill(clock, seeded(3)), "named"), "CHANGED");
  const cut = disk.afterPowerCut(clock, seeded(3), "nothing");
  assert.equal(content(cut, "named"), "synced");
  assert.equal(cut.exists("unnamed"), false);
  assert.equal(content(disk.afterPowerCut(clock, seeded(3), "everything"), "named"), "CHANGED");
});

test("some pages stay and some go, torn ones at their sectors", () => {
  const clock = new SimClock();
  const disk = new SimDisk(clock, seeded(4));
  const file = disk.open("f", "create");
  file.write(new Uint8Array(40 * pageBytes).fill(1), 0);
  file.syncNow();
  disk.syncDirectory(".");
  file.write(new Uint8Array(40 * pageBytes).fill(2), 0);
  const cut = disk.afterPowerCut(clock, seeded(5), "torn");
  const bytes = new Uint8Array(40 * pageBytes);
  cut.open("f", "read").read(bytes, 0);
  const pages = Array.from({ length: 40 }, (_, i) => new Set(bytes.subarray(i * pageBytes, (i + 1) * pageBytes)));
  assert.ok(pages.some((page) => page.size === 1 && page.has(1)));
  assert.ok(pages.some((page) => page.size === 1 && page.has(2)));
  assert.ok(pages.some((page) => page.size === 2));
});

test("after a failed sync the pages are clean and not on the medium: a second sync succeeds without them", async () => {
  const clock = new SimClock();
  const disk = new SimDisk(clock, seeded(6), { syncFails: 1 });
  const file = disk.open("f", "create");
  file.write(new TextEncoder().encode("data"), 0);
  await assert.rejects(clock.settle(file.sync()), /EIO/);
  disk.faults.syncFails = 0;
  await clock.settle(file.sync());
  disk.syncDirectory(".");
  assert.equal(content(disk.afterPowerCut(clock, seeded(7), "nothing"), "f"), "\0\0\0\0");
});

test("a full disk takes a part, then refuses", () => {
  const disk = new SimDisk(new SimClock(), seeded(8), { capacity: 1000 });
  const file = disk.open("f", "create");
  let written = 0;
  try {
    written = file.write(new Uint8Array(1500), 0);
  } catch (error) {
    assert.equal((error as { code?: string }).code, "ENOSPC");
    written = file.size();
  }
  assert.equal(written, 1000);
  assert.throws(() => file.write(new Uint8Array(1), 1000), /ENOSPC/);
});

test("a stopped machine does nothing any more", () => {
  const disk = new SimDisk(new SimClock(), seeded(9), { crashAt: 3 });
  const file = disk.open("f", "create");
  file.write(new Uint8Array(1), 0);
  assert.throws(() => file.write(new Uint8Array(1), 1), /stops/);
  assert.throws(() => disk.list("."), /stopped/);
});

test("the same seed, the same run", async () => {
  const run = async (): Promise<string> => {
    const clock = new SimClock();
    const order: number[] = [];
    const chance = seeded(10);
    for (let i = 0; i < 50; i += 1) clock.after(chance() * 10, () => order.push(i));
    while (await clock.step());
    return order.join();
  };
  assert.equal(await run(), await run());
});
