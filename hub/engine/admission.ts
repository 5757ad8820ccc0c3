// What a batch must be to enter a topic: whole, unharmed, within the topic's bounds.
import { HubError } from "../errors.ts";
import { Codec, loadCodec } from "../io/compression.ts";
import type { Clock } from "../io/ports.ts";
import { checkBatch, readBatchHeader } from "../record/batch.ts";
import { recodeBatch } from "../record/filter.ts";
import { decodeRecords, openRecords } from "../record/record.ts";
import type { EffectiveSettings } from "../topic_settings.ts";

/** A topic's rules for batches, taken out of its settings once. */
export interface BatchRules {
  readonly bytesMax: number;
  /** LogAppendTime: the log writes its own time over the client's, so the client's is not looked at. */
  readonly stampedByHub: boolean;
  /** Milliseconds; Infinity when there is no bound. */
  readonly timeBeforeMax: number;
  readonly timeAfterMax: number;
  /** A compacted topic needs a key on every record. */
  readonly keysNeeded: boolean;
  /** What batches are stored in; null leaves each as its producer made it. */
  readonly codec: Codec | null;
  /** null where the codec has none to choose. */
  readonly codecLevel: number | null;
}

const codecs: Readonly<Record<string, Codec>> = {
  uncompressed: Codec.None,
  gzip: Codec.Gzip,
  snappy: Codec.Snappy,
  lz4: Codec.Lz4,
  zstd: Codec.Zstd,
};

export function batchRulesOf(settings: EffectiveSettings): BatchRules {
  return {
    bytesMax: settings.number("max.message.bytes"),
    stampedByHub: settings.text("message.timestamp.type") === "LogAppendTime",
    timeBeforeMax: unbounded(settings.number("message.timestamp.before.max.ms")),
    timeAfterMax: unbounded(settings.number("message.timestamp.after.max.ms")),
    keysNeeded: settings.text("cleanup.policy").includes("compact"),
    codec: codecs[settings.text("compression.type")] ?? null,
    codecLevel: codecLevelOf(settings),
  };
}

/** KIP-390. */
function codecLevelOf(settings: EffectiveSettings): number | null {
  const type = settings.text("compression.type");
  return type === "gzip" || type === "zstd" ? settings.number(`compression.${type}.level`) : null;
}

/**
 * Resolves when batches can be opened at once, where the rules need it (zstd is a module that is compiled first). A
 * machine that cannot load it refuses such batches, and serves the others.
 */
export async function prepareCodecs(rules: BatchRules): Promise<void> {
  if (rules.keysNeeded || rules.codec !== null) await loadCodec(Codec.Zstd).catch(() => {});
}

/**
 * An admitted batch in the topic's codec, the same bytes when it is in it already (KIP-110). The work is done at once,
 * so that appends keep the order of their arrival; one batch of a megabyte holds up the others for some 5 to 40 ms.
 * @throws HubError CORRUPT_MESSAGE (records that do not open, or open to too much), MESSAGE_TOO_LARGE
 */
export function inTopicCodec(batch: Uint8Array, rules: BatchRules): Uint8Array {
  if (rules.codec === null) return batch;
  const header = readBatchHeader(batch);
  if (header.codec === rules.codec) return batch;
  const made = recodeBatch(batch, openRecords(batch, header), rules.codec, rules.codecLevel);
  if (made.length > rules.bytesMax) throw tooLarge(made.length, rules.bytesMax);
  return made;
}

function tooLarge(bytes: number, max: number): HubError {
  return new HubError("MESSAGE_TOO_LARGE", `A batch of ${bytes} bytes; max.message.bytes is ${max}`);
}

const unbounded = (ms: number): number => (ms > Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : ms);

/**
 * Checks a client's batch.
 * Throws CORRUPT_MESSAGE, UNSUPPORTED_FOR_MESSAGE_FORMAT, MESSAGE_TOO_LARGE, INVALID_TIMESTAMP, INVALID_RECORD,
 * INVALID_TXN_STATE.
 * @param transactional whether a batch of a transaction may come
 */
export function admitBatch(batch: Uint8Array, rules: BatchRules, clock: Clock, transactional = false): void {
  if (batch.length > rules.bytesMax) throw tooLarge(batch.length, rules.bytesMax);
  const header = checkBatch(batch);
  if (header.control) throw new HubError("INVALID_RECORD", "A client may not send control batches");
  if (header.transactional) checkTransactional(header.producerId, transactional);
  if (rules.keysNeeded) checkKeys(batch);
  if (!rules.stampedByHub) checkTime(header.baseTimestamp, header.maxTimestamp, rules, clock);
}

function checkTransactional(producerId: number, allowed: boolean): void {
  if (producerId < 0) throw new HubError("INVALID_RECORD", "A transactional batch without a producer id");
  if (!allowed)
    throw new HubError("INVALID_TXN_STATE", "A transactional batch in a request without a transactional id");
}

function checkTime(base: number, max: number, rules: BatchRules, clock: Clock): void {
  if (rules.timeBeforeMax === Number.POSITIVE_INFINITY && rules.timeAfterMax === Number.POSITIVE_INFINITY) return;
  const now = clock.wall();
  if (base >= 0 && now - base > rules.timeBeforeMax) {
    throw new HubError("INVALID_TIMESTAMP", `Record time ${base} is over ${rules.timeBeforeMax} ms behind ${now}`);
  }
  if (max - now > rules.timeAfterMax) {
    throw new HubError("INVALID_TIMESTAMP", `Record time ${max} is over ${rules.timeAfterMax} ms ahead of ${now}`);
  }
}

/** A record without a key in a compacted topic: `recordIndexes` are their places in the batch (KIP-467). */
export class KeylessRecords extends HubError {
  readonly recordIndexes: readonly number[];

  constructor(recordIndexes: readonly number[]) {
    super("INVALID_RECORD", "A compacted topic takes only records with a key");
    this.recordIndexes = recordIndexes;
  }
}

function checkKeys(batch: Uint8Array): void {
  const keyless: number[] = [];
  let index = 0;
  for (const record of decodeRecords(batch)) {
    if (record.key === null) keyless.push(index);
    index++;
  }
  if (keyless.length > 0) throw new KeylessRecords(keyless);
}
