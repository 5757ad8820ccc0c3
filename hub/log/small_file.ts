// Small files that are replaced whole: a line of kind, version and CRC-32C, then lines of text.
import { crc32c } from "../io/crc32c.ts";
import type { Disk, DiskFault, File } from "../io/ports.ts";

/** What a disk that filled up says, for a write that came back short. */
export function shortWrite(name: string): DiskFault {
  return Object.assign(new Error(`ENOSPC: the disk took only a part of a write to ${name}`), { code: "ENOSPC" });
}

/** Writes every byte, or throws a DiskFault (a short write is ENOSPC: so a full disk begins). */
export function writeFully(file: File, bytes: Uint8Array, position: number): void {
  if (file.write(bytes, position) < bytes.length) throw shortWrite(file.name);
}

/** The whole file; null when it is missing. */
export function readWhole(disk: Disk, name: string): Uint8Array | null {
  if (!disk.exists(name)) return null;
  const file = disk.open(name, "read");
  try {
    const bytes = new Uint8Array(file.size());
    return bytes.subarray(0, file.read(bytes, 0));
  } finally {
    file.close();
  }
}

export function parentOf(name: string): string {
  const slash = name.lastIndexOf("/");
  return slash < 0 ? "." : name.slice(0, slash);
}

/**
 * Replaces a file by: temporary file, write, fsync, rename, fsync of the directory (storage.md section 1).
 * With `durable` false the two syncs are left out: for caches, whose CRC tells a torn one. With `directory` false the
 * caller syncs the directory.
 */
export function replaceFile(disk: Disk, name: string, bytes: Uint8Array, durable = true, directory = durable): void {
  const temporary = `${name}.tmp`;
  disk.remove(temporary);
  const file = disk.open(temporary, "create");
  try {
    writeFully(file, bytes, 0);
    if (durable) file.syncNow();
  } catch (error) {
    file.close();
    disk.remove(temporary);
    throw error;
  }
  file.close();
  disk.rename(temporary, name);
  if (directory) disk.syncDirectory(parentOf(name));
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Lines under a heading `<kind> <version> <CRC-32C of the lines, 8 hex digits>`. */
export function sealText(kind: string, version: number, lines: readonly string[]): Uint8Array {
  const body = encoder.encode(lines.map((line) => `${line}\n`).join(""));
  const heading = encoder.encode(`${kind} ${version} ${crc32c(body).toString(16).padStart(8, "0")}\n`);
  const bytes = new Uint8Array(heading.length + body.length);
  bytes.set(heading);
  bytes.set(body, heading.length);
  return bytes;
}

/** The lines; null when the heading is another's or the CRC differs. A newer version is given back as a number. */
export function openText(kind: string, version: number, bytes: Uint8Array | null): string[] | null | number {
  if (bytes === null) return null;
  const end = bytes.indexOf(10);
  const [foundKind, foundVersion, crc] = decoder.decode(bytes.subarray(0, Math.max(end, 0))).split(" ");
  const body = bytes.subarray(end + 1);
  if (foundKind !== kind || crc !== crc32c(body).toString(16).padStart(8, "0")) return null;
  if (Number(foundVersion) !== version) return Number(foundVersion);
  return decoder.decode(body).split("\n").slice(0, -1);
}

/** As `openText`, for caches: a file of another version is as good as none. */
export function openCache(kind: string, version: number, bytes: Uint8Array | null): string[] | null {
  const lines = openText(kind, version, bytes);
  return Array.isArray(lines) ? lines : null;
}
