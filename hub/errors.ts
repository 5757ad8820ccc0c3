// The catalogue of errors: name, Kafka's number, whether a retry can help, and what to do. Imports nothing.

/** One row of the catalogue. */
export interface ErrorKind {
  /** Kafka's error number on the wire. */
  readonly code: number;
  /** True when the same request may succeed later without a change (Kafka's "retriable"). */
  readonly retriable: boolean;
  /** What the operator or the client does about it. */
  readonly remedy: string;
}

const kind = (code: number, retriable: boolean, remedy: string): ErrorKind => ({ code, retriable, remedy });

/** Every error a hub answers with. hub/README.md holds the same table; a test compares the two. */
export const errorCatalogue = {
  UNKNOWN_SERVER_ERROR: kind(
    -1,
    false,
    "The hub met a case it did not expect; the log line with this code names it. Report it.",
  ),
  NONE: kind(0, false, "No error."),
  OFFSET_OUT_OF_RANGE: kind(1, false, "Reset the consumer to a position between log start and log end."),
  CORRUPT_MESSAGE: kind(
    2,
    true,
    "The batch fails its CRC, length or magic; check the producer and the path to it, or run `partidor log verify`.",
  ),
  UNKNOWN_TOPIC_OR_PARTITION: kind(3, true, "Create the topic, or check its name and partition."),
  LEADER_NOT_AVAILABLE: kind(5, true, "Wait: the partition has no leader at this moment."),
  NOT_LEADER_OR_FOLLOWER: kind(6, true, "The client refreshes its metadata and goes to the leader."),
  REQUEST_TIMED_OUT: kind(7, true, "The write or election did not finish in time; it may still happen."),
  REPLICA_NOT_AVAILABLE: kind(9, true, "The replica is not on this hub."),
  MESSAGE_TOO_LARGE: kind(10, false, "Raise the topic's `max.message.bytes`, or send smaller batches."),
  OFFSET_METADATA_TOO_LARGE: kind(12, false, "Commit with metadata of at most 4096 bytes."),
  NETWORK_EXCEPTION: kind(13, true, "The connection broke before the answer came; the client connects again."),
  COORDINATOR_LOAD_IN_PROGRESS: kind(14, true, "Wait: the group coordinator is reading its state."),
  COORDINATOR_NOT_AVAILABLE: kind(15, true, "Wait, or see why the hub cannot store group state."),
  NOT_COORDINATOR: kind(16, true, "The client looks the coordinator up again."),
  INVALID_TOPIC_EXCEPTION: kind(17, false, "Use 1 to 249 of the characters a-z A-Z 0-9 . _ - and no internal topic."),
  RECORD_LIST_TOO_LARGE: kind(18, false, "Send less in one request."),
  NOT_ENOUGH_REPLICAS: kind(19, true, "Fewer replicas are in sync than `min.insync.replicas`; bring hubs back."),
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: kind(
    20,
    true,
    "The batch is written, but fewer replicas than `min.insync.replicas` have it.",
  ),
  INVALID_REQUIRED_ACKS: kind(21, false, "Use acks 0, 1 or all (-1)."),
  ILLEGAL_GENERATION: kind(22, false, "The member joins its group again."),
  INCONSISTENT_GROUP_PROTOCOL: kind(23, false, "Give all members one protocol type and a common assignor."),
  INVALID_GROUP_ID: kind(24, false, "Name the group with at least one character."),
  UNKNOWN_MEMBER_ID: kind(25, false, "The member joins its group again with an empty member id."),
  INVALID_SESSION_TIMEOUT: kind(26, false, "Use a session timeout between 6 s and 30 min."),
  REBALANCE_IN_PROGRESS: kind(27, false, "The member joins its group again."),
  INVALID_COMMIT_OFFSET_SIZE: kind(28, false, "Commit less in one request."),
  TOPIC_AUTHORIZATION_FAILED: kind(29, false, "Grant the principal the operation on the topic."),
  GROUP_AUTHORIZATION_FAILED: kind(30, false, "Grant the principal the operation on the group."),
  CLUSTER_AUTHORIZATION_FAILED: kind(31, false, "Grant the principal the operation on the cluster."),
  INVALID_TIMESTAMP: kind(
    32,
    false,
    "The record time is outside `message.timestamp.before.max.ms` / `after.max.ms`; check the device clock.",
  ),
  UNSUPPORTED_SASL_MECHANISM: kind(33, false, "Use a mechanism of the answer's list, or enable it in `access.sasl`."),
  ILLEGAL_SASL_STATE: kind(34, false, "Authenticate before any other request."),
  UNSUPPORTED_VERSION: kind(35, false, "The request version is not served; the client asks ApiVersions for what is."),
  TOPIC_ALREADY_EXISTS: kind(36, false, "Choose another name, or use the topic that is there."),
  INVALID_PARTITIONS: kind(37, false, "Use a partition count above the present one, within the bounds."),
  INVALID_REPLICATION_FACTOR: kind(38, false, "Use a replication factor from 1 to the number of hubs."),
  INVALID_REPLICA_ASSIGNMENT: kind(39, false, "Name live hubs, none twice, for every partition from 0 up."),
  INVALID_CONFIG: kind(40, false, "Correct the setting that the message names."),
  NOT_CONTROLLER: kind(41, true, "The client asks the controller."),
  INVALID_REQUEST: kind(42, false, "The request contradicts itself; the message says how."),
  UNSUPPORTED_FOR_MESSAGE_FORMAT: kind(43, false, "Send record batches of format v2 (magic 2)."),
  POLICY_VIOLATION: kind(44, false, "The hub's policy forbids the change; the message says which."),
  OUT_OF_ORDER_SEQUENCE_NUMBER: kind(
    45,
    false,
    "An idempotent producer skipped a batch; it starts anew with a fresh producer id.",
  ),
  DUPLICATE_SEQUENCE_NUMBER: kind(46, false, "The batch is in the log already."),
  INVALID_PRODUCER_EPOCH: kind(47, false, "A newer instance of this producer took over."),
  INVALID_TXN_STATE: kind(48, false, "The transaction is not in a state for this call."),
  INVALID_PRODUCER_ID_MAPPING: kind(49, false, "The producer id does not belong to this transactional id."),
  INVALID_TRANSACTION_TIMEOUT: kind(50, false, "Use a transaction timeout up to 15 min."),
  CONCURRENT_TRANSACTIONS: kind(51, true, "Wait: the previous transaction is being completed."),
  TRANSACTION_COORDINATOR_FENCED: kind(52, false, "A newer transaction coordinator took over."),
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: kind(
    53,
    false,
    "Allow this principal to WRITE (or DESCRIBE) the transactional id: CreateAcls.",
  ),
  SECURITY_DISABLED: kind(54, false, "Configure credentials first."),
  OPERATION_NOT_ATTEMPTED: kind(55, false, "An earlier part of the request failed."),
  KAFKA_STORAGE_ERROR: kind(
    56,
    true,
    "The data folder is full, read-only or failed: see `/readyz`, free space or replace the disk.",
  ),
  LOG_DIR_NOT_FOUND: kind(57, false, "A hub has one data folder; DescribeLogDirs names it."),
  SASL_AUTHENTICATION_FAILED: kind(58, false, "Check user name and password."),
  UNKNOWN_PRODUCER_ID: kind(
    59,
    false,
    "The hub no longer knows the producer; it starts anew with a fresh producer id.",
  ),
  REASSIGNMENT_IN_PROGRESS: kind(60, false, "Wait for the present reassignment."),
  INVALID_PRINCIPAL_TYPE: kind(67, false, "Use principals of type User."),
  NON_EMPTY_GROUP: kind(68, false, "Stop the members of the group first."),
  GROUP_ID_NOT_FOUND: kind(69, false, "Check the group's name with `partidor group list`."),
  FETCH_SESSION_ID_NOT_FOUND: kind(70, true, "The client sends a full fetch."),
  INVALID_FETCH_SESSION_EPOCH: kind(71, true, "The client sends a full fetch."),
  TOPIC_DELETION_DISABLED: kind(73, false, "Set `delete.topic.enable` to true; internal topics are never deleted."),
  FENCED_LEADER_EPOCH: kind(74, true, "The client refreshes its metadata."),
  UNKNOWN_LEADER_EPOCH: kind(75, true, "Wait: the client knows a newer leader than this hub."),
  UNSUPPORTED_COMPRESSION_TYPE: kind(76, false, "Use gzip, snappy, lz4, or zstd with Produce v7 and newer."),
  STALE_BROKER_EPOCH: kind(77, false, "The hub registers again."),
  OFFSET_NOT_AVAILABLE: kind(78, true, "Wait until the new leader has caught up."),
  MEMBER_ID_REQUIRED: kind(79, false, "The client joins again with the member id of the answer."),
  PREFERRED_LEADER_NOT_AVAILABLE: kind(80, true, "It did not catch up, or was not elected; the leader stays."),
  GROUP_MAX_SIZE_REACHED: kind(81, false, "Use fewer members, or raise `group.max.size`."),
  FENCED_INSTANCE_ID: kind(82, false, "Another member joined with the same group.instance.id; give each its own."),
  ELIGIBLE_LEADERS_NOT_AVAILABLE: kind(83, true, "No replica may lead now: start the hubs that hold the partition."),
  ELECTION_NOT_NEEDED: kind(84, false, "The wanted replica leads the partition already."),
  NO_REASSIGNMENT_IN_PROGRESS: kind(85, false, "No reassignment of the partition is under way."),
  GROUP_SUBSCRIBED_TO_TOPIC: kind(86, false, "The group still reads the topic; stop it first."),
  INVALID_RECORD: kind(87, false, "A record breaks a rule of the topic; the message says which."),
  UNSTABLE_OFFSET_COMMIT: kind(88, true, "Wait: a transaction on these offsets is open."),
  THROTTLING_QUOTA_EXCEEDED: kind(89, true, "Wait as long as throttle_time_ms says."),
  PRODUCER_FENCED: kind(90, false, "A newer instance with the same transactional id took over."),
  RESOURCE_NOT_FOUND: kind(91, false, "Check the name."),
  DUPLICATE_RESOURCE: kind(92, false, "Name each user once in a request."),
  UNACCEPTABLE_CREDENTIAL: kind(93, false, "Choose stronger credentials."),
  INVALID_UPDATE_VERSION: kind(95, false, "Use a level that this hub supports; the message says why not."),
  FEATURE_UPDATE_FAILED: kind(96, false, "The feature cannot change now."),
  UNKNOWN_TOPIC_ID: kind(100, true, "The topic was deleted or made anew; the client refreshes its metadata."),
  DUPLICATE_BROKER_REGISTRATION: kind(101, false, "Give each hub its own `--hub-id`."),
  BROKER_ID_NOT_REGISTERED: kind(102, false, "Use the number of a hub that `partidor cluster status` shows."),
  INCONSISTENT_TOPIC_ID: kind(103, true, "The topic was made anew; the client refreshes its metadata."),
  INCONSISTENT_CLUSTER_ID: kind(
    104,
    false,
    "This data folder belongs to another cluster; check `--redis` and `--data`.",
  ),
  FETCH_SESSION_TOPIC_ID_ERROR: kind(106, true, "The client sends a full fetch."),
  FENCED_MEMBER_EPOCH: kind(110, false, "The member gives up its partitions and joins again."),
  UNRELEASED_INSTANCE_ID: kind(111, false, "A live member has this group.instance.id; stop it, or give each its own."),
  UNSUPPORTED_ASSIGNOR: kind(112, false, "Use `uniform` or `range` as group.remote.assignor."),
  STALE_MEMBER_EPOCH: kind(113, false, "The member tries again with the epoch of its latest heartbeat."),
  MISMATCHED_ENDPOINT_TYPE: kind(114, false, "Ask for brokers (endpoint type 1) here."),
  UNSUPPORTED_ENDPOINT_TYPE: kind(115, false, "Use endpoint type 1, brokers."),
  INVALID_REGULAR_EXPRESSION: kind(
    128,
    false,
    "Correct the subscribed expression; RE2 syntax is served, the message says what is wrong.",
  ),
  TRANSACTIONAL_ID_NOT_FOUND: kind(105, false, "The coordinator does not know the transactional id."),
  TRANSACTION_ABORTABLE: kind(120, false, "The producer aborts this transaction and begins the next one."),
} as const satisfies Record<string, ErrorKind>;

export type ErrorName = keyof typeof errorCatalogue;

/** A refusal with a name of the catalogue: what a peer, a client or a disk did; never a mistake of our own. */
export class HubError extends Error {
  readonly kind: ErrorName;

  /** @param detail what happened, to what; the remedy of the catalogue is appended where a person reads it. */
  constructor(kind: ErrorName, detail?: string, options?: ErrorOptions) {
    super(detail ?? errorCatalogue[kind].remedy, options);
    this.name = "HubError";
    this.kind = kind;
  }

  /** Kafka's number. */
  get code(): number {
    return errorCatalogue[this.kind].code;
  }

  get retriable(): boolean {
    return errorCatalogue[this.kind].retriable;
  }
}

const namesByCode = new Map<number, ErrorName>(
  Object.entries(errorCatalogue).map(([name, entry]) => [entry.code, name as ErrorName]),
);

/** Kafka's number for a name. */
export function codeOf(name: ErrorName): number {
  return errorCatalogue[name].code;
}

/** The name for Kafka's number; UNKNOWN_SERVER_ERROR for a number the catalogue does not hold. */
export function errorNameOf(code: number): ErrorName {
  return namesByCode.get(code) ?? "UNKNOWN_SERVER_ERROR";
}

/** Turns whatever was thrown into a number for the wire: a HubError's own, else UNKNOWN_SERVER_ERROR. */
export function codeOfThrown(thrown: unknown): number {
  return thrown instanceof HubError ? thrown.code : errorCatalogue.UNKNOWN_SERVER_ERROR.code;
}
