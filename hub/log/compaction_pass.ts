// One cleaning of one log: keys into the map, then segment by segment into new files that take the old ones' places.
import { Codec, loadCodec } from "../io/compression.ts";
import type { File } from "../io/ports.ts";
import { limits } from "../limits.ts";

import type { BatchHeader } from "../record/batch.ts";
import { RecordWalk } from "../record/filter.ts";
import { openRecords } from "../record/record.ts";
import { groupsOf } from "./cleaning.ts";
import type { CleaningPlan } from "./cleaning.ts";
import { Interrupted } from "./cleaning_tools.ts";
import type { CleaningTools } from "./cleaning_tools.ts";
import { BatchJudge } from "./compaction_batch.ts";
import { SegmentRewrite } from "./compaction_rewrite.ts";
import type { AbortedTransaction } from "./aborted_index.ts";
import { KeyMap, keyEntryBytes } from "./key_map.ts";
import type { PartitionLog } from "./log.ts";
import { batchAt, LaterReader } from "./log_read.ts";
import { abortedIn } from "./log_transactions.ts";
import type { Segment } from "./segment.ts";

/** A place in a segment that is no valid batch. */
class Damaged extends Error {}

export interface CleaningResult {
  /** Everything below is clean now; less than was planned when the map was full. */
  readonly cleanedTo: number;
  readonly horizonAt: number;
  readonly segments: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly recordsKept: number;
  readonly recordsDropped: number;
}

interface Placed {
  readonly at: number;
  readonly header: BatchHeader;
  readonly bytes: Uint8Array;
}

/** Slots per byte of log: small records of a few bytes each still fit. */
const mapBytesPerLogByte = 4;
const mapBytesMin = 64 * 1024;

export class CleaningPass {
  readonly #log: PartitionLog;
  readonly #plan: CleaningPlan;
  readonly #tools: CleaningTools;
  /** By producer, in the order of their markers. */
  readonly #aborted = new Map<number, AbortedTransaction[]>();
  #map: KeyMap;
  #mapped: number;

  constructor(log: PartitionLog, plan: CleaningPlan, tools: CleaningTools) {
    this.#log = log;
    this.#plan = plan;
    this.#tools = tools;
    this.#mapped = plan.from;
    for (const one of abortedIn(log, log.logStart, plan.end)) {
      const others = this.#aborted.get(one.producerId);
      if (others) others.push(one);
      else this.#aborted.set(one.producerId, [one]);
    }
    const dirty = this.#segments(plan.from).reduce((sum, { size }) => sum + size, 0);
    const wanted = Math.max(mapBytesMin, dirty * mapBytesPerLogByte);
    this.#map = new KeyMap(Math.min(tools.host.tuning.cleanerMapBytes, wanted), tools.seed);
  }

  /** @throws Interrupted, DiskFault, HubError KAFKA_STORAGE_ERROR */
  async run(): Promise<CleaningResult> {
    await this.#collect();
    const { host, now } = this.#tools;
    const log = this.#log;
    const judge = new BatchJudge(
      {
        map: this.#map,
        mapped: this.#mapped,
        deleteRetentionMs: log.settings.deleteRetentionMs,
        isLastOfProducer: (header) => log.producers.isLastBatch(header),
        isAborted: (header) => this.#isAborted(header),
      },
      now,
    );
    let [bytesBefore, bytesAfter] = [0, 0];
    const segments = this.#segments(0).filter(({ base }) => base < this.#mapped || this.#plan.from === this.#plan.end);
    for (const group of groupsOf(segments, log.settings.segmentBytes)) {
      for (const { size } of group) bytesBefore += size;
      bytesAfter += await this.#clean(group, judge);
    }
    const { horizonAt, recordsKept, recordsDropped } = judge;
    host.trace.count("compaction_records_dropped_total", recordsDropped);
    const cleanedTo = this.#mapped;
    return { cleanedTo, horizonAt, segments: segments.length, bytesBefore, bytesAfter, recordsKept, recordsDropped };
  }

  /** Closed segments that end above `from` and within the plan. */
  #segments(from: number): Segment[] {
    return this.#log.segments
      .slice(0, -1)
      .filter(({ nextOffset }) => nextOffset > from && nextOffset <= this.#plan.end);
  }

  /** Notes the newest offset of every key, as far as the map has room for. */
  async #collect(): Promise<void> {
    for (const segment of this.#segments(this.#plan.from)) {
      try {
        for await (const placed of this.#batches(segment)) {
          if (placed.header.lastOffset < this.#mapped) continue;
          if (!(await this.#note(placed))) return;
          this.#mapped = placed.header.lastOffset + 1;
        }
      } catch (error) {
        if (!(error instanceof Damaged)) throw error;
      }
      this.#mapped = segment.nextOffset;
    }
  }

  /** False when the map is full. One batch alone always fits: then the map is made larger for it. */
  async #note(placed: Placed): Promise<boolean> {
    const { header } = placed;
    if (header.control || header.count === 0 || this.#isAborted(header)) return true;
    const opened = await open(placed);
    if (opened === null) return true;
    if (this.#put(opened, header)) return true;
    if (this.#mapped > this.#plan.from) return false;
    this.#map = new KeyMap(header.count * keyEntryBytes * 2, this.#tools.seed);
    return this.#put(opened, header);
  }

  #put(opened: Uint8Array, header: BatchHeader): boolean {
    const walk = new RecordWalk(opened, header);
    while (walk.next()) {
      if (walk.keyFrom >= 0 && !this.#map.put(opened, walk.keyFrom, walk.keyTo, walk.offset)) return false;
    }
    return true;
  }

  #isAborted({ transactional, producerId, baseOffset }: BatchHeader): boolean {
    if (!transactional) return false;
    const aborted = this.#aborted.get(producerId);
    return aborted?.some((one) => one.firstOffset <= baseOffset && baseOffset <= one.lastOffset) ?? false;
  }

  /** @returns the bytes that the segments have now */
  async #clean(group: readonly Segment[], judge: BatchJudge): Promise<number> {
    const rewrite = new SegmentRewrite(this.#log, group, this.#tools);
    const end = group.at(-1)!.nextOffset;
    try {
      for (const segment of group) {
        for await (const placed of this.#batches(segment)) {
          const { header, bytes, at } = placed;
          const made = judge.judge(bytes, header, await open(placed), header.lastOffset + 1 === end);
          await rewrite.add(segment, at, header, bytes, made);
        }
      }
      return await rewrite.finish();
    } catch (error) {
      rewrite.abandon();
      if (!(error instanceof Damaged)) throw error;
      // It stays as it is for whoever repairs it; and a tombstone may be the only word on a key inside.
      judge.now = null;
      if (group.length > 1) {
        let bytes = 0;
        for (const segment of group) bytes += await this.#clean([segment], judge);
        return bytes;
      }
      const [log, { base: segment, size }] = [this.#log.key, group[0]!];
      this.#tools.host.trace.event("warn", "compaction_damage_met", { log, segment });
      return size;
    }
  }

  /** Every batch of a segment, from a file handle of our own. */
  async *#batches(segment: Segment): AsyncGenerator<Placed> {
    const { host, pace } = this.#tools;
    this.#mustGoOn(segment);
    const file: File = host.disk.open(`${segment.name}.log`, "read");
    try {
      const paced = {
        readLater: async (target: Uint8Array, position: number): Promise<number> => {
          await pace.take(target.length);
          return await file.readLater(target, position);
        },
      };
      const { size, nextOffset } = segment;
      const reader = new LaterReader(paced, size, limits.cleanerChunkBytes);
      let expected = segment.base;
      for (let at = 0; at < size; ) {
        const batch = await batchAt(reader, at, expected, nextOffset);
        this.#mustGoOn(segment);
        if (batch === null) throw new Damaged();
        yield { at, ...batch };
        at += batch.header.size;
        expected = batch.header.lastOffset + 1;
        const turn = pace.breath();
        if (turn !== null) await turn;
      }
    } finally {
      file.close();
    }
  }

  #mustGoOn(segment: Segment): void {
    if (!this.#tools.goesOn(this.#log) || !this.#log.segments.includes(segment)) throw new Interrupted();
  }
}

/** The records of a batch; null when they do not open. */
async function open({ header, bytes }: Placed): Promise<Uint8Array | null> {
  try {
    if (header.codec === Codec.Zstd) await loadCodec(header.codec);
    const opened = openRecords(bytes, header);
    const walk = new RecordWalk(opened, header);
    while (walk.next());
    return opened;
  } catch {
    return null;
  }
}
