// What a hub's folder lies on in a chaos run: a small tmpfs that can be filled, an ext4 image whose power can be cut.
import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeSync } from "node:fs";
import path from "node:path";
import { openLogTools } from "../../../hub/mod.ts";

const quiet = (program: string, ...args: string[]): void => {
  execFileSync(program, args, { stdio: ["ignore", "ignore", "pipe"] });
};

/** A file system of its own under a hub's folder. */
export interface ChaosDisk {
  remove(): void;
}

/** Asks once; the reason is said in one line where the system does not allow it. */
function tried<T>(what: string, make: () => T): T | null {
  try {
    return make();
  } catch (error) {
    console.error(
      `chaos: ${what} left out: ${String((error as Error).message)
        .trim()
        .split("\n")
        .at(-1)}`,
    );
    return null;
  }
}

export class SmallDisk implements ChaosDisk {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static open(folder: string): SmallDisk | null {
    return tried("disk full", () => {
      quiet("mount", "-t", "tmpfs", "-o", "size=768m", "partidor-chaos", folder);
      return new SmallDisk(folder);
    });
  }

  /** Not a byte is free until `empty`. */
  fill(): void {
    const file = openSync(path.join(this.#folder, "ballast"), "w");
    try {
      for (let bytes = 8 << 20; bytes >= 512; ) {
        try {
          if (writeSync(file, Buffer.alloc(bytes)) < bytes) bytes >>= 1;
        } catch {
          bytes >>= 1;
        }
      }
    } finally {
      closeSync(file);
    }
  }

  empty(): void {
    rmSync(path.join(this.#folder, "ballast"), { force: true });
  }

  remove(): void {
    quiet("umount", "-l", this.#folder);
  }
}

/** EXT4_IOC_SHUTDOWN, without a flush of the log: what was not synced is gone, as when the power goes. */
const shutdown = `
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack("I", 2))
`;

export class PowerDisk implements ChaosDisk {
  readonly #folder: string;
  readonly #image: string;

  private constructor(folder: string, image: string) {
    this.#folder = folder;
    this.#image = image;
  }

  static open(folder: string): PowerDisk | null {
    const image = `${folder}.img`;
    return tried("power cut", () => {
      closeSync(openSync(image, "w"));
      truncateSync(image, 2 ** 30);
      quiet("mkfs.ext4", "-q", "-F", image);
      quiet("mount", "-o", "loop", image, folder);
      return new PowerDisk(folder, image);
    });
  }

  /** From now on nothing reaches the disk, and nothing that was not synced is there. */
  cut(): void {
    const done = spawnSync("python3", ["-c", shutdown, this.#folder], { encoding: "utf8" });
    if (done.status !== 0) throw new Error(`the file system cannot be shut down: ${done.stderr}`);
  }

  /** The process that used it is gone; the journal of the file system is replayed. */
  restore(): void {
    quiet("umount", this.#folder);
    quiet("mount", "-o", "loop", this.#image, this.#folder);
  }

  remove(): void {
    quiet("umount", "-l", this.#folder);
  }
}

/** Turns one bit in a closed segment of a hub that is down; what was hit, null when no segment is closed yet. */
export function flipBit(folder: string, chance: () => number): string | null {
  const closed: string[] = [];
  for (const topic of readdirSync(path.join(folder, "topics"))) {
    const logs = readdirSync(path.join(folder, "topics", topic)).filter((name) => name.endsWith(".log"));
    for (const name of logs.sort().slice(0, -1)) closed.push(path.join(folder, "topics", topic, name));
  }
  const file = closed[Math.floor(chance() * closed.length)];
  if (file === undefined) return null;
  const at = Math.floor(chance() * statSync(file).size);
  const descriptor = openSync(file, "r+");
  try {
    const byte = readFileSync(file)[at]! ^ (1 << Math.floor(chance() * 8));
    writeSync(descriptor, Buffer.of(byte), 0, 1, at);
  } finally {
    closeSync(descriptor);
  }
  return `${path.basename(path.dirname(file))}/${path.basename(file)} byte ${at}`;
}

/** Logs of a folder that no hub has open: `<topic>-<partition>` -> its segments one after the other, in one piece. */
export function logsOf(folder: string, topics: readonly string[]): Map<string, Buffer> {
  const logs = new Map<string, Buffer>();
  for (const { key, name } of openLogTools(folder).verify().logs) {
    if (!topics.includes(name.replace(/-\d+$/, ""))) continue;
    const names = readdirSync(path.join(folder, "topics", key)).filter((file) => /^\d{20}\.log$/.test(file));
    const pieces = names.sort().map((file) => readFileSync(path.join(folder, "topics", key, file)));
    logs.set(name, Buffer.concat(pieces));
  }
  return logs;
}
