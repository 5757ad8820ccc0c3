// The real disk: one directory and what is below it, over node:fs.
import fs from "node:fs";
import path from "node:path";
import type { Disk, File, OpenMode } from "./ports.ts";

const flags: Record<OpenMode, number> = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
  any: fs.constants.O_RDWR | fs.constants.O_CREAT,
};

/** iovec entries of one writev call (IOV_MAX is 1024 on Linux). */
const partsPerCallMax = 1000;

class RealFile implements File {
  readonly name: string;
  #fd: number;

  constructor(name: string, fd: number) {
    this.name = name;
    this.#fd = fd;
  }

  size(): number {
    return fs.fstatSync(this.#fd).size;
  }

  write(bytes: Uint8Array, position: number): number {
    let written = 0;
    while (written < bytes.length) {
      const count = fs.writeSync(this.#fd, bytes, written, bytes.length - written, position + written);
      written += count;
      if (count === 0) break;
    }
    return written;
  }

  writeAll(parts: readonly Uint8Array[], position: number): number {
    let written = 0;
    for (let from = 0; from < parts.length; from += partsPerCallMax) {
      const some = from === 0 && parts.length <= partsPerCallMax ? parts : parts.slice(from, from + partsPerCallMax);
      let asked = 0;
      for (const part of some) asked += part.length;
      const count = fs.writevSync(this.#fd, some as Uint8Array[], position + written);
      written += count;
      // A short writev begins ENOSPC or a signal; the plain path finds out which from the next byte on.
      if (count < asked) return written + this.#writeRest(some, count, position + written);
    }
    return written;
  }

  #writeRest(parts: readonly Uint8Array[], done: number, position: number): number {
    let skip = done;
    let written = 0;
    for (const part of parts) {
      if (skip >= part.length) {
        skip -= part.length;
        continue;
      }
      const rest = part.subarray(skip);
      skip = 0;
      const count = this.write(rest, position + written);
      written += count;
      if (count < rest.length) break;
    }
    return written;
  }

  read(target: Uint8Array, position: number): number {
    let done = 0;
    while (done < target.length) {
      const count = fs.readSync(this.#fd, target, done, target.length - done, position + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  readLater(target: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      let done = 0;
      const more = (): void => {
        fs.read(this.#fd, target, done, target.length - done, position + done, (error, count) => {
          if (error) return reject(error);
          done += count;
          if (count === 0 || done === target.length) resolve(done);
          else more();
        });
      };
      if (target.length === 0) resolve(0);
      else more();
    });
  }

  truncate(size: number): void {
    fs.ftruncateSync(this.#fd, size);
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#fd, (error) => (error ? reject(error) : resolve()));
    });
  }

  syncNow(): void {
    fs.fdatasyncSync(this.#fd);
  }

  close(): void {
    if (this.#fd < 0) return;
    fs.closeSync(this.#fd);
    this.#fd = -1;
  }
}

function codeOf(thrown: unknown): string {
  return (thrown as NodeJS.ErrnoException).code ?? "";
}

function bootId(): string {
  try {
    return fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}

/** Field 22 of /proc/PID/stat: a pid that was given again has another; "0" where there is no /proc. */
function startTime(pid: number): string {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "0";
  } catch {
    return "0";
  }
}

/** Opens a directory, making it when it is missing. Throws the DiskFault of the system (EACCES, ENOTDIR, EROFS...). */
export function openDisk(directory: string): Disk {
  const root = path.resolve(directory);
  fs.mkdirSync(root, { recursive: true });
  const within = (name: string): string => {
    const full = path.resolve(root, name);
    const inside = full === root || full.startsWith(root + path.sep);
    if (!inside || name.includes("\0")) throw new Error(`disk: ${JSON.stringify(name)} is outside ${root}`);
    return full;
  };
  return {
    open: (name, mode) => new RealFile(name, fs.openSync(within(name), flags[mode], 0o640)),
    list(name) {
      try {
        return fs.readdirSync(within(name)).sort();
      } catch (error) {
        if (codeOf(error) === "ENOENT") return [];
        throw error;
      }
    },
    exists: (name) => fs.existsSync(within(name)),
    makeDirectory: (name) => void fs.mkdirSync(within(name), { recursive: true, mode: 0o750 }),
    rename: (source, target) => fs.renameSync(within(source), within(target)),
    remove: (name) => fs.rmSync(within(name), { force: true }),
    removeDirectory(name) {
      try {
        fs.rmdirSync(within(name));
      } catch (error) {
        if (codeOf(error) !== "ENOENT") throw error;
      }
    },
    syncDirectory(name) {
      const fd = fs.openSync(within(name), fs.constants.O_RDONLY);
      try {
        fs.fsyncSync(fd);
      } finally {
        fs.closeSync(fd);
      }
    },
    space() {
      const { bavail, blocks, bsize } = fs.statfsSync(root);
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
    },
    bootId,
    owner: () => `${process.pid} ${startTime(process.pid)} ${bootId()}`,
    ownerLives(owner) {
      const [pid = "", started, boot = ""] = owner.split(" ");
      if (!/^\d+$/.test(pid) || Number(pid) === process.pid || boot !== bootId()) return false;
      try {
        process.kill(Number(pid), 0);
      } catch (error) {
        if (codeOf(error) !== "EPERM") return false;
      }
      return startTime(Number(pid)) === started;
    },
  };
}
