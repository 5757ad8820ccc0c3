// The bounds of MQTT: a part of limits.ts.

const KiB = 1024;
const MiB = 1024 * KiB;
const second = 1000;
const day = 24 * 60 * 60;

export const mqttLimits = {
  // the bridge
  mqttPacketBytesMax: 1 * MiB,
  mqttConnectionsMax: 20_000,
  mqttConnectMsMax: 10 * second,
  /** A client whose CONNECT came waits so long for its session: hubs that all start need their quorum first. */
  mqttClaimMsMax: 60 * second,
  /** CONNECTs taken in one turn: the rest waits in line, unread. */
  mqttConnectsPerTurnMax: 64,
  /** Connections beyond the bound that are kept for a moment, so that they do not come back all at once. */
  mqttTurnedAwayMax: 1_024,
  mqttTurnAwayMsMax: 2 * second,
  /** A connection that was ended has so long to take what was sent last. */
  mqttEndMsMax: 2 * second,
  /** And may send so much more before it is cut off. */
  mqttDroppedBytesMax: 256 * KiB,
  mqttTopicLengthMax: 1024,
  mqttTopicLevelsMax: 32,
  mqttSubscriptionsPerClientMax: 100,
  /** Replays ($stream/...) of one client. */
  mqttStreamsPerClientMax: 8,
  /** Filters in one packet, and properties in one packet: a megabyte of the smallest would take 100 ms to decode. */
  mqttFiltersPerPacketMax: 1_000,
  mqttPropertiesPerPacketMax: 900,
  mqttAckTimeoutMs: 30 * second,
  /**
   * Bytes accepted and not yet committed, all connections together; beyond it sockets are paused. A message counts with
   * its objects: what lives long here is collected late, so that more of it costs memory several times over.
   */
  mqttInFlightBytesMax: 4 * MiB,
  /** PUBLISHes of one connection accepted and not yet committed; beyond it its socket is paused. */
  mqttInFlightPerConnectionMax: 512,
  mqttQueuedPerSessionMax: 1_000,
  /** Bytes queued for offline sessions, all together. */
  mqttQueuedBytesMax: 64 * MiB,
  /** Sessions that outlive their connection (clean session 0 with a subscription or an open QoS 2 id). */
  mqttSessionsMax: 10_000,
  mqttClientIdLengthMax: 1024,
  /** QoS 2 PUBLISHes of one client stored and not yet released by PUBREL. */
  mqttQos2PerClientMax: 512,
  /** The same, all sessions together (each is a fact in the journal). */
  mqttQos2IdsMax: 20_000,
  /** Bytes of QoS 2 messages on their way in a cluster, those included whose clients were not told in time. */
  mqttOnceBytesMax: 8 * MiB,
  /** After which one that waits for its PUBREL is noted as stored; long before its log forgets it. */
  mqttOnceNotedMs: second,
  /** Attempts to append one whose topic is gone, each as long as an appender takes. */
  mqttOnceMissingMax: 5,
  /** QoS 2 messages that wait for their topic to be made. */
  mqttWaitingForTopicMax: 10_000,
  mqttRetainedMax: 10_000,
  mqttRetainedBytesMax: 64 * MiB,
  mqttRoutesMax: 1_000,
  mqttDownlinksMax: 100,
  /** Route decisions remembered per connection. */
  mqttRouteMemoMax: 64,
  /** Bytes queued to one connection: beyond it QoS 0 deliveries are skipped and its own PUBLISHes wait. */
  mqttOutBytesMax: 1 * MiB,
  /** The same for all connections together: beyond it each may have only `mqttOutBytesFew`. */
  mqttOutBytesAllMax: 64 * MiB,
  mqttOutBytesFew: 16 * KiB,
  /** The first packet of a connection, before anybody is known; a will is in it. */
  mqttConnectBytesMax: 64 * KiB,
  /** A connection whose queue does not drain for so long is closed. */
  mqttDrainMsMax: 10 * second,

  // what one connection may ask, told in CONNACK
  /** QoS 1 and 2 PUBLISHes a client of MQTT 5 may have unacknowledged. */
  mqttReceiveMax: 512,
  /** Topic aliases a client may set up; each holds one topic name. */
  mqttTopicAliasMax: 64,
  /** A session is kept so long without a connection; also what a 3.1.1 session without Clean Session gets. */
  mqttSessionExpirySecondsMax: 30 * day,
  /** Longest keep alive: a client of MQTT 5 that asks for more, or for none, is told this one. */
  mqttKeepAliveSecondsMax: 3_600,

  // what one connection gets
  /** QoS 1 and 2 PUBLISHes sent to one client and not yet acknowledged, however many it would take. */
  mqttOutInFlightMax: 1_024,
  /** Their bytes; one message is always let through. */
  mqttOutInFlightBytesMax: 1 * MiB,
  /** Deliveries handed to a connection and not yet sent, and their bytes; the rest waits in the log. */
  mqttOutPendingMax: 256,
  mqttOutPendingBytesMax: 256 * KiB,
  mqttOutTopicAliasMax: 64,
  /** Hub partitions one session has a position in. */
  mqttPositionsPerSessionMax: 4_096,

  // from the logs to the sessions
  /** Topic names of records remembered by their bytes; a power of two. As many client ids. */
  mqttRecordTopicsMemoSlots: 4_096,
  /** How often topics are looked for that were made since, and a topic that is not told of so often is gone. */
  mqttTopicsLookMs: second,
  mqttTopicMissedMax: 10,
  mqttDeliverRetryMs: 200,
  /** How much the clock of the hub that stored a message may be ahead of ours: rather it is delivered. */
  mqttClockSkewMs: 5 * second,
  /** Shared subscriptions: how often a member of a group polls and commits, and waits for what is in flight. */
  mqttGroupPollMs: 100,
  mqttGroupCommitMs: second,
  mqttGroupSettleMs: 2 * second,
  /** A hub that dies has its part of a group so long; longer than a cluster takes to see that it is dead. */
  mqttGroupSessionMs: 10 * second,
  /** Handed out without a pause: publishers have their turn then. A record that nobody gets counts a fraction. */
  mqttDeliveriesPerTurnMax: 2_000,
  /** Records handed out that are kept for sessions a little behind, all partitions together, and their bytes. */
  mqttRecentRecordsMax: 20_000,
  mqttRecentBytesMax: 8 * MiB,
  /** Sessions that read for themselves at a time, partitions of one of them at a time, and the bytes of a fetch. */
  mqttCatchUpReadersMax: 8,
  mqttCatchUpPartitionsMax: 16,
  mqttCatchUpFetchBytes: 256 * KiB,
  /** Records between two that are wanted again that are rather read than skipped. */
  mqttCatchUpSkipMax: 1_000,
  /** A session that read nothing for so long lets others go first. */
  mqttCatchUpWaitMs: 2 * second,

  // matching
  /** Remembered matches: a topic counts one and one for each subscriber it has. */
  mqttMatchMemoMax: 100_000,
  // what is kept in __mqtt_sessions and __mqtt_retained
  /** Partitions of each: enough for the few hubs of a cluster. */
  mqttKeptPartitions: 4,
  mqttKeptSegmentBytes: 4 * MiB,
  /** One record may be as large as a packet, and has its key and its properties beside it. */
  mqttKeptBatchBytesMax: 2 * MiB,
  /** Longer than a hub that is held for alive takes to read what another one wrote. */
  mqttKeptLagMs: 60 * second,
  /** How long a start waits for what a lone hub keeps. */
  mqttKeptOpenMsMax: 60 * second,
  /** The same in a cluster; then it goes on without, and clients wait: their leaders may be yet to start. */
  mqttKeptWaitMsMax: 5 * second,
  mqttKeptRetryMs: 200,
  mqttKeptCloseMsMax: 3 * second,
  /** How often a hub of a cluster looks who lives, and which clients nobody looks after. */
  mqttLookMs: second,
  /** Clients that are taken over from a dead hub between two looks. */
  mqttInheritedPerLookMax: 1_000,
  /** How long a client that goes on at this hub waits for what the hub before has to say. */
  mqttFarewellMsMax: 3 * second,
  /** A client that was taken as it came is looked for once more. */
  mqttTakeLaterMs: 100,
  /** An owner's claim outlives the session: what a hub that lost the client wrote late is known by it. */
  mqttClaimKeptMs: 120 * second,
  /** How often retained messages are looked through for expired ones. */
  mqttRetainedSweepMs: 60 * second,
  mqttRetainedStepMs: 5 * second,
  /** A stored session or will. */
  mqttSessionRecordBytesMax: 1 * MiB,
} as const;
