// A simulated disk: a page cache over a durable image, with everything a card, a kernel and a power cut do to them.
import type { Clock, Disk, DiskFault, File, OpenMode } from "../../hub/io/ports.ts";

export const pageBytes = 4096;
const sectorBytes = 512;

/** The evils, each with a number. */
export interface DiskFaults {
  /** The machine stops at this operation, counted from the start; -1 never. */
  crashAt: number;
  /** Chance that a sync fails with EIO; the pages it should have written are dropped from the dirty set. */
  syncFails: number;
  /** Chance that a write or read fails with EIO. */
  ioFails: number;
  /** Every change is refused with EROFS. */
  readOnly: boolean;
  /** Bytes that all files together may have. */
  capacity: number;
  /** Milliseconds a sync takes, at most. */
  syncMsMax: number;
  /** Chance that a sync stalls for 31 seconds. */
  stalls: number;
}

export const noFaults: DiskFaults = {
  crashAt: -1,
  syncFails: 0,
  ioFails: 0,
  readOnly: false,
  capacity: 1 << 30,
  syncMsMax: 3,
  stalls: 0,
};

/** Thrown by every operation once the machine has stopped. */
export class MachineStopped extends Error {}

interface Inode {
  readonly id: number;
  /** The page cache's view. */
  content: Uint8Array;
  size: number;
  /** What a power cut leaves for sure. */
  durable: Uint8Array;
  /** Unsynced pages, each with the number of its last write. */
  dirty: Map<number, number>;
  /** Number of the sync that last made a page, or the size, durable: of two that overlap the later call wins. */
  readonly pageSyncs: Map<number, number>;
  sizeSync: number;
}

interface Snapshot {
  readonly pages: Map<number, Uint8Array>;
  readonly versions: Map<number, number>;
  readonly size: number;
  readonly order: number;
}

interface NameChange {
  readonly kind: "link" | "unlink";
  readonly name: string;
  readonly inode: Inode | null;
  /** Changes of one call (rename) share a number: they happen together. */
  readonly batch: number;
}

function fault(code: string, name: string): DiskFault {
  return Object.assign(new Error(`${code}: ${name}`), { code });
}

function parentOf(name: string): string {
  const slash = name.lastIndexOf("/");
  return slash < 0 ? "." : name.slice(0, slash);
}

function normal(name: string): string {
  if (name.startsWith("/") || name.includes("\0")) throw new Error(`disk: ${name} is outside`);
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === ".." && parts.pop() === undefined) throw new Error(`disk: ${name} is outside`);
    if (part !== "..") parts.push(part);
  }
  return parts.length === 0 ? "." : parts.join("/");
}

/** What is left when the power goes: every synced byte, and of the rest whatever chance keeps. */
export type CutStyle = "nothing" | "everything" | "some" | "torn";

export class SimDisk implements Disk {
  readonly faults: DiskFaults;
  readonly #clock: Clock;
  readonly #chance: () => number;
  #files = new Map<string, Inode>();
  #directories = new Set<string>(["."]);
  #durableFiles = new Map<string, Inode>();
  #durableDirectories = new Set<string>(["."]);
  #changes = new Map<string, NameChange[]>();
  #nextInode = 1;
  #batch = 0;
  #boot: string;
  operations = 0;
  stopped = false;
  /** Told when the machine stops in the middle of an operation. */
  onStop: () => void = () => {};
  syncs = 0;
  syncOrder = 0;
  bytesSynced = 0;

  constructor(clock: Clock, chance: () => number, faults: Partial<DiskFaults> = {}, boot = "boot-1") {
    this.#clock = clock;
    this.#chance = chance;
    this.faults = { ...noFaults, ...faults };
    this.#boot = boot;
  }

  /** Counts an operation; the machine may stop at it. */
  operate(name: string, changes: boolean): void {
    if (this.stopped) throw new MachineStopped("the machine has stopped");
    this.operations += 1;
    if (this.operations === this.faults.crashAt) {
      this.stopped = true;
      this.onStop();
      throw new MachineStopped(`the machine stops at operation ${this.operations}`);
    }
    if (changes && this.faults.readOnly) throw fault("EROFS", name);
  }

  /** True by chance `odds`. */
  happens(odds: number): boolean {
    return odds > 0 && this.#chance() < odds;
  }

  chance(): number {
    return this.#chance();
  }

  get clock(): Clock {
    return this.#clock;
  }

  usedBytes(): number {
    let bytes = 0;
    for (const { size } of new Set(this.#files.values())) bytes += size;
    return bytes;
  }

  open(given: string, mode: OpenMode): File {
    const name = normal(given);
    const there = this.#files.get(name);
    const creates = mode === "create" || (mode === "any" && !there);
    this.operate(name, mode !== "read");
    if (mode === "create" && there) throw fault("EEXIST", name);
    if (!there && !creates) throw fault("ENOENT", name);
    if (!this.#directories.has(parentOf(name))) throw fault("ENOENT", name);
    if (there) return new SimFile(this, given, there);
    const inode: Inode = {
      id: this.#nextInode,
      content: new Uint8Array(0),
      size: 0,
      durable: new Uint8Array(0),
      dirty: new Map(),
      pageSyncs: new Map(),
      sizeSync: 0,
    };
    this.#nextInode += 1;
    this.#batch += 1;
    this.#link(name, inode);
    return new SimFile(this, given, inode);
  }

  #note(change: NameChange): void {
    const directory = parentOf(change.name);
    const changes = this.#changes.get(directory);
    if (changes) changes.push(change);
    else this.#changes.set(directory, [change]);
  }

  #link(name: string, inode: Inode): void {
    this.#files.set(name, inode);
    this.#note({ kind: "link", name, inode, batch: this.#batch });
  }

  #unlink(name: string): void {
    this.#files.delete(name);
    this.#note({ kind: "unlink", name, inode: null, batch: this.#batch });
  }

  list(given: string): string[] {
    const directory = normal(given);
    this.operate(directory, false);
    const names = new Set<string>();
    for (const name of [...this.#files.keys(), ...this.#directories]) {
      if (name !== "." && parentOf(name) === directory) names.add(name.slice(name.lastIndexOf("/") + 1));
    }
    return [...names].sort();
  }

  exists(name: string): boolean {
    this.operate(name, false);
    return this.#files.has(normal(name)) || this.#directories.has(normal(name));
  }

  makeDirectory(given: string): void {
    const directory = normal(given);
    this.operate(directory, !this.#directories.has(directory));
    const parts = directory.split("/");
    for (let i = 1; i <= parts.length; i += 1) this.#directories.add(parts.slice(0, i).join("/"));
  }

  rename(givenSource: string, givenTarget: string): void {
    const [source, target] = [normal(givenSource), normal(givenTarget)];
    this.operate(source, true);
    const inode = this.#files.get(source);
    if (!inode) throw fault("ENOENT", source);
    this.#batch += 1;
    this.#unlink(source);
    this.#link(target, inode);
  }

  remove(given: string): void {
    const name = normal(given);
    this.operate(name, this.#files.has(name));
    if (!this.#files.has(name)) return;
    this.#batch += 1;
    this.#unlink(name);
  }

  removeDirectory(given: string): void {
    const directory = normal(given);
    this.operate(directory, this.#directories.has(directory));
    for (const name of [...this.#files.keys(), ...this.#directories]) {
      if (parentOf(name) === directory && name !== ".") throw fault("ENOTEMPTY", directory);
    }
    this.#directories.delete(directory);
  }

  syncDirectory(given: string): void {
    const directory = normal(given);
    this.operate(directory, false);
    if (!this.#directories.has(directory)) throw fault("ENOENT", directory);
    if (this.happens(this.faults.syncFails)) throw fault("EIO", directory);
    for (const change of this.#changes.get(directory) ?? []) apply(this.#durableFiles, change);
    this.#changes.delete(directory);
    for (const name of this.#directories) if (parentOf(name) === directory) this.#durableDirectories.add(name);
    for (const name of this.#durableDirectories) {
      if (parentOf(name) === directory && !this.#directories.has(name)) this.#durableDirectories.delete(name);
    }
  }

  space(): { freeBytes: number; totalBytes: number } {
    this.operate(".", false);
    const { capacity } = this.faults;
    return { freeBytes: Math.max(0, capacity - this.usedBytes()), totalBytes: capacity };
  }

  bootId(): string {
    return this.#boot;
  }

  owner(): string {
    return `1 1 ${this.#boot}`;
  }

  ownerLives(): boolean {
    return false;
  }

  /** The disk as the next process finds it when only this one died: the page cache is still there. */
  afterKill(clock: Clock, chance: () => number, faults: Partial<DiskFaults> = {}): SimDisk {
    const next = new SimDisk(clock, chance, faults, this.#boot);
    next.#files = new Map(this.#files);
    next.#directories = new Set(this.#directories);
    next.#durableFiles = new Map(this.#durableFiles);
    next.#durableDirectories = new Set(this.#durableDirectories);
    next.#changes = new Map([...this.#changes].map(([directory, changes]) => [directory, [...changes]]));
    next.#nextInode = this.#nextInode;
    next.#batch = this.#batch;
    next.syncOrder = this.syncOrder;
    return next;
  }

  /** The disk after a power cut: what was synced, and of the rest what chance and `style` keep. */
  afterPowerCut(clock: Clock, chance: () => number, style: CutStyle, faults: Partial<DiskFaults> = {}): SimDisk {
    const next = new SimDisk(clock, chance, faults, `boot-${Math.floor(chance() * 1e9)}`);
    const names = new Map(this.#durableFiles);
    for (const changes of this.#changes.values()) keepNames(names, changes, style, chance);
    const directories = new Set(
      [...this.#directories].filter((name) => this.#durableDirectories.has(name) || keeps(style, chance)),
    );
    for (const name of this.#durableDirectories) directories.add(name);
    const copies = new Map<Inode, Inode>();
    for (const [name, inode] of names) {
      if (!ancestorsOf(name).every((directory) => directories.has(directory))) continue;
      let copy = copies.get(inode);
      if (!copy) copies.set(inode, (copy = crashedInode(inode, style, chance)));
      next.#files.set(name, copy);
      next.#durableFiles.set(name, copy);
    }
    next.#directories = new Set([...directories].filter((name) => ancestorsOf(name).every((d) => directories.has(d))));
    next.#durableDirectories = new Set(next.#directories);
    next.#nextInode = this.#nextInode;
    return next;
  }

  /** Flips one bit of a file, in the cache and on the medium: rot. */
  flipBit(name: string, at: number, bit = 0): void {
    const inode = this.#files.get(normal(name))!;
    inode.content[at] = inode.content[at]! ^ (1 << bit);
    if (at < inode.durable.length) inode.durable[at] = inode.content[at]!;
  }

  /** Length of a file without counting as an operation. */
  lengthOf(name: string): number {
    return this.#files.get(normal(name))?.size ?? -1;
  }

  /** Names of all files. */
  names(): string[] {
    return [...this.#files.keys()].sort();
  }

  /** Cuts a file behind the store's back: what a program does that truncates at the first bad CRC. */
  chop(name: string, size: number): void {
    const inode = this.#files.get(normal(name))!;
    inode.size = size;
    inode.content = inode.content.slice(0, size);
    inode.durable = inode.durable.slice(0, size);
  }
}

function ancestorsOf(name: string): string[] {
  const parts = name.split("/").slice(0, -1);
  return parts.map((_, i) => parts.slice(0, i + 1).join("/"));
}

function apply(names: Map<string, Inode>, change: NameChange): void {
  if (change.kind === "unlink") names.delete(change.name);
  else names.set(change.name, change.inode!);
}

function keeps(style: CutStyle, chance: () => number): boolean {
  return style === "everything" || (style !== "nothing" && chance() < 0.5);
}

/** Unsynced names: mostly those up to a moment are kept (a journaling file system), sometimes any of them. */
function keepNames(
  names: Map<string, Inode>,
  changes: readonly NameChange[],
  style: CutStyle,
  chance: () => number,
): void {
  const batches = [...new Set(changes.map(({ batch }) => batch))];
  const inOrder = chance() < 0.7;
  const upTo = style === "everything" ? batches.length : Math.floor(chance() * (batches.length + 1));
  const kept = new Set(batches.filter((_, i) => (inOrder ? i < upTo && style !== "nothing" : keeps(style, chance))));
  for (const change of changes) if (kept.has(change.batch)) apply(names, change);
}

function crashedInode(inode: Inode, style: CutStyle, chance: () => number): Inode {
  const sizes = [inode.durable.length, inode.size];
  const size = style === "nothing" ? sizes[0]! : style === "everything" ? sizes[1]! : sizes[chance() < 0.5 ? 0 : 1]!;
  const content = new Uint8Array(size);
  content.set(inode.durable.subarray(0, size));
  for (const page of inode.dirty.keys()) {
    const from = page * pageBytes;
    const to = Math.min(from + pageBytes, inode.size, size);
    if (from >= to || !keeps(style, chance)) continue;
    const fresh = inode.content.subarray(from, to);
    const kind = style === "torn" ? chance() : 0;
    if (kind < 0.5) content.set(fresh, from);
    else if (kind < 0.6)
      content.fill(0, Math.max(from, Math.min(to, inode.durable.length)), to); // allocated, not written
    else {
      // A page torn at its sectors, in any order.
      for (let at = 0; at < fresh.length; at += sectorBytes) {
        if (chance() < 0.5) content.set(fresh.subarray(at, at + sectorBytes), from + at);
      }
    }
  }
  return { id: inode.id, content, size, durable: content.slice(), dirty: new Map(), pageSyncs: new Map(), sizeSync: 0 };
}

class SimFile implements File {
  readonly name: string;
  readonly #disk: SimDisk;
  readonly #inode: Inode;
  #open = true;

  constructor(disk: SimDisk, name: string, inode: Inode) {
    this.name = name;
    this.#disk = disk;
    this.#inode = inode;
  }

  #check(changes: boolean): void {
    this.#disk.operate(this.name, changes);
    if (!this.#open) throw fault("EBADF", this.name);
    if (this.#disk.happens(this.#disk.faults.ioFails)) throw fault("EIO", this.name);
  }

  size(): number {
    this.#disk.operate(this.name, false);
    return this.#inode.size;
  }

  write(bytes: Uint8Array, position: number): number {
    // The machine may stop in the middle of a write: a part of it is in the page cache then.
    if (this.#disk.operations + 1 === this.#disk.faults.crashAt) {
      this.#put(bytes.subarray(0, Math.floor(bytes.length * this.#disk.chance())), position);
    }
    this.#check(true);
    const { capacity } = this.#disk.faults;
    const room = capacity === noFaults.capacity ? capacity : capacity - this.#disk.usedBytes();
    const growth = position + bytes.length - this.#inode.size;
    if (growth <= room) {
      this.#put(bytes, position);
      return bytes.length;
    }
    const fits = Math.max(0, bytes.length - (growth - Math.max(0, room)));
    this.#put(bytes.subarray(0, fits), position);
    if (fits === 0 || this.#disk.happens(0.5)) throw fault("ENOSPC", this.name);
    return fits;
  }

  writeAll(parts: readonly Uint8Array[], position: number): number {
    let written = 0;
    for (const part of parts) {
      const count = this.write(part, position + written);
      written += count;
      if (count < part.length) break;
    }
    return written;
  }

  #put(bytes: Uint8Array, position: number): void {
    if (bytes.length === 0) return;
    const inode = this.#inode;
    const end = position + bytes.length;
    if (end > inode.content.length) {
      const grown = new Uint8Array(Math.max(end, inode.content.length * 2));
      grown.set(inode.content.subarray(0, inode.size));
      inode.content = grown;
    }
    inode.content.set(bytes, position);
    inode.size = Math.max(inode.size, end);
    for (let page = Math.floor(position / pageBytes); page * pageBytes < end; page += 1) {
      inode.dirty.set(page, this.#disk.operations);
    }
  }

  read(target: Uint8Array, position: number): number {
    this.#check(false);
    const { content, size } = this.#inode;
    const count = Math.max(0, Math.min(target.length, size - position));
    target.set(content.subarray(position, position + count));
    return count;
  }

  readLater(target: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#disk.clock.after(this.#disk.chance(), () => {
        try {
          resolve(this.read(target, position));
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  truncate(size: number): void {
    this.#check(true);
    const inode = this.#inode;
    if (size > inode.size) this.#put(new Uint8Array(size - inode.size), inode.size);
    inode.content.fill(0, size);
    inode.size = size;
    for (const page of inode.dirty.keys()) if (page * pageBytes >= size) inode.dirty.delete(page);
  }

  sync(): Promise<void> {
    const { faults, clock } = this.#disk;
    try {
      this.#check(false);
    } catch (error) {
      return Promise.reject(error);
    }
    const snapshot = this.#snapshot();
    const delay = this.#disk.happens(faults.stalls) ? 31_000 : this.#disk.chance() * faults.syncMsMax;
    return new Promise((resolve, reject) => {
      clock.after(delay, () => {
        try {
          this.#disk.operate(this.name, false);
          this.#finish(snapshot);
          resolve();
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  syncNow(): void {
    this.#check(false);
    this.#finish(this.#snapshot());
  }

  /** What was written before the call; the pages are clean from here on, whatever becomes of them. */
  #snapshot(): Snapshot {
    const inode = this.#inode;
    const pages = new Map<number, Uint8Array>();
    for (const page of inode.dirty.keys()) {
      pages.set(page, inode.content.slice(page * pageBytes, Math.min((page + 1) * pageBytes, inode.size)));
    }
    this.#disk.syncOrder += 1;
    return { pages, versions: new Map(inode.dirty), size: inode.size, order: this.#disk.syncOrder };
  }

  #finish({ pages, versions, size, order }: Snapshot): void {
    const inode = this.#inode;
    const failed = this.#disk.happens(this.#disk.faults.syncFails);
    for (const [page, version] of versions) if (inode.dirty.get(page) === version) inode.dirty.delete(page);
    if (failed) throw fault("EIO", this.name); // the page is clean now, and not on the medium
    if (order > inode.sizeSync) {
      if (inode.durable.length !== size) {
        const durable = new Uint8Array(size);
        durable.set(inode.durable.subarray(0, size));
        inode.durable = durable;
      }
      inode.sizeSync = order;
    }
    for (const [page, bytes] of pages) {
      if (page * pageBytes >= inode.durable.length || order < (inode.pageSyncs.get(page) ?? 0)) continue;
      inode.durable.set(bytes.subarray(0, inode.durable.length - page * pageBytes), page * pageBytes);
      inode.pageSyncs.set(page, order);
    }
    this.#disk.syncs += 1;
    this.#disk.bytesSynced += pages.size * pageBytes;
  }

  close(): void {
    this.#open = false;
  }
}
