// Idempotent producers of one log: sequence numbers, epochs, and the last five batches of each (KIP-98). Pure.
import { HubError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { BatchHeader } from "../record/batch.ts";
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
  /** Oldest first, at most five. */
  batches: ProducedBatch[];
  /** Monotonic ms of the last append; since the start for what was loaded. */
  seenAt: number;
}

const kind = "partidor-producers";
const sequenceMax = 2 ** 31 - 1;
const sequences = 2 ** 31;

/** Sequence numbers wrap from 2^31 - 1 to 0. */
function after(sequence: number, by = 1): number {
  return (sequence + by) % sequences;
}

export class Producers {
  /** Least recently used first. */
  readonly #producers = new Map<number, Producer>();
  /** True once anything was forgotten: then an unknown producer in mid-sequence may be an old one. */
  #forgot: boolean;

  constructor(forgot = false) {
    this.#forgot = forgot;
  }

  get count(): number {
    return this.#producers.size;
  }

  /** Says that records went without being seen here (retention, a missing snapshot). */
  noteForgotten(): void {
    this.#forgot = true;
  }

  /**
   * Judges a batch before it is appended.
   * @returns the batch it repeats, null when it is new
   * @throws HubError INVALID_PRODUCER_EPOCH 47 (an older instance), OUT_OF_ORDER_SEQUENCE_NUMBER 45 (a gap),
   *   DUPLICATE_SEQUENCE_NUMBER 46 (a repetition older than the last five), UNKNOWN_PRODUCER_ID 59 (mid-sequence of
   *   a producer that this log never saw)
   */
  check(header: BatchHeader): ProducedBatch | null {
    const { producerId, producerEpoch, baseSequence, count } = header;
    if (producerId < 0) return null;
    const known = this.#producers.get(producerId);
    if (!known) {
      if (baseSequence !== 0 && !this.#forgot) {
        throw new HubError("UNKNOWN_PRODUCER_ID", `producer ${producerId} begins with sequence ${baseSequence}`);
      }
      return null;
    }
    if (producerEpoch < known.epoch) {
      throw new HubError("INVALID_PRODUCER_EPOCH", `producer ${producerId}: epoch ${producerEpoch} < ${known.epoch}`);
    }
    if (producerEpoch > known.epoch) {
      if (baseSequence === 0) return null;
      throw outOfOrder(producerId, 0, baseSequence);
    }
    const lastSequence = after(baseSequence, count - 1);
    for (const batch of known.batches) {
      if (batch.firstSequence === baseSequence && batch.lastSequence === lastSequence) return batch;
    }
    const last = known.batches.at(-1);
    if (last === undefined || after(last.lastSequence) === baseSequence) return null;
    const behind = (last.lastSequence - lastSequence + sequences) % sequences;
    if (behind < sequences / 2 && isBefore(lastSequence, known.batches[0]!.firstSequence)) {
      throw new HubError("DUPLICATE_SEQUENCE_NUMBER", `producer ${producerId}: sequence ${baseSequence} is in the log`);
    }
    throw outOfOrder(producerId, after(last.lastSequence), baseSequence);
  }

  /** True when a rebuild from the log needs this batch, be it without records: the last of a producer (KIP-98). */
  isLastBatch({ producerId, producerEpoch, lastOffset, control }: BatchHeader): boolean {
    const known = this.#producers.get(producerId);
    if (!known) return false;
    const last = known.batches.at(-1);
    return last !== undefined ? last.lastOffset === lastOffset : control && producerEpoch === known.epoch;
  }

  /** Notes an appended batch, at the offsets it has now. */
  note(header: BatchHeader, now: number): void {
    const { producerId, producerEpoch, baseSequence } = header;
    if (producerId < 0 || header.control) return;
    let known = this.#producers.get(producerId);
    if (known) this.#producers.delete(producerId); // to the end: most recently used
    if (!known || known.epoch !== producerEpoch) known = { epoch: producerEpoch, batches: [], seenAt: now };
    known.seenAt = now;
    known.batches.push({
      firstSequence: baseSequence,
      lastSequence: after(baseSequence, header.lastOffset - header.baseOffset),
      baseOffset: header.baseOffset,
      lastOffset: header.lastOffset,
      timestamp: header.maxTimestamp,
    });
    if (known.batches.length > limits.producerBatchesMax) known.batches.shift();
    this.#producers.set(producerId, known);
    if (this.#producers.size > limits.producersPerPartitionMax) this.#forgetFirst();
  }

  #forgetFirst(): void {
    const [first] = this.#producers.keys();
    this.#producers.delete(first!);
    this.#forgot = true;
  }

  /** Forgets producers idle for a day of monotonic time. */
  expire(now: number): void {
    for (const [id, { seenAt }] of this.#producers) {
      if (now - seenAt <= limits.producerIdleMsMax) return; // the rest were used later
      this.#producers.delete(id);
      this.#forgot = true;
    }
  }

  /** The file `<offset>.snapshot`: the state with everything below `offset` in it. */
  encode(offset: number): Uint8Array {
    const lines = [`${offset} ${this.#forgot ? 1 : 0}`];
    for (const [id, { epoch, batches }] of this.#producers) {
      const rows = batches.map(({ firstSequence, lastSequence, baseOffset, lastOffset, timestamp }) =>
        [firstSequence, lastSequence, baseOffset, lastOffset, timestamp].join(","),
      );
      lines.push([id, epoch, ...rows].join(" "));
    }
    return sealText(kind, 1, lines);
  }

  /** null when the file is missing or torn. */
  static decode(
    bytes: Uint8Array | null,
    now: number,
  ): { readonly offset: number; readonly producers: Producers } | null {
    const lines = openCache(kind, 1, bytes);
    if (lines === null || lines.length === 0) return null;
    const [offset, forgot] = lines[0]!.split(" ");
    const producers = new Producers(forgot === "1");
    for (const line of lines.slice(1)) {
      const [id, epoch, ...rows] = line.split(" ");
      const batches = rows.map((row) => {
        const [firstSequence, lastSequence, baseOffset, lastOffset, timestamp] = row.split(",").map(Number);
        return { firstSequence, lastSequence, baseOffset, lastOffset, timestamp } as ProducedBatch;
      });
      producers.#producers.set(Number(id), { epoch: Number(epoch), batches, seenAt: now });
    }
    return { offset: Number(offset), producers };
  }
}

function isBefore(a: number, b: number): boolean {
  const distance = (b - a + sequences) % sequences;
  return distance !== 0 && distance <= sequenceMax / 2;
}

function outOfOrder(producerId: number, expected: number, got: number): HubError {
  return new HubError(
    "OUT_OF_ORDER_SEQUENCE_NUMBER",
    `producer ${producerId}: sequence ${got} where ${expected} was expected`,
  );
}
