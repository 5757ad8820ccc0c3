// Every bound of the hub, unit and bound last; relations between bounds are asserted when the file loads.
import { clusterLimits } from "./limits_cluster.ts";
import { mqttLimits } from "./limits_mqtt.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

export const limits = {
  // wire
  /** Kafka's socket.request.max.bytes: a larger or negative frame closes the connection before it is buffered. */
  requestBytesMax: 100 * MiB,
  /** Elements of one array on the wire; also bounded by the bytes that are left in the frame. */
  arrayElementsMax: 1_000_000,
  /** Requests of one connection that wait for their turn; beyond it the socket is paused. */
  requestsQueuedPerConnectionMax: 100,
  /** Bytes of requests of one connection that are not answered yet; beyond it its socket is paused. */
  connectionInBytesMax: 4 * MiB,
  /** The same, all connections together; beyond it whoever has one unanswered is paused. */
  requestsInBytesMax: 64 * MiB,
  connectionsMax: 10_000,
  connectionIdleMsMax: 10 * minute,
  tcpKeepAliveMs: 20 * second, // silence after which the system asks whether the other machine is still there
  /** A connection that the hub ended is cut off after this long, however slowly its client goes. */
  connectionEndMsMax: 3 * second,
  /** Of the name and the version that a client tells of its software, each. */
  softwareTextMax: 100,
  /** Bytes queued to a slow reader before its connection stops being read. */
  connectionOutBytesMax: 4 * MiB,

  // records
  /** Kafka's default of max.message.bytes, log overhead included. */
  batchBytesDefault: 1_048_588,
  batchBytesMax: 64 * MiB,
  recordsPerBatchMax: 1_000_000,
  headersPerRecordMax: 1_000,
  /** Largest size one compressed batch may open to. */
  decompressedBytesMax: 64 * MiB,
  /** Largest growth of one compressed batch, in times of its compressed size (small batches are exempt to 1 MiB). */
  decompressionRatioMax: 1_000,

  // topics
  topicNameLengthMax: 249,
  partitionsPerTopicMax: 4_000,
  partitionsMax: 10_000,
  topicsMax: 5_000,
  /** Partitions in one page of DescribeTopicPartitions. */
  describedPartitionsMax: 2_000,
  /** Groups and hubs with settings of their own. */
  settingsScopesMax: 1_000,

  // log
  segmentBytesDefault: 128 * MiB,
  segmentBytesMin: 64 * KiB,
  segmentBytesMax: 1024 * MiB,
  indexIntervalBytesDefault: 4 * KiB,
  /** Idempotent producers remembered per partition; the least recently used goes first. */
  producersPerPartitionMax: 10_000,
  /** Batches remembered per producer and partition for duplicate detection (Kafka's five). */
  producerBatchesMax: 5,
  producerIdleMsMax: day,
  /** Transactions open at a time in one partition: their producers are never forgotten. */
  openTransactionsPerPartitionMax: 5_000,
  segmentDeleteDelayMs: minute,
  tailSavedBytesMax: 64 * KiB,
  fetchBytesMax: 55 * MiB,
  /** Newest batches kept in memory for readers at the tail, all partitions together. */
  hotTailBytesMax: 4 * MiB,

  // compaction
  /** Memory of the one map of keys, all logs together; what does not fit is left to the next pass. */
  cleanerMapBytes: 16 * MiB,
  /** How often logs are looked at, and how long one whose cleaning failed is left alone. */
  cleanerPassMs: 15 * second,
  cleanerRetryMs: 10 * minute,
  /** Bytes read and written. */
  cleanerBytesPerSecondMax: 64 * MiB,
  /** Bytes of one read; written bytes are collected to as many, and synced every `cleanerSyncBytes`. */
  cleanerChunkBytes: 256 * KiB,
  cleanerSyncBytes: 8 * MiB,
  /** Work between two looks at what else waits; one batch is never split. */
  cleanerSliceMsMax: 3,

  // journal
  journalFileBytes: 16 * MiB,
  journalSectorBytes: 4096,
  /** Payload of one journal group; a larger backlog is split into several groups. */
  journalGroupBytesMax: 8 * MiB,
  /** Appended and not yet synced, all partitions together; beyond it produce waits at the socket. */
  journalBacklogBytesMax: 32 * MiB,
  checkpointBytesMax: 64 * MiB,
  checkpointMsMax: 10 * minute,
  /** Bytes appended outside the journal between two checkpoints: bounds the scan after an unclean stop. */
  checkpointPlainBytesMax: 1024 * MiB,
  retentionPassMs: 5 * minute,
  /** The first scrub begins so long after the start, the next ones a period after the one before began. */
  scrubFirstMs: 10 * minute,
  scrubPeriodMs: 7 * day,
  scrubBytesPerSecondMax: 1_000_000,
  /** Read and checked without a pause; a larger batch is read whole. */
  scrubChunkBytes: 128 * KiB,
  /** Damaged ranges told of one segment in one pass; then the rest of it is left. */
  scrubDamagePerSegmentMax: 100,
  /** Small state (topics, configs, groups, offsets) in the snapshot group that begins each journal file. */
  journalSnapshotBytesMax: 8 * MiB,
  intervalSyncMs: 200,
  intervalSyncBytes: MiB,

  // disk
  reserveBytes: 16 * MiB,
  diskSoftLineBytes: 512 * MiB,
  diskHardLineBytes: 128 * MiB,
  diskRetryMs: 5 * second,
  diskSyncSlowMs: 5 * second,
  diskSyncDeadMs: 30 * second,

  // waiting
  parkedRequestsMax: 20_000,
  fetchWaitMsMax: 10 * minute,
  /** Fetch sessions (KIP-227), and the partitions of all of them together; about 250 bytes each. */
  fetchSessionsMax: 10_000,
  fetchSessionPartitionsMax: 100_000,
  /** Silence after which a session makes room for a new one. */
  fetchSessionIdleMs: 2 * minute,
  produceTimeoutMsMax: 10 * minute,

  // groups
  groupsMax: 10_000,
  groupMetadataBytesMax: 1 * MiB,
  sessionTimeoutMsMin: 6 * second,
  sessionTimeoutMsMax: 30 * minute,
  rebalanceTimeoutMsMax: 60 * minute,
  initialRebalanceDelayMs: 3 * second,
  offsetMetadataBytesMax: 4096,
  offsetsRetentionMs: 7 * day,
  /** A parked first JoinGroup of a client that does not know its id yet. */
  newMemberJoinMsMax: 5 * minute,
  /** How often empty groups are looked at, and after how much more observed empty time the count is stored. */
  groupSweepMs: 10 * minute,
  groupEmptyStoreMs: hour,
  /** Deleted groups, and deleted offsets of one group, that a registry remembers against late or older writes. */
  groupTombstonesMax: 1_000,
  offsetTombstonesMax: 1_000,
  /** After this long the hub serves other requests while the groups are still being loaded. */
  groupLoadWaitMsMax: 500,
  /** Groups of the server-side protocol (KIP-848). */
  consumerHeartbeatMs: 5 * second,
  consumerSessionMs: 45 * second,
  consumerGroupSizeMax: 1_000,
  subscribedTopicsMax: 10_000,
  subscribedRegexLengthMax: 1_000,

  // access
  /** A frame of a connection that has not logged in yet. */
  saslFrameBytesMax: 512 * KiB,
  /** A connection that has not logged in is closed after so long, whatever it says meanwhile. */
  saslIdleMsMax: 30 * second,
  /** Kafka's connection.failed.authentication.delay.ms: a guess costs at least that. */
  saslFailureDelayMs: 100,
  /** Passwords that are checked at a time and that wait for it; the thread pool they run in also syncs the journal. */
  saslStretchesMax: 2,
  saslStretchesWaitingMax: 1_000,
  scramIterationsMin: 4096,
  scramIterationsMax: 16_384,
  scramNonceLengthMax: 1_024,
  scramSaltBytesMax: 128,
  /** Of a user, a principal, a host, a client id or a resource in stored rules, credentials and quotas. */
  accessNameLengthMax: 256,
  credentialsMax: 2_000,
  accessRulesMax: 2_000,
  quotasMax: 1_000,
  /** Clients with a bucket of their own. */
  quotaBucketsMax: 10_000,
  quotaThrottleMsMax: 30 * second,
  /** A fetch under a quota brings at most so many seconds' worth. */
  quotaFetchSecondsMax: 10,

  // transactions
  /** Transactional ids known at a time; more are refused until old ones expire. */
  transactionalIdsMax: 20_000,
  transactionTimeoutMsMax: 15 * minute,
  transactionalIdExpirationMs: 7 * day,
  transactionSweepMs: hour,
  /** How long a call waits for the end of the transaction before, ere it answers CONCURRENT_TRANSACTIONS. */
  transactionWaitMsMax: 500,
  /** Markers and group commits under way at a time, all transactions together. */
  transactionMarkersInFlightMax: 64,
  /** Enough for the coordinators of a few hubs; Kafka's 50 would cost every start as many logs. */
  transactionLogPartitionsDefault: 8,
  transactionLogSegmentBytes: 4 * MiB,
  transactionLogReadBytes: MiB,
  /** How long a hub waits for what it asks another about a transaction. */
  transactionCallMsMax: 5_000,
  /** How often the coordinator of groups asks what transactions still hold for them, and after a failure. */
  heldOffsetsLookMs: 1_000,
  heldOffsetsRetryMs: 200,
  /** How often a hub without Redis looks for partitions that nobody but itself can lead. */
  standAloneMs: 500,
  /** offsets.topic.num.partitions of a cluster */
  offsetsTopicPartitions: 16,
  offsetsTopicSegmentBytes: 4 * MiB,

  // memory
  /** Resident bytes below which the garbage collector is left alone; above it each step of growth is collected. */
  memoryCalmBytes: 208 * MiB,
  memoryStepBytes: 10 * MiB,
  memoryLookMs: 50,

  // metrics
  /** Counts and observations kept until the metrics library is loaded, two seconds after the start. */
  metricsBeforeLoadMax: 20_000,

  // redis
  redisCommandMsMax: 500,
  redisReconnectMsMax: 2 * second,
  redisRecheckMs: 200,
  redisRepushBatchMax: 500,
  /** How often a connected Redis is asked whether it still holds what was written. */
  redisProbeMs: second,
  /** Commits acknowledged by Redis reach the journal's mirror within this time. */
  redisMirrorMsMax: second,

  // client
  clientBatchBytes: 64 * KiB,
  /** Buffers of `clientBatchBytes` that are used again and again; batches beyond them cost an array each. */
  clientSlabsMax: 64,
  clientBufferBytesMax: 32 * MiB,
  clientRequestMsMax: 30 * second,
  /** A hub that has not answered for so long may be cut off: others are asked who leads. */
  clientDoubtMs: 1_000,
  clientRetriesMax: 10,
  /** First pause before a retry; it doubles up to `clientRetryMsMax`. */
  clientRetryMs: 100,
  clientRetryMsMax: 2 * second,
  clientConnectMsMax: 10 * second,
  /** One attempt of an appender; the next one may come while it is still under way. */
  appenderAttemptMsMax: 5 * second,
  /** Requests of one dialled connection that wait for their answers. */
  clientCallsMax: 1_000,
  /** Produce requests in flight to one hub over a socket: as many as a broker remembers batches of a producer. */
  clientProduceInFlightMax: 5,
  /** Batches of one partition in flight to the hub in the same process; beyond it the open batch grows instead. */
  clientLocalInFlightMax: 2,
  /** Metadata older than this is asked for again; while a wanted topic is missing, after `clientMissingTopicMs`. */
  clientMetadataMs: 5 * minute,
  clientMissingTopicMs: 2 * second,
  clientFetchBytes: 4 * MiB,
  clientFetchPartitionBytes: 1 * MiB,
  clientFetchWaitMs: 500,
  clientSessionMs: 30 * second,
  /** A member learns of a rebalance by its heartbeat, so this is how long the others wait for it. */
  clientHeartbeatMs: second,
  clientRebalanceMs: 60 * second,

  ...clusterLimits,

  ...mqttLimits,

  // browsers
  browsersMax: 200,
  browserBufferBytesMax: 1 * MiB,
  browserSubscriptionsMax: 16,
  browserFrameRecordsMax: 500,
  browserMessageBytesMax: 64 * KiB,
  /** Payload bytes of one record that a browser is shown; the rest is cut, and said so. */
  browserValueBytesMax: 8 * KiB,
  browserFrameBytesMax: 256 * KiB,
  /** Records a browser may grant ahead. */
  browserCreditMax: 100_000,
  browserKeysMax: 1_000,
  /** Records held for one partition of a slow browser before the newest of each series wins. */
  browserHeldRecordsMax: 2_000,
  browserPingMs: 15 * second,
  browserBeatMs: 5 * second,
  /** Topics that are tailed for browsers at a time. */
  tailTopicsMax: 64,
  /** Recent records of one topic, kept so that history can hand over to live. */
  tailRingBytesMax: 4 * MiB,
  tailLingerMs: 10 * second,
  historyFetchBytes: 256 * KiB,
  /** History reads under way at a time, all browsers together. */
  historyReadsMax: 8,
  /** Unread records looked up in one round to tell a lag in seconds. */
  lagLookupsMax: 256,
} as const;

function relation(holds: boolean, text: string): void {
  if (!holds) throw new Error(`limits.ts: ${text}`);
}

relation(limits.consumerHeartbeatMs * 2 < limits.consumerSessionMs, "a lost heartbeat ends no session");
relation(limits.batchBytesMax < limits.requestBytesMax, "a batch fits into a request");
relation(limits.batchBytesDefault <= limits.batchBytesMax, "the default batch is within the bound");
relation(limits.journalSnapshotBytesMax < limits.journalFileBytes, "a snapshot leaves room in its journal file");
relation(limits.diskHardLineBytes < limits.diskSoftLineBytes, "retention runs early before produce is refused");
relation(limits.clientBatchBytes <= limits.batchBytesDefault, "our own producer stays within every topic's bound");
relation(limits.mqttPacketBytesMax <= limits.batchBytesDefault, "an MQTT packet fits into a batch");
relation(limits.mqttInFlightBytesMax < limits.clientBufferBytesMax, "sockets pause before the producer refuses");
relation(limits.mqttReceiveMax <= limits.mqttInFlightPerConnectionMax, "a client is not invited to be paused");
relation(limits.mqttReceiveMax <= limits.mqttQos2PerClientMax, "and all it may send can be QoS 2");
relation(limits.mqttPropertiesPerPacketMax + 16 < limits.headersPerRecordMax, "each property can be a header");
relation(limits.mqttOutInFlightMax < 65_535, "a free packet id is always found");
relation(limits.saslFrameBytesMax < limits.requestBytesMax, "who is not known yet gets less room");
relation(limits.replicaFetchBytesMax < limits.requestBytesMax, "an answer to a follower fits into a frame");
relation(limits.peerPingMs * 2 < limits.peerSilentMs, "a hub that answers its pings is not silent");
relation(limits.replicaFetchWaitMs * 2 < limits.replicaFeedIdleMs, "a follower that asks is not forgotten");
relation(limits.scrubChunkBytes <= limits.scrubBytesPerSecondMax, "the scrub reads more than once a second");
relation(limits.cleanerChunkBytes <= limits.cleanerSyncBytes, "a cleaner's write is within what it syncs");
relation(limits.openTransactionsPerPartitionMax < limits.producersPerPartitionMax, "some producer may be forgotten");
relation(limits.segmentBytesMin <= limits.segmentBytesDefault, "the default segment is within the bounds");
relation(limits.segmentBytesMin <= limits.transactionLogSegmentBytes, "so is a segment of the transaction log");
relation(limits.batchBytesDefault <= limits.transactionLogSegmentBytes, "which holds its largest batch");
relation(limits.browserFrameBytesMax < limits.browserBufferBytesMax, "a frame fits into a browser's buffer");
relation(limits.browserValueBytesMax < limits.browserFrameBytesMax, "a record fits into a frame");
relation(limits.browserFrameRecordsMax <= limits.browserHeldRecordsMax, "a whole frame can be held");
