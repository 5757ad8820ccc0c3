// One partition on one disk: segments in order, appended to in the order of the calls, read by offset and time.
import { HubError } from "../errors.ts";
import { readBatchHeader, setBaseOffsetAndEpoch, setLogAppendTime } from "../record/batch.ts";
import type { BatchHeader } from "../record/batch.ts";
import { Epochs } from "./epochs.ts";
import { partitionIdBytes } from "./frame.ts";
import { TailOwner } from "./hot_tail.ts";
import { saveCaches } from "./log_caches.ts";
import { findTime, maxTimestampOf, readCold } from "./log_read.ts";
import { appendReplicated } from "./log_replica.ts";
import type { Appended, LogHost } from "./log_types.ts";
import type { TimeOffset } from "./log_read.ts";
import { isRollDue } from "./cleaning.ts";
import { Producers } from "./producers.ts";
import { Segment } from "./segment.ts";
import { faultKind, partitionKey, storageError } from "./settings.ts";
import type { LogSettings } from "./settings.ts";

export type { Appended, LogHost } from "./log_types.ts";

/** Unsynced bytes of a closing segment that are synced while everything waits. */
const closingSyncBytes = 1024 * 1024;
const offsetDeltaMax = 2 ** 31 - 1;

export class PartitionLog {
  readonly topicId: string;
  readonly partition: number;
  readonly name: string;
  readonly key: string;
  readonly idBytes: Uint8Array;
  readonly directory: string;
  readonly tail = new TailOwner();
  readonly #host: LogHost;
  #settings: LogSettings;
  /** True while batches go through the journal: the policy as journaled, not as asked for. */
  journaled: boolean;
  /** Ascending by base; the last is appended to. Never empty. */
  segments: Segment[] = [];
  epochs = new Epochs();
  producers = new Producers();
  #logStart = 0;
  #durableEnd = 0;
  #closedBytes = 0;
  #appendTime = -1;
  #presyncing = false;
  #offline: unknown = null;
  #changes: Promise<void> = Promise.resolve();
  #gone = false;
  /** What recovery found: `short` when a suffix that was promised may be missing (replication.md 2.5). */
  recovered: "whole" | "short" = "whole";
  /** What was known to be committed when the last checkpoint was made. */
  recoveredWatermark = 0;
  /** Segments in which something cannot be read. */
  readonly damaged = new Set<Segment>();
  /** What is damaged is being fetched from another replica: until that has failed, nobody is told that it is lost. */
  repairing = false;
  /** Set by the engine; retention never goes above it. -1: the durable end. */
  highWatermark = -1;

  constructor(host: LogHost, topicId: string, partition: number, name: string, settings: LogSettings) {
    this.#host = host;
    this.topicId = topicId;
    this.partition = partition;
    this.name = name;
    this.key = partitionKey(topicId, partition);
    this.idBytes = partitionIdBytes(topicId, partition);
    this.directory = `topics/${this.key}`;
    this.#settings = settings;
    this.journaled = settings.fsync === "always";
  }

  get settings(): LogSettings {
    return this.#settings;
  }

  get logStart(): number {
    return this.#logStart;
  }

  get logEnd(): number {
    return this.active.nextOffset;
  }

  /** Everything below is covered by the log's fsync policy. */
  get durableEnd(): number {
    return this.#durableEnd;
  }

  get sizeBytes(): number {
    return this.#closedBytes + this.active.size;
  }

  get latestEpoch(): number {
    return this.epochs.latest;
  }

  get active(): Segment {
    return this.segments.at(-1)!;
  }

  /** Recovery and creation hand over what they found. */
  adopt(segments: Segment[], logStart: number, epochs: Epochs, producers: Producers): void {
    this.segments = segments;
    this.epochs = epochs;
    this.producers = producers;
    this.#logStart = logStart;
    this.#durableEnd = this.logEnd;
    // Append times go on from the newest trusted one, whatever the clock says after a boot (storage.md section 7).
    this.#appendTime = segments.reduce((newest, { appendedAt }) => Math.max(newest, appendedAt), -1);
    this.countClosed();
  }

  countClosed(): void {
    this.#closedBytes = this.segments.slice(0, -1).reduce((sum, { size }) => sum + size, 0);
  }

  /**
   * Appends one batch that the caller has checked; the bytes are the log's from now on. Offsets are given in the order
   * of the calls; base offset and leader epoch are written into the batch, and under LogAppendTime the time.
   * Nothing is promised until `durableEnd` has passed the batch.
   * @throws HubError OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, UNKNOWN_PRODUCER_ID, INVALID_TXN_STATE,
   *   CONCURRENT_TRANSACTIONS (producers.ts), KAFKA_STORAGE_ERROR when the data folder is full, read-only or failed
   */
  append(batch: Uint8Array, leaderEpoch: number): Appended {
    const host = this.#host;
    host.assertWritable();
    if (this.#offline !== null) throw storageError(`${this.key} is offline`, this.#offline);
    const given = readBatchHeader(batch);
    const before = given.control ? null : this.producers.check(given);
    if (before !== null) {
      const { baseOffset, lastOffset } = before;
      return { baseOffset, lastOffset, duplicate: true, logAppendTime: given.logAppendTime ? before.timestamp : -1 };
    }
    const baseOffset = this.logEnd;
    const end = baseOffset + (given.lastOffset - given.baseOffset) + 1;
    let logAppendTime = -1;
    if (this.#settings.timestampType === "LogAppendTime") {
      // The wall clock may step back; the order of a log's append times may not (storage.md section 7).
      this.#appendTime = logAppendTime = Math.max(host.clock.wall(), this.#appendTime);
      setLogAppendTime(batch, logAppendTime);
    }
    setBaseOffsetAndEpoch(batch, baseOffset, leaderEpoch);
    const header: BatchHeader = {
      ...given,
      baseOffset,
      lastOffset: end - 1,
      leaderEpoch,
      maxTimestamp: logAppendTime >= 0 ? logAppendTime : given.maxTimestamp,
    };
    this.take(batch, header);
    return { baseOffset, lastOffset: end - 1, duplicate: false, logAppendTime };
  }

  /** Writes a batch in which offsets and epoch stand, and notes all that follows from it. */
  take(batch: Uint8Array, header: BatchHeader): void {
    const host = this.#host;
    const prevEnd = this.logEnd;
    this.#write(batch, header);
    const end = header.lastOffset + 1;
    this.epochs.assign(header.leaderEpoch, header.baseOffset);
    const ended = this.producers.note(header, host.clock.now(), batch);
    if (ended?.aborted) this.active.aborted.add(ended);
    if (header.baseOffset > prevEnd) host.tail.clear(this.tail); // it holds batches without a gap
    host.tail.push(this.tail, header.baseOffset, end, batch);
    if (this.journaled) host.journal.addBatch(this, batch, prevEnd, end);
    else host.written(this, batch.length);
  }

  /** A follower takes whole batches as its leader wrote them (log_replica.ts); they are the log's from now on. */
  appendReplicated(batches: Uint8Array): void {
    const host = this.#host;
    host.assertWritable();
    if (this.#offline !== null) throw storageError(`${this.key} is offline`, this.#offline);
    appendReplicated(this, batches);
  }

  /** Drops everything and goes on at `offset`: the leader's log begins above this one's end. */
  restartAt(offset: number): Promise<void> {
    return this.#host.restartAt(this, offset);
  }

  #write(batch: Uint8Array, header: BatchHeader): void {
    const { clock } = this.#host;
    try {
      if (this.#mustRoll(batch.length, header.lastOffset)) this.#roll();
      this.active.append(batch, header, this.#settings.indexIntervalBytes);
    } catch (error) {
      const kind = faultKind(error);
      if ((error as { cutFailed?: boolean }).cutFailed === true) this.#offline = error;
      this.#host.fault(kind, error);
      throw storageError(`append to ${this.key}: ${(error as Error).message}`, error);
    }
    const { active } = this;
    if (active.beganAt < 0) active.beganAt = clock.now();
    if (clock.wallTrusted()) active.appendedAt = clock.wall();
  }

  /**
   * A segment that is due is synced in the background first, while appends go on into it, so that the sync that must
   * stand before the next segment's first byte (storage.md section 2, rule 6) is a small one.
   */
  #mustRoll(bytes: number, lastOffset: number): boolean {
    const { active } = this;
    const { segmentBytes, segmentMs, compacted } = this.#settings;
    if (active.size === 0) return false;
    if (lastOffset - active.base > offsetDeltaMax) return true;
    const age = active.beganAt < 0 ? 0 : this.#host.clock.now() - active.beganAt;
    const old = compacted ? isRollDue(age, segmentMs, this.#settings) : age > segmentMs;
    if (active.size + bytes <= segmentBytes && !old) return false;
    if (active.size - active.syncedSize <= closingSyncBytes || active.size >= 2 * segmentBytes) return true;
    this.#presync();
    return false;
  }

  #presync(): void {
    if (this.#presyncing) return;
    this.#presyncing = true;
    this.syncActive().then(
      () => (this.#presyncing = false),
      () => (this.#presyncing = false), // the store has been told
    );
  }

  /** Syncs what the active segment holds now. */
  async syncActive(): Promise<void> {
    const { active } = this;
    const { size, cuts } = active;
    if (active.syncedSize >= size) return;
    await this.#host.sync(active.file);
    // Cut meanwhile: what stands below `size` now may have been written after this sync began.
    if (active.cuts !== cuts) return await this.syncActive();
    active.syncedSize = Math.max(active.syncedSize, size);
  }

  /** Closes an active segment that is old enough to be cleaned, though nothing more comes (KIP-354). */
  async rollWhenDue(): Promise<void> {
    const [{ clock }, { active }] = [this.#host, this];
    if (active.size === 0 || this.isHeld) return;
    if (active.beganAt < 0) active.beganAt = clock.now();
    const sinceAppend = clock.wallTrusted() && active.appendedAt > 0 ? clock.wall() - active.appendedAt : 0;
    const age = Math.max(clock.now() - active.beganAt, sinceAppend);
    if (!isRollDue(age, this.#settings.segmentMs, this.#settings)) return;
    await this.roll();
  }

  /** Closes the active segment, unless the log is held or was rolled meanwhile. */
  async roll(): Promise<void> {
    const { assertWritable, fault } = this.#host;
    const { active } = this;
    await this.syncActive();
    if (active !== this.active || active.size === 0 || this.isHeld) return;
    assertWritable();
    try {
      this.#roll();
      this.active.saveIndex();
    } catch (error) {
      fault(faultKind(error), error);
      throw error;
    }
  }

  /** Told each time it is met. */
  noteDamage(segment: Segment): void {
    this.damaged.add(segment);
    this.#host.damaged(this);
  }

  /** A cleaned file took the place of closed segments: memory follows. */
  replaceSegments(from: number, count: number, by: Segment): void {
    for (const old of this.segments.splice(from, count, by)) {
      old.replaced = true;
      if (old.readers === 0) old.closeFile();
    }
    this.#host.tail.clear(this.tail); // what was cleaned away is not to be read there either
    this.countClosed();
  }

  #roll(): void {
    const { disk } = this.#host;
    const closing = this.active;
    if (closing.syncedSize < closing.size) closing.file.syncNow();
    closing.syncedSize = closing.size;
    const next = Segment.create(disk, this.directory, closing.nextOffset);
    saveCaches(this, this.#host, closing, true);
    disk.syncDirectory(this.directory);
    this.segments.push(next);
    this.#closedBytes += closing.size;
    closing.dropIndex();
    this.#host.touched(closing);
  }

  /** Writes index, epochs and producers (log_caches.ts). */
  saveCaches(segment: Segment): void {
    saveCaches(this, this.#host, segment, false);
  }

  /** Moves the durable end; true when it moved. */
  noteDurable(end: number): boolean {
    if (end <= this.#durableEnd) return false;
    this.#durableEnd = end;
    return true;
  }

  /**
   * Whole batches from the one that holds `offset` up to `endOffset` (exclusive: the high watermark for consumers), at
   * least one even when it is larger than `bytesMax` (KIP-74); empty at the end. The bytes are not to be changed.
   * Synchronous when the hot tail holds them.
   * @throws HubError OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE (a damaged place), KAFKA_STORAGE_ERROR
   */
  read(offset: number, bytesMax: number, endOffset: number): Uint8Array | Promise<Uint8Array> {
    this.#host.assertReadable();
    const end = Math.min(endOffset, this.logEnd);
    if (offset < this.#logStart || offset > Math.max(end, this.#logStart)) {
      throw new HubError("OFFSET_OUT_OF_RANGE", `${this.key}: offset ${offset} is not in ${this.#logStart}..${end}`);
    }
    if (offset >= end) return new Uint8Array(0);
    const hot = this.#host.tail.read(this.tail, offset, bytesMax, end);
    return hot ?? readCold(this, this.#host, offset, bytesMax, end);
  }

  /** The first record with a timestamp >= `timestamp` below `endOffset`, exact within compressed batches too. */
  offsetForTime(timestamp: number, endOffset: number): Promise<TimeOffset | null> {
    return findTime(this, this.#host, timestamp, endOffset);
  }

  /** The first record with the largest timestamp below `endOffset` (KIP-734). */
  maxTimestamp(endOffset: number): Promise<TimeOffset | null> {
    return maxTimestampOf(this, this.#host, endOffset);
  }

  /** The end of the largest epoch <= `epoch` (KIP-101); (-1, -1) when the log knows none. */
  endOffsetForEpoch(epoch: number): { readonly epoch: number; readonly endOffset: number } {
    return this.epochs.endOf(epoch, this.logEnd);
  }

  /** Takes new settings; they hold once the promise resolves. */
  configure(settings: LogSettings): Promise<void> {
    return this.#host.configure(this, settings);
  }

  /** Moves the log start up to `offset` (KIP-107); durable when the promise resolves. */
  deleteRecordsBefore(offset: number): Promise<void> {
    return this.#host.deleteRecordsBefore(this, offset);
  }

  /** Cuts the log so that it ends at or below `offset`; nothing may be appended meanwhile. */
  truncateTo(offset: number): Promise<void> {
    return this.#host.truncateTo(this, offset);
  }

  /** Takes the log offline with a reason, or back with null. */
  hold(reason: unknown): void {
    if (!this.#gone) this.#offline = reason;
  }

  get isHeld(): boolean {
    return this.#offline !== null;
  }

  /** Takes the log offline for good; resolves when changes under way have ended. */
  retire(): Promise<void> {
    this.#gone = true;
    this.#offline = "is being deleted";
    return this.#changes;
  }

  /** Runs changes one after another: a cut and a change of the policy both say what is synced. */
  serially(change: () => Promise<void>): Promise<void> {
    if (this.#gone) {
      return Promise.reject(new HubError("UNKNOWN_TOPIC_OR_PARTITION", `${this.key} is being deleted`));
    }
    const run = this.#changes.then(change);
    this.#changes = run.catch(() => {});
    return run;
  }

  /** Takes over settings that are journaled. */
  applySettings(settings: LogSettings): void {
    this.#settings = settings;
  }

  /** The log start was moved and journaled. */
  applyLogStart(offset: number): void {
    this.#logStart = Math.max(this.#logStart, offset);
    this.epochs.cutBelow(this.#logStart);
    this.producers.noteForgotten();
  }

  /** After a cut: the durable end may fall, and nothing hot stays. */
  applyCut(): void {
    this.#host.tail.clear(this.tail);
    this.#durableEnd = Math.min(this.#durableEnd, this.logEnd);
    this.countClosed();
  }

  closeFiles(): void {
    this.#host.tail.clear(this.tail);
    for (const segment of this.segments) segment.closeFile();
  }
}
