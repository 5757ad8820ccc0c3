// Tests of small files that are replaced whole.
import assert from "node:assert/strict";
import test from "node:test";
import { openCache, openText, parentOf, readWhole, replaceFile, sealText } from "../../../hub/log/small_file.ts";
import { seeded, SimClock } from "../../sim/clock.ts";
import { SimDisk } from "../../sim/disk.ts";

const text = (lines: string[]): Uint8Array => sealText("kind", 1, lines);

test("at every moment of a replacement a power cut leaves the old file or the new one", () => {
  for (let crashAt = 1; crashAt < 12; crashAt += 1) {
    for (let seed = 1; seed < 20; seed += 1) {
      const disk = new SimDisk(new SimClock(), seeded(seed));
      disk.makeDirectory("meta");
      disk.syncDirectory(".");
      replaceFile(disk, "meta/f", text(["old"]));
      disk.faults.crashAt = disk.operations + crashAt;
      let done = false;
      try {
        replaceFile(disk, "meta/f", text(["new"]));
        done = true;
      } catch {
        // The machine stopped.
      }
      const after = disk.afterPowerCut(new SimClock(), seeded(seed), "torn");
      const lines = openText("kind", 1, readWhole(after, "meta/f"));
      assert.ok(Array.isArray(lines), `crash at ${crashAt}, seed ${seed}`);
      assert.ok(done ? lines[0] === "new" : ["old", "new"].includes(lines[0]!));
    }
  }
});

test("another kind, version or CRC is told", () => {
  const bytes = text(["a", "b"]);
  assert.deepEqual(openText("kind", 1, bytes), ["a", "b"]);
  assert.equal(openText("other", 1, bytes), null);
  assert.equal(openText("kind", 2, bytes), 1);
  assert.equal(openCache("kind", 2, bytes), null);
  for (let at = 0; at < bytes.length; at += 1) {
    const torn = bytes.slice();
    torn[at] = torn[at]! ^ 1;
    assert.ok(!Array.isArray(openText("kind", 1, torn)) || at < 7, `byte ${at}`);
  }
  assert.equal(openText("kind", 1, new Uint8Array(0)), null);
  assert.deepEqual(openText("kind", 1, text([])), []);
});

test("a full disk leaves the old file", () => {
  const disk = new SimDisk(new SimClock(), seeded(1));
  replaceFile(disk, "f", text(["old"]));
  disk.faults.capacity = disk.usedBytes() + 10;
  assert.throws(() => replaceFile(disk, "f", text(["much longer than ten bytes"])), /ENOSPC/);
  assert.deepEqual(openText("kind", 1, readWhole(disk, "f")), ["old"]);
  assert.equal(disk.exists("f.tmp"), false);
});

test("parents", () => {
  assert.equal(parentOf("a/b/c"), "a/b");
  assert.equal(parentOf("a"), ".");
});
