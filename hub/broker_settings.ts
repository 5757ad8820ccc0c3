// Settings of a hub and of groups under Kafka's names: what each means, who changes it, and whether it does anything.
import { HubError } from "./errors.ts";
import { limits } from "./limits.ts";
import { between, boolean, int, long, longMax, oneOf, type SettingKind, topicSettings } from "./topic_settings.ts";

/** Who may change a setting: clients at run time (the file too), the file before a start, or nobody. */
export type ChangedBy = "client" | "file" | "nobody";

/** One setting of a hub. */
export interface BrokerSetting {
  readonly name: string;
  readonly kind: SettingKind;
  /** null: there is no value unless one is set, or the running hub knows it (node.id, listeners ...). */
  readonly default: string | null;
  /** A sentence when the value is refused, null when it is good. */
  readonly check: (value: string) => string | null;
  readonly documentation: string;
  readonly changedBy: ChangedBy;
  /** False for what a hub accepts and does not act on; hub/README.md says so too. */
  readonly honoured: boolean;
  /** Its value is told to nobody. */
  readonly sensitive: boolean;
  /** The topic setting that this is the default of. */
  readonly ofTopics: string | null;
}

type Check = (value: string) => string | null;

const anyText: Check = () => null;
const ratio: Check = (value) => (value.trim() !== "" && Number(value) >= 0 ? null : "needs a number from 0 up");
const checks: Record<SettingKind, Check> = {
  boolean,
  string: anyText,
  int: between(-1, int),
  long: between(-1, long),
  double: ratio,
  list: anyText,
};

type Row = readonly [name: string, kind: SettingKind, value: string | null, documentation: string, check?: Check];

function rows(changedBy: ChangedBy, honoured: boolean, table: readonly Row[]): BrokerSetting[] {
  return table.map(([name, kind, value, documentation, check = checks[kind]]) => {
    const sensitive = name.endsWith("password");
    return { name, kind, default: value, check, documentation, changedBy, honoured, sensitive, ofTopics: null };
  });
}

const text = (bound: number): string => String(bound);
const timeout = between(1, int);

/** Honoured, and changed while the hub runs. */
const live: readonly Row[] = [
  [
    "auto.create.topics.enable",
    "boolean",
    null,
    "Make topics that clients ask for; when it is not set, true while everything listens on loopback.",
  ],
  ["delete.topic.enable", "boolean", "true", "Whether clients may delete topics."],
  [
    "follower.replication.throttled.rate",
    "long",
    longMax,
    "Bytes a second that replicas far behind copy, all together; those in sync are not held back.",
    between(1, long),
  ],
  [
    "num.partitions",
    "int",
    "4",
    "Partitions of a topic made without a count.",
    between(1, limits.partitionsPerTopicMax),
  ],
];

/** Honoured, and read when the hub starts. */
const atStart: readonly Row[] = [
  [
    "connections.max.idle.ms",
    "long",
    text(limits.connectionIdleMsMax),
    "Silence after which a connection is closed.",
    between(1000, 86_400_000),
  ],
  [
    "connections.max.reauth.ms",
    "long",
    "0",
    "How long a login holds before the client has to repeat it; 0 is as long as its connection.",
    between(0, 31_536_000_000),
  ],
  [
    "group.consumer.assignors",
    "list",
    "uniform,range",
    "Server-side assignors of consumer groups; the first one is the default.",
    (value) => (/^(uniform|range)(,(uniform|range))?$/.test(value) ? null : "needs uniform, range, or both"),
  ],
  ["group.consumer.heartbeat.interval.ms", "int", "5000", "How often members of consumer groups are to beat.", timeout],
  ["group.consumer.max.size", "int", "1000", "Members of a consumer group.", between(1, 1000)],
  [
    "group.consumer.migration.policy",
    "string",
    "bidirectional",
    "Which way a group with members may change between the classic and the consumer protocol.",
    oneOf("disabled", "downgrade", "upgrade", "bidirectional"),
  ],
  [
    "group.consumer.session.timeout.ms",
    "int",
    "45000",
    "Silence after which a consumer group drops a member.",
    timeout,
  ],
  [
    "group.initial.rebalance.delay.ms",
    "int",
    "3000",
    "How long a new group waits for more members.",
    between(0, 600_000),
  ],
  ["group.max.size", "int", "1000", "Members of a group.", between(1, 1000)],
  [
    "max.connections",
    "int",
    text(limits.connectionsMax),
    "Connections of all clients together.",
    between(1, limits.connectionsMax),
  ],
  [
    "max.incremental.fetch.session.cache.slots",
    "int",
    "1000",
    "Fetch sessions remembered; 0 makes every fetch a full one.",
    between(0, limits.fetchSessionsMax),
  ],
  ["offsets.retention.minutes", "int", "10080", "How long an empty group keeps its offsets.", between(1, 1_000_000)],
  [
    "offsets.topic.num.partitions",
    "int",
    text(limits.offsetsTopicPartitions),
    "Partitions of __consumer_offsets, when a cluster makes it.",
    between(1, limits.partitionsPerTopicMax),
  ],
  [
    "socket.request.max.bytes",
    "int",
    text(limits.requestBytesMax),
    "The largest request; a larger one closes its connection before it is read.",
    between(1024, limits.requestBytesMax),
  ],
  ["transaction.max.timeout.ms", "int", "900000", "The longest timeout a transactional producer may ask for.", timeout],
  [
    "transaction.state.log.num.partitions",
    "int",
    "8",
    "Partitions of __transaction_state, when it is made.",
    between(1, limits.partitionsPerTopicMax),
  ],
  ["transactional.id.expiration.ms", "int", "604800000", "How long an unused transactional id is remembered.", timeout],
];

/** What this hub does; shown and changed by nobody. */
const fixed: readonly Row[] = [
  ["advertised.listeners", "string", null, "What clients are told to connect to."],
  ["broker.id", "int", null, "This hub's number in its cluster."],
  ["default.replication.factor", "int", "1", "Replicas of a topic made without a count."],
  ["fetch.max.bytes", "int", text(limits.fetchBytesMax), "The most one fetch answers, but for a single larger batch."],
  ["group.consumer.max.heartbeat.interval.ms", "int", "15000", "The longest heartbeat interval of a consumer group."],
  ["group.consumer.max.session.timeout.ms", "int", "60000", "The longest session timeout of a consumer group."],
  ["group.consumer.min.heartbeat.interval.ms", "int", "5000", "The shortest heartbeat interval of a consumer group."],
  ["group.consumer.min.session.timeout.ms", "int", "45000", "The shortest session timeout of a consumer group."],
  ["group.coordinator.rebalance.protocols", "list", "classic,consumer", "Group protocols that are served."],
  ["group.max.session.timeout.ms", "int", text(limits.sessionTimeoutMsMax), "The longest session timeout of a member."],
  [
    "group.min.session.timeout.ms",
    "int",
    text(limits.sessionTimeoutMsMin),
    "The shortest session timeout of a member.",
  ],
  ["listeners", "string", null, "Where this hub listens."],
  ["log.cleaner.enable", "boolean", "true", "Whether topics with cleanup.policy=compact are compacted."],
  ["log.dirs", "list", null, "The data folder."],
  ["log.retention.check.interval.ms", "long", text(limits.retentionPassMs), "How often old segments are looked for."],
  ["node.id", "int", null, "This hub's number in its cluster."],
  ["offset.metadata.max.bytes", "int", text(limits.offsetMetadataBytesMax), "Metadata of one committed offset."],
  ["offsets.retention.check.interval.ms", "long", text(limits.groupSweepMs), "How often empty groups are looked at."],
  ["process.roles", "list", "broker,controller", "What this process is in its cluster."],
  [
    "producer.id.expiration.ms",
    "int",
    text(limits.producerIdleMsMax),
    "How long an idle idempotent producer is known.",
  ],
  ["ssl.key.password", "string", null, "Kafka's password of a private key; a hub reads keys from files."],
  ["ssl.keystore.password", "string", null, "Kafka's password of a key store; a hub reads keys from files."],
  ["ssl.truststore.password", "string", null, "Kafka's password of a trust store; a hub reads keys from files."],
];

/** Accepted from clients, as Kafka does, and not acted on. */
const idleLive: readonly Row[] = [
  ["background.threads", "int", "10", "Kafka's threads for background work."],
  ["leader.replication.throttled.rate", "long", longMax, "Kafka's bound of what leaders give followers in a second."],
  ["log.cleaner.backoff.ms", "long", "15000", "Kafka's pause of an idle log cleaner."],
  ["log.cleaner.dedupe.buffer.size", "long", "134217728", "Kafka's memory for the keys of a compaction."],
  ["log.cleaner.io.buffer.load.factor", "double", "0.9", "How full Kafka's compaction memory may get."],
  ["log.cleaner.io.buffer.size", "int", "524288", "Kafka's buffers of a compaction."],
  ["log.cleaner.io.max.bytes.per.second", "double", "1.7976931348623157E308", "Kafka's bound of a compaction's speed."],
  ["log.cleaner.threads", "int", "1", "Kafka's compaction threads."],
  ["max.connection.creation.rate", "int", "2147483647", "Kafka's bound of new connections in a second."],
  ["max.connections.per.ip", "int", "2147483647", "Kafka's bound of connections from one address."],
  ["max.connections.per.ip.overrides", "string", "", "Kafka's bounds of connections from single addresses."],
  ["metric.reporters", "list", "", "Kafka's metrics plug-ins; a hub has /metrics."],
  ["num.io.threads", "int", "8", "Kafka's request threads; a hub has one."],
  ["num.network.threads", "int", "3", "Kafka's network threads; a hub has one."],
  ["num.recovery.threads.per.data.dir", "int", "2", "Kafka's threads that open logs at a start."],
  ["num.replica.fetchers", "int", "1", "Kafka's threads that copy from leaders."],
  ["replica.alter.log.dirs.io.max.bytes.per.second", "long", longMax, "Kafka's bound of moves between data folders."],
  ["transaction.partition.verification.enable", "boolean", "true", "Kafka's switch of a check a hub always makes."],
];

/** Accepted from the file, shown, and not acted on. */
const idle: readonly Row[] = [
  ["auto.leader.rebalance.enable", "boolean", "true", "Kafka's return of leadership to preferred replicas."],
  ["controlled.shutdown.enable", "boolean", "true", "Kafka's move of leadership before a stop."],
  ["leader.imbalance.check.interval.seconds", "long", "300", "How often Kafka looks for leaders to move."],
  ["max.request.partition.size.limit", "int", "2000", "Kafka's bound of partitions in one description of topics."],
  ["offsets.commit.timeout.ms", "int", "5000", "How long Kafka's commits wait for replicas."],
  ["offsets.topic.replication.factor", "int", "1", "Replicas of Kafka's __consumer_offsets."],
  ["offsets.topic.segment.bytes", "int", "104857600", "Segments of Kafka's __consumer_offsets."],
  ["queued.max.requests", "int", "500", "Kafka's bound of requests that wait; a hub bounds their bytes."],
  ["replica.fetch.max.bytes", "int", "1048576", "What Kafka's followers ask of one partition."],
  ["replica.fetch.wait.max.ms", "int", "500", "How long Kafka's followers wait for records."],
  ["replica.lag.time.max.ms", "long", "30000", "Silence after which Kafka drops a replica from those in sync."],
  ["request.timeout.ms", "int", "30000", "How long Kafka's own requests wait."],
  ["socket.listen.backlog.size", "int", "50", "Connections that wait to be accepted."],
  ["socket.receive.buffer.bytes", "int", "102400", "The receive buffer of Kafka's sockets."],
  ["socket.send.buffer.bytes", "int", "102400", "The send buffer of Kafka's sockets."],
  [
    "transaction.abort.timed.out.transaction.cleanup.interval.ms",
    "int",
    "10000",
    "How often Kafka looks for transactions that ran out of time.",
  ],
  ["transaction.state.log.min.isr", "int", "1", "Replicas in sync of Kafka's __transaction_state."],
  ["transaction.state.log.replication.factor", "int", "1", "Replicas of Kafka's __transaction_state."],
  ["transaction.state.log.segment.bytes", "int", "104857600", "Segments of Kafka's __transaction_state."],
];

const topicDefaults: BrokerSetting[] = [...topicSettings.values()].flatMap((setting) => {
  if (setting.brokerName === null) return [];
  return [
    { ...setting, name: setting.brokerName, changedBy: "client" as const, sensitive: false, ofTopics: setting.name },
  ];
});

/** Every setting of a hub by its name, in alphabetical order; those of topics under the hub's names for them. */
export const brokerSettings: ReadonlyMap<string, BrokerSetting> = new Map(
  [
    ...rows("client", true, live),
    ...rows("file", true, atStart),
    ...rows("nobody", true, fixed),
    ...rows("client", false, idleLive),
    ...rows("file", false, idle),
    ...topicDefaults,
  ]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((setting) => [setting.name, setting]),
);

/** Settings of one group (KIP-848); what is not set comes from the hub's `group.` setting of the same name. */
export const groupSettings: ReadonlyMap<string, BrokerSetting> = new Map(
  rows("client", true, [
    [
      "consumer.heartbeat.interval.ms",
      "int",
      "5000",
      "How often members of this consumer group are to beat.",
      between(5000, 15_000),
    ],
    [
      "consumer.session.timeout.ms",
      "int",
      "45000",
      "Silence after which this consumer group drops a member.",
      between(45_000, 60_000),
    ],
  ]).map((setting) => [setting.name, setting]),
);

/** Where a hub keeps the value: topic defaults under the topic's name for them, everything else under its own. */
export function placeOf(setting: BrokerSetting): string {
  return setting.ofTopics ?? setting.name;
}

/** Throws INVALID_CONFIG when the setting is unknown, not a client's to change, or its value is refused. */
export function checkSetting(table: ReadonlyMap<string, BrokerSetting>, name: string, value: string): void {
  const setting = table.get(name);
  if (!setting) throw new HubError("INVALID_CONFIG", `Unknown setting ${name}`);
  if (setting.changedBy === "file") {
    throw new HubError("INVALID_CONFIG", `${name} is read at the start: set it under [settings] of partidor.toml`);
  }
  if (setting.changedBy === "nobody") throw new HubError("INVALID_CONFIG", `${name} cannot be changed on a hub`);
  const refusal = setting.check(value);
  if (refusal) throw new HubError("INVALID_CONFIG", `${name} = ${JSON.stringify(value)}: it ${refusal}`);
}
