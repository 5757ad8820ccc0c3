// The ports through which the hub touches the world: clock, chance, hashes, disk, net. Types only.

/** Milliseconds. Monotonic (`Clock.now`) or since the Unix epoch (`Clock.wall`); never mixed. */
export type Millis = number;

/** A pending timer; `cancel` is idempotent and safe after it fired. */
export interface Timer {
  cancel(): void;
}

/** Time. Every timer, session, quota and token bucket uses `now`; `wall` is for record timestamps and logs alone. */
export interface Clock {
  /** Monotonic milliseconds with a fraction; never goes back, says nothing about the date. */
  now(): Millis;
  /** Whole milliseconds since the Unix epoch; may jump either way (a Pi without RTC boots in 1970). */
  wall(): Millis;
  /** True when `wall` may be believed: not before the build, and synchronised as far as the system says. */
  wallTrusted(): boolean;
  /** Calls once after `delayMs` (>= 0). An unfired timer does not keep the process alive. */
  after(delayMs: Millis, call: () => void): Timer;
  /** Calls after the I/O callbacks of this turn: the beat of group commit. */
  soon(call: () => void): void;
}

/** Chance. */
export interface Random {
  /** Uniform in [0, 1). */
  float(): number;
  /** `count` cryptographically strong bytes (0 <= count <= 65536). */
  bytes(count: number): Uint8Array;
  /** A version 4 UUID as 16 bytes. */
  uuid(): Uint8Array;
}

export type HashName = "sha256" | "sha512";

/** Hash functions, as SASL needs them. */
export interface Hashing {
  digest(hash: HashName, data: Uint8Array): Uint8Array;
  hmac(hash: HashName, key: Uint8Array, data: Uint8Array): Uint8Array;
  /** PBKDF2 with HMAC (RFC 8018), as long as the hash, through the thread pool: milliseconds on purpose. */
  stretch(hash: HashName, password: Uint8Array, salt: Uint8Array, iterations: number): Promise<Uint8Array>;
  /** Whether both are the same bytes, in a time that tells nothing but their lengths. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
}

/** What a disk says when it refuses. `code` is the errno name: ENOSPC, EDQUOT, EFBIG, EIO, EROFS, ENOENT, EEXIST... */
export interface DiskFault extends Error {
  readonly code: string;
}

/**
 * An open file. Plain reads and writes go to the page cache and are synchronous (a 4 KiB write costs 4 us that way and
 * 30 us through a thread pool), so that appends keep their order without a lock; flushing is asynchronous.
 */
export interface File {
  /** Name relative to the disk's directory. */
  readonly name: string;
  /** Current length in bytes. */
  size(): number;
  /** Writes at `position`; returns the bytes written, which may be fewer (a full disk begins so). Throws DiskFault. */
  write(bytes: Uint8Array, position: number): number;
  /** Writes the parts one after another at `position`; returns the bytes written in all, which may be fewer. */
  writeAll(parts: readonly Uint8Array[], position: number): number;
  /** Reads into `target` from `position`; returns the bytes read; fewer than asked only at the end of the file. */
  read(target: Uint8Array, position: number): number;
  /** As `read`, through the thread pool: for what may not be in the page cache. */
  readLater(target: Uint8Array, position: number): Promise<number>;
  /** Cuts or extends (with zeros) to `size`. */
  truncate(size: number): void;
  /** fdatasync through the thread pool: what was written before the call survives a power cut once it resolves. */
  sync(): Promise<void>;
  /** fdatasync, waiting for it: start-up, shutdown and rare transitions only. */
  syncNow(): void;
  /** Idempotent. */
  close(): void;
}

/** `read`: must exist. `write`: must exist, readable too. `create`: must not exist. `any`: created when missing. */
export type OpenMode = "read" | "write" | "create" | "any";

/**
 * One directory and what is below it; a name that leaves it (absolute, or with `..`) is refused.
 * Names use `/`. A new, renamed or removed name survives a power cut only after `syncDirectory` of its parent.
 */
export interface Disk {
  open(name: string, mode: OpenMode): File;
  /** Names (not paths) in a directory, sorted; empty when it does not exist. */
  list(directory: string): string[];
  exists(name: string): boolean;
  /** Makes a directory and its missing parents. */
  makeDirectory(directory: string): void;
  /** Replaces `target` when it exists. */
  rename(source: string, target: string): void;
  /** Removes a file; no error when it is missing. */
  remove(name: string): void;
  /** Removes an empty directory; no error when it is missing. */
  removeDirectory(directory: string): void;
  syncDirectory(directory: string): void;
  /** Free and total bytes of the file system that holds the directory. */
  space(): { readonly freeBytes: number; readonly totalBytes: number };
  /** /proc/sys/kernel/random/boot_id, or a value that changes at each boot; "" when unknown. */
  bootId(): string;
  /** This process, for a lock file: "<pid> <start time> <boot id>". */
  owner(): string;
  /** True when the process that an `owner` text names runs now, and is not this one. */
  ownerLives(owner: string): boolean;
}

/** One byte stream. `data` buffers belong to the receiver, who may keep and change them. */
export interface Socket {
  readonly id: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** Set once, before the first turn ends. */
  onData: (bytes: Uint8Array) => void;
  /** Called exactly once, whoever closed. */
  onClose: (error: Error | null) => void;
  /** Called when `write` answered false and the buffer has drained. */
  onDrain: () => void;
  /** Queues the parts as one write; false when the socket's buffer is over its mark (still accepted). */
  write(parts: readonly Uint8Array[]): boolean;
  /** Bytes queued and not yet given to the kernel. */
  buffered(): number;
  pause(): void;
  resume(): void;
  /** Flushes what is queued, then closes. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
}

/** A listening port. */
export interface Listener {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Sockets: the listeners of a hub and the connections it dials. */
export interface Net {
  /** Port 0 picks a free one. Rejects with `code` EADDRINUSE, EACCES, EADDRNOTAVAIL. */
  listen(host: string, port: number, accept: (socket: Socket) => void): Promise<Listener>;
  /** Rejects when the connection is refused or not there after `timeoutMs`. */
  dial(host: string, port: number, timeoutMs: Millis): Promise<Socket>;
}
