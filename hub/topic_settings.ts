// Topic settings under Kafka's names: one table that checks values, gives defaults and prints the documentation.
import { HubError } from "./errors.ts";
import { limits } from "./limits.ts";

export type SettingKind = "boolean" | "string" | "int" | "long" | "double" | "list";

/** One setting of a topic; the broker-wide default bears `brokerName` (Kafka's synonym), where there is one. */
export interface TopicSetting {
  readonly name: string;
  readonly brokerName: string | null;
  readonly kind: SettingKind;
  readonly default: string;
  readonly documentation: string;
  /** A sentence when the value is refused, null when it is good. */
  readonly check: (value: string) => string | null;
  /** False for what a hub accepts and does not act on; hub/README.md says so too. */
  readonly honoured: boolean;
}

/** Kafka's Long.MAX_VALUE defaults are kept as text; they only ever mean "no bound". */
export const long = 2 ** 63;
const wholeNumber = /^-?\d{1,19}$/;

/** A check that takes whole numbers from min to max. */
export function between(min: number, max: number): (value: string) => string | null {
  return (value) => {
    const number = Number(value);
    if (wholeNumber.test(value) && number >= min && number <= max) return null;
    return `needs a whole number ${max === long ? `from ${min} up` : `${min}..${max}`}`;
  };
}

/** A check that takes one of a few texts. */
export function oneOf(...choices: readonly string[]): (value: string) => string | null {
  return (value) => (choices.includes(value) ? null : `needs one of ${choices.join(", ")}`);
}

export const boolean = oneOf("true", "false");
export const int = 2 ** 31 - 1;
export const longMax = "9223372036854775807";

function policies(value: string): string | null {
  const parts = value.split(",").map((part) => part.trim());
  const known = parts.every((part) => part === "delete" || part === "compact");
  return known && parts.length > 0 ? null : "needs delete, compact, or both with a comma";
}

function ratio(value: string): string | null {
  const number = Number(value);
  return value.trim() !== "" && number >= 0 && number <= 1 ? null : "needs a number 0..1";
}

type Row = [
  name: string,
  brokerName: string | null,
  kind: SettingKind,
  value: string,
  check: (value: string) => string | null,
  documentation: string,
  honoured?: boolean,
];

/** "" or partition:broker pairs, as Kafka's tools write them; or * for all. */
function throttled(value: string): string | null {
  return /^(\*|(\d+:\d+(,\d+:\d+)*)?)$/.test(value) ? null : "needs *, or pairs such as 0:1,1:1";
}

const tiers = between(-2, long);
/** Settings of Kafka's that tools and frameworks write and a hub has nothing to do for. */
const idleRows: Row[] = [
  [
    "follower.replication.throttled.replicas",
    null,
    "list",
    "",
    throttled,
    "Kafka's followers that copy slower.",
    false,
  ],
  ["leader.replication.throttled.replicas", null, "list", "", throttled, "Kafka's leaders that give slower.", false],
  [
    "local.retention.bytes",
    "log.local.retention.bytes",
    "long",
    "-2",
    tiers,
    "Kafka's bytes kept before a tier.",
    false,
  ],
  ["local.retention.ms", "log.local.retention.ms", "long", "-2", tiers, "Kafka's time kept before a tier.", false],
  ["remote.log.copy.disable", null, "boolean", "false", boolean, "Kafka's tiered storage; a hub has none.", false],
  ["remote.log.delete.on.disable", null, "boolean", "false", boolean, "Kafka's tiered storage; a hub has none.", false],
  ["remote.storage.enable", null, "boolean", "false", oneOf("false"), "Kafka's tiered storage; a hub has none.", false],
];

const rows: Row[] = [
  [
    "cleanup.policy",
    "log.cleanup.policy",
    "list",
    "delete",
    policies,
    "What happens to old records: delete by age and size, or compact: keep the last of each key.",
  ],
  [
    "compression.type",
    "compression.type",
    "string",
    "producer",
    oneOf("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"),
    "The codec of stored batches: the hub compresses anew what comes in another; producer keeps the producer's.",
  ],
  [
    "corrupt.read",
    "log.corrupt.read",
    "string",
    "stop",
    oneOf("stop", "skip"),
    "What a fetch inside damaged bytes does: stop answers CORRUPT_MESSAGE, skip leaves a counted gap.",
  ],
  [
    "delete.retention.ms",
    "log.cleaner.delete.retention.ms",
    "long",
    "86400000",
    between(0, long),
    "How long a compacted topic keeps tombstones.",
  ],
  [
    "file.delete.delay.ms",
    "log.segment.delete.delay.ms",
    "long",
    "60000",
    between(0, long),
    "How long a removed segment file stays on disk; a hub always waits 60 s.",
    false,
  ],
  [
    "flush.messages",
    "log.flush.interval.messages",
    "long",
    longMax,
    between(1, long),
    "Kafka's flush count; a hub flushes as log.fsync says.",
    false,
  ],
  [
    "flush.ms",
    "log.flush.interval.ms",
    "long",
    longMax,
    between(0, long),
    "Kafka's flush interval; a hub flushes as log.fsync says.",
    false,
  ],
  [
    "index.interval.bytes",
    "log.index.interval.bytes",
    "int",
    "4096",
    between(0, int),
    "Log bytes between two entries of the sparse offset index.",
  ],
  [
    "log.fsync",
    "log.fsync",
    "string",
    "always",
    oneOf("always", "interval", "os"),
    "What an acknowledgement survives: always a power cut, interval all but the last 200 ms, os kill -9 only.",
  ],
  [
    "max.compaction.lag.ms",
    "log.cleaner.max.compaction.lag.ms",
    "long",
    longMax,
    between(1, long),
    "The longest a record of a compacted topic stays uncompacted.",
  ],
  [
    "max.message.bytes",
    "message.max.bytes",
    "int",
    String(limits.batchBytesDefault),
    between(61, limits.batchBytesMax),
    "The largest record batch, log overhead included.",
  ],
  [
    "message.timestamp.after.max.ms",
    "log.message.timestamp.after.max.ms",
    "long",
    longMax,
    between(0, long),
    "How far ahead of the hub's clock a record time may be.",
  ],
  [
    "message.timestamp.before.max.ms",
    "log.message.timestamp.before.max.ms",
    "long",
    longMax,
    between(0, long),
    "How far behind the hub's clock a record time may be.",
  ],
  [
    "message.timestamp.type",
    "log.message.timestamp.type",
    "string",
    "CreateTime",
    oneOf("CreateTime", "LogAppendTime"),
    "Whose time a record bears: its producer's, or the hub's at append.",
  ],
  [
    "min.cleanable.dirty.ratio",
    "log.cleaner.min.cleanable.ratio",
    "double",
    "0.5",
    ratio,
    "The share of uncompacted bytes at which compaction begins.",
  ],
  [
    "min.compaction.lag.ms",
    "log.cleaner.min.compaction.lag.ms",
    "long",
    "0",
    between(0, long),
    "The shortest time a record of a compacted topic stays uncompacted.",
  ],
  [
    "min.insync.replicas",
    "min.insync.replicas",
    "int",
    "1",
    between(1, 64),
    "Replicas that must hold a record before acks=all is answered.",
  ],
  [
    "preallocate",
    "log.preallocate",
    "boolean",
    "false",
    boolean,
    "Kafka's preallocation of segments; a hub preallocates its journal instead.",
    false,
  ],
  [
    "retention.bytes",
    "log.retention.bytes",
    "long",
    "-1",
    between(-1, long),
    "Bytes a partition keeps; -1 is no bound.",
  ],
  [
    "retention.ms",
    "log.retention.ms",
    "long",
    "604800000",
    between(-1, long),
    "Milliseconds a partition keeps its segments; -1 is for ever.",
  ],
  [
    "retention.pin",
    "log.retention.pin",
    "boolean",
    "false",
    boolean,
    "true keeps the topic out of the retention that a full data folder forces.",
  ],
  [
    "segment.bytes",
    "log.segment.bytes",
    "int",
    String(limits.segmentBytesDefault),
    between(limits.segmentBytesMin, limits.segmentBytesMax),
    "Size at which a segment is closed and the next begun.",
  ],
  [
    "segment.index.bytes",
    "log.index.size.max.bytes",
    "int",
    "10485760",
    between(4, int),
    "Kafka's bound of an index file; a hub's index grows with its segment.",
    false,
  ],
  [
    "compression.gzip.level",
    "compression.gzip.level",
    "int",
    "-1",
    between(-1, 9),
    "How hard gzip tries where the hub compresses.",
  ],
  [
    "compression.lz4.level",
    "compression.lz4.level",
    "int",
    "9",
    between(1, 17),
    "Kafka's level of lz4; a hub's lz4 has one.",
    false,
  ],
  [
    "compression.zstd.level",
    "compression.zstd.level",
    "int",
    "3",
    between(-131_072, 22),
    "How hard zstd tries where the hub compresses.",
  ],
  ["segment.jitter.ms", "log.roll.jitter.ms", "long", "0", between(0, long), "Kafka's jitter of segment.ms.", false],
  [
    "segment.ms",
    "log.roll.ms",
    "long",
    "604800000",
    between(1, long),
    "Age at which a segment is closed although it is not full.",
  ],
  [
    "unclean.leader.election.enable",
    "unclean.leader.election.enable",
    "boolean",
    "false",
    boolean,
    "Whether a replica that may miss records can become leader when no other is left.",
    true,
  ],
];

/** Every topic setting by its name, in alphabetical order. */
export const topicSettings: ReadonlyMap<string, TopicSetting> = new Map(
  [...rows, ...idleRows]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, brokerName, kind, value, check, documentation, honoured = true]) => [
      name,
      { name, brokerName, kind, default: value, check, documentation, honoured },
    ]),
);

/** Throws INVALID_CONFIG when the setting is unknown or its value is refused. */
export function checkTopicSetting(name: string, value: string): void {
  const setting = topicSettings.get(name);
  if (!setting) throw new HubError("INVALID_CONFIG", `Unknown topic setting ${name}`);
  const refusal = setting.check(value);
  if (refusal) throw new HubError("INVALID_CONFIG", `${name} = ${JSON.stringify(value)}: it ${refusal}`);
}

/** Settings in force for one topic: its own, else the hub's, else the built-in default. */
export class EffectiveSettings {
  readonly own: ReadonlyMap<string, string>;
  readonly hub: ReadonlyMap<string, string>;

  constructor(own: ReadonlyMap<string, string>, hub: ReadonlyMap<string, string>) {
    this.own = own;
    this.hub = hub;
  }

  text(name: string): string {
    return this.own.get(name) ?? this.hub.get(name) ?? topicSettings.get(name)!.default;
  }

  /** As a number; Kafka's Long.MAX values come out as 2^63, which only ever means "no bound". */
  number(name: string): number {
    return Number(this.text(name));
  }

  flag(name: string): boolean {
    return this.text(name) === "true";
  }
}
