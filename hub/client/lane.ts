// One partition as a producer sees it: the open batch, the batches that wait or are under way, and their sequences.
import type { Arena } from "../bytes/arena.ts";
import { setInt16, setInt32, setInt64 } from "../bytes/fixed.ts";
import type { ErrorName, HubError } from "../errors.ts";
import { At, batchCrc } from "../record/batch.ts";
import { BatchBuilder, type CopySource, type EncodedRecord } from "../record/builder.ts";
import type { Delivered, Identity, OutRecord } from "./faces.ts";

/** One sealed batch. */
export interface Batch {
  readonly lane: Lane;
  /** Place in the order of its lane. */
  readonly serial: number;
  readonly bytes: Uint8Array;
  readonly count: number;
  /** One per record. */
  readonly delivered: readonly (Delivered | undefined)[];
  /** What it took from the producer's buffer. */
  readonly taken: number;
  /** Under which identity and sequence the bytes are stamped; null before the first stamp and without idempotence. */
  identity: Identity | null;
  attempts: number;
  /** True once it came back: it goes again only when nothing else of its lane is under way. */
  returned: boolean;
  /** True once it may stand in the log without this client knowing. */
  doubtful: boolean;
  /** The connection it is under way on. */
  via: object | null;
  /** How often it was sent: an answer to an earlier sending says nothing any more. */
  sending: number;
  /** Called once when it is answered for good; of `flush`. */
  onDone: (() => void) | null;
}

const sequenceMask = 0x7fff_ffff;

/** Batches of one partition, in order. 0 <= serial of [underWay] and [waiting] < nextSerial, both ascending. */
export class Lane {
  readonly topic: string;
  readonly partition: number;
  waiting: Batch[] = [];
  underWay: Batch[] = [];
  /** True while a pause, a lookup or a new identity is awaited: nothing is sent meanwhile. */
  held = false;
  /** True when it stands in the producer's list of lanes with an open batch. */
  dirty = false;
  /** True when the open batch may leave: it does once it can be sent, and grows until then. */
  due = false;
  /** Failed lookups of its leader in a row. */
  lost = 0;
  identity: Identity | null = null;
  /** False once it broke its sequence: from then on its identities are its own. */
  isFirst = true;
  readonly #builder: BatchBuilder;
  #delivered: (Delivered | undefined)[] = [];
  #taken = 0;
  #nextSequence = 0;
  #nextSerial = 0;

  /** @param arena where batches are built that somebody will give back */
  constructor(topic: string, partition: number, arena: Arena | null = null) {
    this.#builder = new BatchBuilder(arena);
    this.topic = topic;
    this.partition = partition;
  }

  /** Bytes of the open batch. */
  get openBytes(): number {
    return this.#builder.count === 0 ? 0 : this.#builder.size;
  }

  get isIdle(): boolean {
    return this.waiting.length === 0 && this.underWay.length === 0 && this.#builder.count === 0;
  }

  /** Encodes a record into the open batch. Throws MESSAGE_TOO_LARGE or INVALID_RECORD and takes nothing then. */
  add(record: OutRecord, time: number, size: number, delivered: Delivered | undefined): void {
    this.#builder.add(record, time);
    this.#delivered.push(delivered);
    this.#taken += size;
  }

  /** As `add`, of a record that is encoded but for its value. */
  addEncoded(
    encoded: EncodedRecord,
    source: CopySource,
    start: number,
    end: number,
    time: number,
    size: number,
    delivered: Delivered,
  ): void {
    this.#builder.addEncoded(encoded, source, start, end, time);
    this.#delivered.push(delivered);
    this.#taken += size;
  }

  /** Closes the open batch and puts it behind the waiting ones; nothing when it is empty. */
  seal(): void {
    const { count } = this.#builder;
    this.due = false;
    if (count === 0) return;
    const { identity } = this;
    const bytes = this.#builder.finish(identity === null ? {} : { ...identity, baseSequence: this.#take(count) });
    const serial = this.#nextSerial++;
    const [delivered, taken] = [this.#delivered, this.#taken];
    const fresh = { attempts: 0, returned: false, doubtful: false, via: null, sending: 0, onDone: null };
    this.waiting.push({ lane: this, serial, bytes, count, delivered, taken, identity, ...fresh });
    this.#delivered = [];
    this.#taken = 0;
  }

  /** Begins under an identity: the waiting batches are numbered from 0. Only while nothing is under way. */
  begin(identity: Identity): void {
    this.identity = identity;
    this.#nextSequence = 0;
    for (const batch of this.waiting) stamp(batch, identity, this.#take(batch.count));
  }

  /**
   * Takes out the waiting batches that may stand in the log already. Under the identity they were sent with the hub
   * knows them again; under another one they would be stored twice.
   */
  takeDoubtful(): Batch[] {
    const doubtful = this.waiting.filter((batch) => batch.doubtful);
    this.waiting = this.waiting.filter((batch) => !batch.doubtful);
    return doubtful;
  }

  /** A batch is lost: what follows needs a new identity, because the hub would wait for the gap to be filled. */
  breakSequence(): void {
    if (this.identity === null) return;
    this.identity = null;
    this.isFirst = false;
  }

  #take(count: number): number {
    const sequence = this.#nextSequence;
    this.#nextSequence = (sequence + count) & sequenceMask;
    return sequence;
  }

  /** Takes the first waiting batch under way. */
  start(via: object | null): Batch {
    const batch = this.waiting.shift();
    if (batch === undefined) throw new Error("no batch waits");
    batch.via = via;
    batch.sending += 1;
    this.underWay.push(batch);
    return batch;
  }

  /** The batch is answered, one way or the other. */
  finish(batch: Batch): void {
    const at = this.underWay.indexOf(batch);
    if (at >= 0) this.underWay.splice(at, 1);
  }

  /** Puts a batch that was under way back to its place among the waiting ones. */
  retry(batch: Batch): void {
    this.finish(batch);
    batch.returned = true;
    const at = this.waiting.findIndex((other) => other.serial > batch.serial);
    this.waiting.splice(at === -1 ? this.waiting.length : at, 0, batch);
  }

  /**
   * Takes back what is under way to another hub than the one that leads now. That hub may be cut off and never answer;
   * and were later batches sent past these, the new leader would forget the sequences of these (it remembers the last
   * five) and their retry would double them.
   */
  takeBack(leader: object | null): void {
    for (const batch of [...this.underWay]) {
      if (batch.via === leader) continue;
      batch.doubtful = true;
      this.retry(batch);
    }
  }

  /** True when an earlier batch of the lane is not answered yet. */
  hasBefore(batch: Batch): boolean {
    const earlier = (other: Batch): boolean => other.serial < batch.serial;
    return this.waiting.some(earlier) || this.underWay.some(earlier);
  }
}

function stamp(batch: Batch, identity: Identity, sequence: number): void {
  const { bytes } = batch;
  setInt64(bytes, At.producerId, identity.producerId);
  setInt16(bytes, At.producerEpoch, identity.producerEpoch);
  setInt32(bytes, At.baseSequence, sequence);
  setInt32(bytes, At.crc, batchCrc(bytes, 0, bytes.length));
  batch.identity = identity;
}

/** Calls back for every record of a batch; an exception of one call does not keep the others from theirs. */
export function tellAll(
  batch: Batch,
  error: Error | null,
  baseOffset: number,
  rethrow: (thrown: unknown) => void,
): void {
  const { delivered, lane } = batch;
  for (let index = 0; index < delivered.length; index += 1) {
    const call = delivered[index];
    if (call === undefined) continue;
    try {
      call(error, error === null && baseOffset >= 0 ? baseOffset + index : -1, lane.partition);
    } catch (thrown) {
      rethrow(thrown);
    }
  }
}

/** Batches as a produce request wants them. */
export function byTopic(batches: readonly Batch[]) {
  const topics = new Map<string, { index: number; records: Uint8Array }[]>();
  for (const { lane, bytes } of batches) {
    const entry = { index: lane.partition, records: bytes };
    const partitions = topics.get(lane.topic);
    if (partitions === undefined) topics.set(lane.topic, [entry]);
    else partitions.push(entry);
  }
  return [...topics].map(([name, partitionData]) => ({ name, partitionData }));
}

/** After these nobody knows whether the batch was stored. */
export const unclear: ReadonlySet<ErrorName> = new Set<ErrorName>([
  "NETWORK_EXCEPTION",
  "REQUEST_TIMED_OUT",
  "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
  "UNKNOWN_SERVER_ERROR",
]);

/** What a refused batch is to do. */
export type Verdict = "delivered" | "again" | "again-anew" | "wait-turn" | "fail" | "unknown";

/**
 * Judges an error for a batch:
 * - a doubled batch is in the log already: delivered, at an offset nobody told;
 * - out of order behind an unanswered one: it waits for that one's retry and does not count as an attempt;
 * - out of order, or a producer the hub no longer knows, with nothing before it: again under a new identity;
 * - appended by the hub in this process but not committed in time: the caller is told that nobody knows. More batches
 *   are in flight there than a hub remembers, so a retry could double it.
 */
export function judge(batch: Batch, error: HubError, direct: boolean): Verdict {
  switch (error.kind) {
    case "REQUEST_TIMED_OUT":
    case "NOT_ENOUGH_REPLICAS_AFTER_APPEND":
      return direct ? "unknown" : "again";
    case "DUPLICATE_SEQUENCE_NUMBER":
      return "delivered";
    case "OUT_OF_ORDER_SEQUENCE_NUMBER":
    case "UNKNOWN_PRODUCER_ID":
    case "INVALID_PRODUCER_EPOCH":
      if (batch.lane.hasBefore(batch) || batch.lane.identity !== batch.identity) return "wait-turn";
      return "again-anew";
    default:
      return error.retriable ? "again" : "fail";
  }
}
