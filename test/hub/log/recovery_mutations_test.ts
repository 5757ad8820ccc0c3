// The simulated disk is tested too: devices and programs that break one rule each must be caught by the invariants.
import assert from "node:assert/strict";
import test from "node:test";
import type { File } from "../../../hub/io/ports.ts";
import { LogWorld, Violation } from "../../sim/log_world.ts";
import type { SimDisk } from "../../sim/disk.ts";

const seedsMax = 300;

/** Changes every file that the disk opens. */
function eachFile(disk: SimDisk, change: (file: File) => void): void {
  const open = disk.open.bind(disk);
  disk.open = (name, mode) => {
    const file = open(name, mode);
    change(file);
    return file;
  };
}

const mutations: Record<string, (disk: SimDisk) => void> = {
  "an answer before the sync": (disk) =>
    eachFile(disk, (file) => {
      file.sync = () => Promise.resolve();
    }),
  "no sync of directories": (disk) => {
    disk.syncDirectory = () => {};
  },
  "a short write taken for a whole one": (disk) => {
    eachFile(disk, (file) => {
      const write = file.write.bind(file);
      file.write = (bytes, position) => {
        try {
          write(bytes, position);
        } catch (error) {
          if ((error as { code?: string }).code !== "ENOSPC") throw error;
        }
        return bytes.length;
      };
    });
  },
  "a sync tried again after EIO": (disk) => {
    if (disk.faults.syncFails === 0) disk.faults.syncFails = 0.02;
    eachFile(disk, (file) => {
      const sync = file.sync.bind(file);
      const syncNow = file.syncNow.bind(file);
      const again = (error: { code?: string }) => (error.code === "EIO" ? sync() : Promise.reject(error));
      file.sync = () => sync().catch(again);
      file.syncNow = () => {
        try {
          syncNow();
        } catch (error) {
          if ((error as { code?: string }).code !== "EIO") throw error;
          syncNow();
        }
      };
    });
  },
};

for (const [name, wrap] of Object.entries(mutations)) {
  test(`caught: ${name}`, async () => {
    for (let seed = 1; seed <= seedsMax; seed += 1) {
      try {
        await new LogWorld(seed, { boots: 3, turnsPerBoot: 40, wrap }).live();
      } catch (error) {
        assert.ok(error instanceof Violation, `SEED=${seed}: ${(error as Error).stack}`);
        return;
      }
    }
    assert.fail(`not caught in ${seedsMax} lives`);
  });
}
