// Producers of one log: sequences, epochs, the last five batches and the open transaction of each (KIP-98). Pure.
import { HubError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { BatchHeader } from "../record/batch.ts";
import { readMarker } from "../record/control.ts";
import type { NewMarker } from "../record/control.ts";
import { OpenTransactions } from "./open_transactions.ts";
import type { EndedTransaction } from "./open_transactions.ts";
import { openCache, sealText } from "./small_file.ts";

/** A batch that is in the log. */
export interface ProducedBatch {
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly timestamp: number;
}

interface Producer {
  epoch: number;
  /** Epoch of the coordinator that wrote its last marker here; -1 before the first. */
  coordinatorEpoch: number;
  /** Oldest first, at most five; of this epoch only, so that sequences begin at 0 with the next one. */
  batches: ProducedBatch[];
  /** Time of its last batch or marker. */
  timestamp: number;
  /** Monotonic ms of the last append; since the start for what was loaded. */
  seenAt: number;
}

/** A producer as admins see it (KIP-664); -1 stands for none. */
export interface ActiveProducer {
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly lastSequence: number;
  readonly lastTimestamp: number;
  readonly coordinatorEpoch: number;
  readonly openFrom: number;
}

const kind = "partidor-producers";
const version = 2;
const sequences = 2 ** 31;

/** Sequence numbers wrap from 2^31 - 1 to 0. */
function after(sequence: number, by = 1): number {
  return (sequence + by) % sequences;
}

export class Producers {
  /** Least recently used first. */
  readonly #producers = new Map<number, Producer>();
  readonly #open = new OpenTransactions();
  /** True once anything was forgotten: then an unknown producer in mid-sequence may be an old one. */
  #forgot: boolean;
  #transactionsFrom = -1;

  constructor(forgot = false) {
    this.#forgot = forgot;
  }

  get count(): number {
    return this.#producers.size;
  }

  /** Offset of the first batch of any transaction that was seen; -1 when there was none. */
  get transactionsFrom(): number {
    return this.#transactionsFrom;
  }

  /** Says that records went without being seen here (retention, a missing snapshot). */
  noteForgotten(): void {
    this.#forgot = true;
  }

  knows(producerId: number): boolean {
    return this.#producers.has(producerId);
  }

  /** True when a transaction of exactly this epoch of the producer has records here already. */
  hasOpen(producerId: number, producerEpoch: number): boolean {
    return this.#open.firstOffsetOf(producerId) >= 0 && this.#producers.get(producerId)?.epoch === producerEpoch;
  }

  /** The last stable offset under this high watermark (open_transactions.ts); may be below the log start. */
  lastStable(highWatermark: number): number {
    return this.#open.lastStable(highWatermark);
  }

  /** True when a rebuild from the log needs this batch, be it without records: the last of a producer (KIP-98). */
  isLastBatch({ producerId, producerEpoch, lastOffset, control }: BatchHeader): boolean {
    const known = this.#producers.get(producerId);
    if (!known) return false;
    const last = known.batches.at(-1);
    return last !== undefined ? last.lastOffset === lastOffset : control && producerEpoch === known.epoch;
  }

  *active(): Iterable<ActiveProducer> {
    for (const [producerId, { epoch, batches, timestamp, coordinatorEpoch }] of this.#producers) {
      yield {
        producerId,
        producerEpoch: epoch,
        lastSequence: batches.at(-1)?.lastSequence ?? -1,
        lastTimestamp: timestamp,
        coordinatorEpoch,
        openFrom: this.#open.firstOffsetOf(producerId),
      };
    }
  }

  /**
   * Judges a batch before it is appended.
   * @returns the batch it repeats, null when it is new
   * @throws HubError INVALID_PRODUCER_EPOCH 47 (an older instance), OUT_OF_ORDER_SEQUENCE_NUMBER 45 (a gap, or a
   *   repetition older than the last five), UNKNOWN_PRODUCER_ID 59 (mid-sequence of one never seen here),
   *   INVALID_TXN_STATE 48 (a plain batch amid a transaction), CONCURRENT_TRANSACTIONS 51 (too many are open)
   */
  check(header: BatchHeader): ProducedBatch | null {
    const { producerId } = header;
    if (producerId < 0) return null;
    const known = this.#producers.get(producerId);
    const repeated = known ? checkKnown(header, known) : this.#checkUnknown(header);
    if (repeated !== null) return repeated;
    const isOpen = this.#open.firstOffsetOf(producerId) >= 0;
    if (isOpen && !header.transactional) {
      throw new HubError("INVALID_TXN_STATE", `producer ${producerId} has an open transaction here`);
    }
    if (header.transactional && !isOpen && this.#open.count >= limits.openTransactionsPerPartitionMax) {
      throw new HubError("CONCURRENT_TRANSACTIONS", `${this.#open.count} transactions are open in one partition`);
    }
    return null;
  }

  #checkUnknown({ producerId, baseSequence }: BatchHeader): null {
    if (baseSequence === 0 || this.#forgot) return null;
    throw new HubError("UNKNOWN_PRODUCER_ID", `producer ${producerId} begins with sequence ${baseSequence}`);
  }

  /**
   * Judges a marker before it is appended.
   * @returns false when it was written before: nothing would change
   * @throws HubError INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED (an older coordinator)
   */
  checkMarker({ producerId, producerEpoch, coordinatorEpoch }: NewMarker): boolean {
    const known = this.#producers.get(producerId);
    if (!known) return true;
    if (producerEpoch < known.epoch) throw oldEpoch(producerId, producerEpoch, known.epoch);
    if (coordinatorEpoch < known.coordinatorEpoch) {
      const detail = `a marker of coordinator epoch ${coordinatorEpoch}, known is ${known.coordinatorEpoch}`;
      throw new HubError("TRANSACTION_COORDINATOR_FENCED", detail);
    }
    const isOpen = this.#open.firstOffsetOf(producerId) >= 0;
    return isOpen || producerEpoch > known.epoch || coordinatorEpoch > known.coordinatorEpoch;
  }

  /**
   * Notes an appended batch, at the offsets it has now.
   * @param batch its bytes; only those of a control batch are looked at
   * @returns the transaction that it ended
   */
  note(header: BatchHeader, now: number, batch: Uint8Array): EndedTransaction | null {
    const { producerId, baseOffset } = header;
    if (producerId < 0) return null;
    if (header.transactional && this.#transactionsFrom < 0) this.#transactionsFrom = baseOffset;
    if (header.control) return this.#noteMarker(header, now, batch);
    const known = this.#use(header, now);
    const { baseSequence, lastOffset } = header;
    const lastSequence = after(baseSequence, lastOffset - baseOffset);
    const { maxTimestamp: timestamp } = header;
    known.batches.push({ firstSequence: baseSequence, lastSequence, baseOffset, lastOffset, timestamp });
    if (known.batches.length > limits.producerBatchesMax) known.batches.shift();
    // Compaction leaves a batch without records where the last sequence of a producer stood: no transaction is open.
    if (header.transactional && header.count > 0) this.#open.begin(producerId, baseOffset);
    return null;
  }

  #noteMarker(header: BatchHeader, now: number, batch: Uint8Array): EndedTransaction | null {
    const marker = readMarker(batch);
    if (marker === null) return null;
    const known = this.#use(header, now);
    known.coordinatorEpoch = Math.max(known.coordinatorEpoch, marker.coordinatorEpoch);
    return this.#open.end(header.producerId, header.lastOffset, !marker.commit);
  }

  /** The producer of a batch, now the most recently used, at the batch's epoch. */
  #use({ producerId, producerEpoch, maxTimestamp }: BatchHeader, now: number): Producer {
    let known = this.#producers.get(producerId);
    if (known) this.#producers.delete(producerId);
    else known = { epoch: producerEpoch, coordinatorEpoch: -1, batches: [], timestamp: -1, seenAt: now };
    if (known.epoch !== producerEpoch) {
      known.epoch = producerEpoch;
      known.batches = [];
    }
    known.timestamp = maxTimestamp;
    known.seenAt = now;
    this.#producers.set(producerId, known);
    if (this.#producers.size > limits.producersPerPartitionMax) this.#forgetFirst(producerId);
    return known;
  }

  /** Never one with an open transaction (they are fewer: limits.ts), nor the one at work. */
  #forgetFirst(atWork: number): void {
    for (const [id, producer] of this.#producers) {
      this.#producers.delete(id);
      if (id !== atWork && this.#open.firstOffsetOf(id) < 0) break;
      this.#producers.set(id, producer); // to the end, so that the next search does not meet it first
    }
    this.#forgot = true;
  }

  /** Forgets producers idle for a day of monotonic time, unless a transaction of theirs is open. */
  expire(now: number): void {
    for (const [id, { seenAt }] of this.#producers) {
      if (now - seenAt <= limits.producerIdleMsMax) return; // the rest were used later
      if (this.#open.firstOffsetOf(id) >= 0) continue;
      this.#producers.delete(id);
      this.#forgot = true;
    }
  }

  /** The file `<offset>.snapshot`: the state with everything below `offset` in it. */
  encode(offset: number): Uint8Array {
    const lines = [`${offset} ${this.#forgot ? 1 : 0} ${this.#transactionsFrom}`];
    for (const [id, { epoch, coordinatorEpoch, timestamp, batches }] of this.#producers) {
      const rows = batches.map(({ firstSequence, lastSequence, baseOffset, lastOffset, timestamp: time }) =>
        [firstSequence, lastSequence, baseOffset, lastOffset, time].join(","),
      );
      lines.push([id, epoch, coordinatorEpoch, this.#open.firstOffsetOf(id), timestamp, ...rows].join(" "));
    }
    return sealText(kind, version, lines);
  }

  /** null when the file is missing or torn. */
  static decode(
    bytes: Uint8Array | null,
    now: number,
  ): { readonly offset: number; readonly producers: Producers } | null {
    const lines = openCache(kind, version, bytes);
    if (lines === null || lines.length === 0) return null;
    const [offset, forgot, transactionsFrom] = lines[0]!.split(" ").map(Number);
    const producers = new Producers(forgot === 1);
    producers.#transactionsFrom = transactionsFrom!;
    const open: [number, number][] = [];
    for (const line of lines.slice(1)) {
      const [id, epoch, coordinatorEpoch, openFrom, timestamp, ...rows] = line.split(" ");
      const batches = rows.map((row) => {
        const [firstSequence, lastSequence, baseOffset, lastOffset, time] = row.split(",").map(Number);
        return { firstSequence, lastSequence, baseOffset, lastOffset, timestamp: time } as ProducedBatch;
      });
      const known = { epoch: Number(epoch), coordinatorEpoch: Number(coordinatorEpoch), timestamp: Number(timestamp) };
      producers.#producers.set(Number(id), { ...known, batches, seenAt: now });
      if (Number(openFrom) >= 0) open.push([Number(openFrom), Number(id)]);
    }
    for (const [firstOffset, id] of open.sort(([a], [b]) => a - b)) producers.#open.begin(id, firstOffset);
    return { offset: offset!, producers };
  }
}

function checkKnown(header: BatchHeader, known: Producer): ProducedBatch | null {
  const { producerId, producerEpoch, baseSequence, count } = header;
  if (producerEpoch < known.epoch) throw oldEpoch(producerId, producerEpoch, known.epoch);
  const last = known.batches.at(-1);
  if (producerEpoch > known.epoch || last === undefined) {
    if (baseSequence === 0) return null;
    throw outOfOrder(producerId, 0, baseSequence);
  }
  const lastSequence = after(baseSequence, count - 1);
  for (const batch of known.batches) {
    if (batch.firstSequence === baseSequence && batch.lastSequence === lastSequence) return batch;
  }
  if (after(last.lastSequence) === baseSequence) return null;
  throw outOfOrder(producerId, after(last.lastSequence), baseSequence);
}

function oldEpoch(producerId: number, epoch: number, known: number): HubError {
  return new HubError("INVALID_PRODUCER_EPOCH", `producer ${producerId}: epoch ${epoch} < ${known}`);
}

function outOfOrder(producerId: number, expected: number, got: number): HubError {
  return new HubError(
    "OUT_OF_ORDER_SEQUENCE_NUMBER",
    `producer ${producerId}: sequence ${got} where ${expected} was expected`,
  );
}
