// Who owns a data folder: hub.meta and the lock (storage.md section 1).
import type { Disk, Random } from "../io/ports.ts";
import { openText, readWhole, replaceFile, sealText } from "./small_file.ts";

export const metaFile = "meta/hub.meta";
const lockFile = "lock";
const metaKind = "partidor-hub-meta";
const version = 1;

export interface HubMeta {
  readonly clusterId: string;
  readonly hubId: number;
  /** Made with the folder; a replaced disk has another. */
  readonly dirId: string;
  /** Raised and synced at each start. */
  readonly bootSeq: number;
  /** True while the last stop wrote everything. */
  readonly clean: boolean;
  /** Of the machine, at the last start. */
  readonly bootId: string;
}

/** What stands in hub.meta; null for a new folder. */
export function readMeta(disk: Disk): HubMeta | null {
  const bytes = readWhole(disk, metaFile);
  if (bytes === null) return null;
  const lines = openText(metaKind, version, bytes);
  if (typeof lines === "number") {
    throw new Error(`the data folder is of format ${lines}, this program reads ${version}: use the newer program`);
  }
  if (lines === null) {
    throw new Error(`${metaFile} is unreadable: restore it from a copy, or move the data folder away and start anew`);
  }
  return JSON.parse(lines.join("\n")) as HubMeta;
}

export function writeMeta(disk: Disk, meta: HubMeta): void {
  replaceFile(disk, metaFile, sealText(metaKind, version, [JSON.stringify(meta)]));
}

/** A UUID's 36-character form. */
export function uuidText(bytes: Uint8Array): string {
  let hex = "";
  for (const byte of bytes) hex += byte.toString(16).padStart(2, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** A UUID's form as Kafka writes ids: 22 characters of base64url. */
export function uuidShort(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .slice(0, 22);
}

/** The meta of a new folder. */
export function newMeta(random: Random, hubId: number): HubMeta {
  return {
    clusterId: uuidShort(random.uuid()),
    hubId,
    dirId: uuidText(random.uuid()),
    bootSeq: 0,
    clean: false,
    bootId: "",
  };
}

/**
 * Takes the folder's lock: a file made with O_EXCL that names this process by pid, start time and boot. One whose
 * process does not live any more is stale and moved out of the way.
 * @throws Error that names the process which holds the folder
 */
export function takeLock(disk: Disk, random: Random): void {
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      const file = disk.open(lockFile, "create");
      file.write(new TextEncoder().encode(`${disk.owner()}\n`), 0);
      file.close();
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== "EEXIST") throw error;
    }
    const owner = lockOwner(disk, lockFile);
    if (owner !== null && disk.ownerLives(owner)) throw inUse(owner);
    // Moved, then looked at: of two processes that both find it stale one moves the other's fresh lock.
    const aside = `${lockFile}.${Math.floor(random.float() * 1e9)}`;
    if (owner !== null) disk.rename(lockFile, aside);
    const moved = lockOwner(disk, aside);
    if (moved !== null && moved !== owner && disk.ownerLives(moved)) {
      disk.rename(aside, lockFile);
      throw inUse(moved);
    }
    disk.remove(aside);
  }
  throw new Error("the data folder's lock changes hands: two hubs start on one folder");
}

function inUse(owner: string): Error {
  const [pid] = owner.split(" ");
  return new Error(`the data folder is in use by process ${pid}: stop it, or give this hub another folder`);
}

function lockOwner(disk: Disk, name: string): string | null {
  const bytes = readWhole(disk, name);
  return bytes === null ? null : new TextDecoder().decode(bytes).trim();
}

export function releaseLock(disk: Disk): void {
  disk.remove(lockFile);
}
