// In what a hub answers differently from Apache Kafka, on purpose: one line each, with the reason.
import type { Plain } from "./normal.ts";

export interface Deliberate {
  /** "scenario / step"; a * stands for any text, as in `path`. */
  readonly at: string;
  /** Where in the answer. */
  readonly path: string;
  readonly hub: Plain;
  readonly apache: Plain;
  readonly why: string;
}

/** For a value that says no more than the line before it: what was stored, and what an error leaves empty. */
export const any = "any";

type Line = readonly [at: string, path: string, hub: Plain, apache: Plain];

const because = (why: string, ...lines: readonly Line[]): Deliberate[] =>
  lines.map(([at, path, hub, apache]) => ({ at, path, hub, apache, why }));

const [code, unexpected, corrupt] = ["errorCode", "UNKNOWN_SERVER_ERROR", "CORRUPT_MESSAGE"];
const [unknownProducer, duplicates] = ["UNKNOWN_PRODUCER_ID", "produce, idempotence / duplicate"];
const malformed = "produce, malformed /";
const settings = "produce, settings of topics /";

/** The test fails for a difference that does not stand here, and for a line that is no difference any more. */
export const deliberate: readonly Deliberate[] = [
  ...because(
    "bytes were lost or changed on their way: CORRUPT_MESSAGE is retried by clients, INVALID_RECORD drops the records",
    [`${malformed} a byte`, code, corrupt, "INVALID_RECORD"],
    [`${malformed} a header cut short`, code, corrupt, "INVALID_RECORD"],
    [`${malformed} records cut short`, code, corrupt, "INVALID_RECORD"],
    [`${malformed} length too large`, code, corrupt, "INVALID_RECORD"],
    [`${malformed} count negative`, code, corrupt, "INVALID_RECORD"],
    [`${malformed} last offset delta negative`, code, corrupt, "INVALID_RECORD"],
  ),
  ...because(
    "the code says what is wrong: the format of the message",
    [`${malformed} magic *`, code, "UNSUPPORTED_FOR_MESSAGE_FORMAT", any],
    [`${malformed} unknown codec 5`, code, "UNSUPPORTED_COMPRESSION_TYPE", unexpected],
    [
      `${malformed} transactional without a producer id`,
      code,
      "INVALID_RECORD",
      "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
    ],
    ["produce, idempotence / negative epoch", code, "INVALID_RECORD", "INVALID_PRODUCER_EPOCH"],
  ),
  ...because(
    "bytes that belong to no batch are refused; Kafka drops them without a word",
    [`${malformed} bytes behind the batch`, code, "INVALID_RECORD", "NONE"],
    [`${malformed} bytes behind the batch`, "baseOffset", -1, 0],
  ),
  ...because(
    "a hub does not open compressed batches on their way; whoever reads them finds out",
    [`${malformed} gzip that is none`, code, "NONE", unexpected],
    [`${malformed} gzip that is none`, "baseOffset", 0, -1],
    ["produce, codecs / zstd in version 7", code, "NONE", unexpected],
    ["produce, codecs / zstd in version 7", "baseOffset", 0, -1],
  ),
  ...because(
    "the base offset is written anew whatever it was",
    [`${malformed} base offset that is not 0`, code, "NONE", "INVALID_RECORD"],
    [`${malformed} base offset that is not 0`, "baseOffset", 0, -1],
  ),
  ...because("a known partition says where its log begins, whatever is wrong with the batch", [
    "produce, *",
    "logStartOffset",
    0,
    -1,
  ]),
  ...because("only LogAppendTime gives a time; Kafka's duplicates bear the first one's", [
    `${duplicates} *`,
    "logAppendTimeMs",
    -1,
    "a time",
  ]),
  ...because(
    "while nothing was forgotten, a first batch amid a sequence says that batches before it are lost: Kafka stores it",
    ["produce, idempotence / unknown producer in the middle", code, unknownProducer, "NONE"],
    ["produce, idempotence / unknown producer goes on", code, unknownProducer, "NONE"],
    ["produce, idempotence / unknown producer jumps", code, unknownProducer, "OUT_OF_ORDER_SEQUENCE_NUMBER"],
    ["produce, idempotence / last sequence there is", code, unknownProducer, "NONE"],
    ["produce, idempotence / unknown producer *", "baseOffset", -1, any],
    ["produce, idempotence / last sequence there is", "baseOffset", -1, 0],
  ),
  ...because("what was asked is answered, be it empty", [
    "produce, acks and versions / a topic without partitions",
    "responses",
    any,
    [],
  ]),
  ...because(
    "two copies were asked for and there is one: Kafka wants no more copies than there are replicas",
    [`${settings} two replicas wanted, acks -1`, code, "NOT_ENOUGH_REPLICAS", "NONE"],
    [`${settings} two replicas wanted, acks -1`, "baseOffset", -1, 2],
  ),
  ...because("times are judged by the header of a batch, so the batch is refused as a whole", [
    `${settings} timestamps too *`,
    "recordErrors",
    [],
    any,
  ]),
  ...because(
    "a hub's clock may be the wrong one (no battery, no network yet): by default no time is too new",
    [`${settings} an hour ahead is too new by default`, code, "NONE", "INVALID_TIMESTAMP"],
    [`${settings} an hour ahead is too new by default`, "baseOffset", 0, -1],
    [`${settings} an hour ahead is too new by default`, "recordErrors", [], any],
  ),
  ...because(
    "values that no client sends, taken for the nearest that has a meaning",
    ["fetch / isolation level 2", code, "NONE", unexpected],
    ["fetch / isolation level 2", "*", any, any],
    ["fetch / * max bytes -1", code, "NONE", unexpected],
    ["fetch / max bytes -1", code, "NONE", unexpected],
    ["fetch / *max bytes -1", "*", any, any],
    ["fetch, sessions / negative epoch", code, "NONE", "FETCH_SESSION_ID_NOT_FOUND"],
  ),
  ...because(
    "an epoch below the leader's is an old one, be it negative; only -1 says none",
    ["fetch / current leader epoch -5", code, "FENCED_LEADER_EPOCH", "NONE"],
    ["fetch / current leader epoch -5", "*", any, any],
  ),
  ...because("each question of a place is answered on its own; Kafka refuses both", [
    "list offsets / a partition twice",
    "topics[0].partitions",
    any,
    any,
  ]),
  ...because("operations on what is not there are not told", [
    "metadata / a page",
    "topics[1].topicAuthorizedOperations",
    -2_147_483_648,
    3576,
  ]),
  ...because(
    "one question without a name or id spoils its own answer, not the whole",
    ["metadata / by neither", "topics[0].errorCode", "UNKNOWN_TOPIC_ID", unexpected],
    ["metadata / by neither", "*", any, any],
  ),
  ...because("a refusal still says which cluster this is", ["metadata / cluster's *", "*", any, any]),
  ...because("one refusal of the whole request says it", [
    "operators / elections of type 2",
    "replicaElectionResults",
    [],
    any,
  ]),
  ...because("num.partitions is 4 by default: a hub is there to be read in parallel", [
    "topics, create / defaults",
    "[0].numPartitions",
    4,
    1,
  ]),
  ...because(
    "names that begin with __ are the hub's own",
    ['topics, create / name "__mine"', "[0].errorCode", "INVALID_TOPIC_EXCEPTION", "NONE"],
    ['topics, create / name "__mine"', "*", any, any],
  ),
  ...because(
    "an empty name is no group's: KIP-289 ends it for offsets, and a hub never had it",
    ["groups, a life / an empty name described", "groups[0].errorCode", "INVALID_GROUP_ID", "GROUP_ID_NOT_FOUND"],
    ["groups, a life / a group with members is not deleted", "results[0].errorCode", "INVALID_GROUP_ID", any],
    ["groups, offsets / empty group id", "topics[0].partitions[0].errorCode", "INVALID_GROUP_ID", "NONE"],
  ),
  ...because("no reader can go on at a place below 0", [
    "groups, offsets / negative offset",
    "topics[0].partitions[0].errorCode",
    "INVALID_REQUEST",
    "NONE",
  ]),
  ...because("a known partition says where its log begins, also to a producer that is fenced or unannounced", [
    "transactions, *",
    "logStartOffset",
    0,
    -1,
  ]),
  ...because("a transaction that is over has no start", [
    "transactions, version 1 / described, over",
    "transactionStates[0].transactionStartTimeMs",
    -1,
    "a time",
  ]),
  ...because("offsets that wait for the end of a transaction make no group yet; both codes end the transaction", [
    "transactions, version 2 / offsets of *",
    "topics[0].partitions[0].errorCode",
    "ILLEGAL_GENERATION",
    "UNKNOWN_MEMBER_ID",
  ]),
  ...because("the transactional id is looked at in each request; Kafka trusts a producer that is in already", [
    "transactions, version 2 / offsets of an unknown transaction",
    "topics[0].partitions[0].errorCode",
    "INVALID_PRODUCER_ID_MAPPING",
    "NONE",
  ]),
  ...because("smaller disks: a segment is what retention can remove", [
    "settings / topic setting segment.bytes",
    "value",
    "134217728",
    "1073741824",
  ]),
  ...because("a hub's clock may be the wrong one (no battery, no network yet): by default no time is too new", [
    "settings / topic setting message.timestamp.after.max.ms",
    "value",
    "9223372036854775807",
    "3600000",
  ]),
  ...because("Kafka sets it for the cluster when it has eligible leader replicas; a hub has none", [
    "settings / topic setting min.insync.replicas",
    "configSource",
    5,
    3,
  ]),
  ...because(
    "settings that only a hub has",
    ["settings / topic setting corrupt.read", "", any, "nothing"],
    ["settings / topic setting log.fsync", "", any, "nothing"],
    ["settings / topic setting retention.pin", "", any, "nothing"],
  ),
  ...because("assignments are made at once, not in intervals", [
    "settings / group setting consumer.assignment.interval.ms",
    "",
    "nothing",
    "1000",
  ]),
  ...because("a name that no setting bears is a mistake, also where it is to be removed", [
    "settings / delete an unknown one",
    "responses[0].errorCode",
    "INVALID_CONFIG",
    "NONE",
  ]),
  ...because("an operation that is not known is the client's mistake", [
    "settings / a bad operation",
    "responses[0].errorCode",
    "INVALID_REQUEST",
    unexpected,
  ]),
  ...because("the first epoch of a group is 1; Kafka counts its making as one", [
    "consumer groups / *",
    "memberEpoch",
    1,
    2,
  ]),
  ...because("assignments are made at once, so no group is seen before its own", [
    "consumer groups / described",
    "[2].groupState",
    "Reconciling",
    "Assigning",
  ]),
  ...because("a refused deletion by name tells the id as well", ["topics, delete / twice", "*", any, any]),
];
