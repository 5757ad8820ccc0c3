// A dispatch that keeps batches in arrays and checks sequences as Kafka does, and fails where a test's script says so.
import type { LocalDispatch } from "../../../hub/client/local.ts";
import { codeOf } from "../../../hub/errors.ts";
import type { ErrorName } from "../../../hub/errors.ts";
import { checkBatch, setBaseOffsetAndEpoch } from "../../../hub/record/batch.ts";
import { decodeRecords } from "../../../hub/record/record.ts";
import type { RequestOf, ResponseOf } from "../../../hub/wire/apis.ts";

/** What happens to one partition of a produce request; "lost" appends, and the answer says REQUEST_TIMED_OUT. */
export type Fate = ErrorName | "append" | "lost";

export interface ScriptedHub {
  readonly dispatch: LocalDispatch;
  /** Values in the log of a partition, as text. */
  values(topic: string, partition: number): string[];
  readonly produceCalls: RequestOf<"produce">[];
  /** Producer ids given out. */
  readonly identities: number[];
  /** Asked for each partition of each produce request; "append" when left out. */
  fate: (topic: string, partition: number, values: readonly string[]) => Fate;
  /** Partition counts by topic; a topic that is not here does not exist. */
  readonly topics: Map<string, number>;
  /** Whether a question for a missing topic creates it. */
  create: boolean;
  /** What metadata say. */
  address: { host: string; port: number };
  /** Answers initProducerId with this error, when set. */
  identityError: ErrorName | null;
}

interface Stored {
  readonly records: string[];
  next: number;
  /** Next sequence by producer id, with the offset of the last five batches by their first sequence. */
  readonly sequences: Map<number, { next: number; recent: Map<number, number> }>;
}

const decoder = new TextDecoder();

export function scriptedHub(): ScriptedHub {
  const stored = new Map<string, Stored>();
  const hub: ScriptedHub = {
    dispatch: (async (api: string, request: never): Promise<unknown> => {
      // As in the hub: what a request does, it does within the call.
      if (api === "metadata") return metadata(hub, request);
      if (api === "initProducerId") return initProducerId(hub);
      if (api === "produce") return produce(hub, stored, request);
      throw new Error(`${api} is not in the script`);
    }) as unknown as LocalDispatch,
    values: (topic, partition) => stored.get(`${topic}-${partition}`)?.records ?? [],
    produceCalls: [],
    identities: [],
    fate: () => "append",
    topics: new Map(),
    create: false,
    address: { host: "scripted", port: 1 },
    identityError: null,
  };
  return hub;
}

function metadata(hub: ScriptedHub, request: RequestOf<"metadata">): ResponseOf<"metadata"> {
  const topics = (request.topics ?? []).map(({ name }) => {
    if (name === "bad name") return { errorCode: codeOf("INVALID_TOPIC_EXCEPTION"), name, partitions: [] };
    if (!hub.topics.has(name!) && hub.create && request.allowAutoTopicCreation) hub.topics.set(name!, 2);
    const count = hub.topics.get(name!);
    if (count === undefined) return { errorCode: codeOf("UNKNOWN_TOPIC_OR_PARTITION"), name, partitions: [] };
    const partitions = Array.from({ length: count }, (_, partitionIndex) => {
      return { errorCode: 0, partitionIndex, leaderId: 1, replicaNodes: [1], isrNodes: [1] };
    });
    return { errorCode: 0, name, partitions };
  });
  return { brokers: [{ nodeId: 1, ...hub.address }], controllerId: 1, topics };
}

function initProducerId(hub: ScriptedHub): ResponseOf<"initProducerId"> {
  if (hub.identityError !== null) return { throttleTimeMs: 0, errorCode: codeOf(hub.identityError), producerEpoch: 0 };
  hub.identities.push(100 + hub.identities.length);
  return { throttleTimeMs: 0, errorCode: 0, producerId: hub.identities.at(-1)!, producerEpoch: 0 };
}

function produce(
  hub: ScriptedHub,
  stored: Map<string, Stored>,
  request: RequestOf<"produce">,
): ResponseOf<"produce"> | null {
  hub.produceCalls.push(request);
  const responses = request.topicData.map(({ name, partitionData }) => ({
    name,
    partitionResponses: partitionData.map(({ index, records }) => {
      const values = decodeRecords(records!).map(({ value }) => decoder.decode(value!));
      const fate = hub.fate(name, index, values);
      if (fate !== "append" && fate !== "lost") return { index, errorCode: codeOf(fate), baseOffset: -1 };
      const result = append(stored, `${name}-${index}`, records!, values);
      if (fate === "lost" && result.errorCode === 0)
        return { index, errorCode: codeOf("REQUEST_TIMED_OUT"), baseOffset: -1 };
      return { index, ...result };
    }),
  }));
  return request.acks === 0 ? null : { responses };
}

function append(
  stored: Map<string, Stored>,
  key: string,
  bytes: Uint8Array,
  values: readonly string[],
): { errorCode: number; baseOffset: number } {
  const log: Stored = stored.get(key) ?? { records: [], next: 0, sequences: new Map() };
  stored.set(key, log);
  const { producerId, baseSequence, count } = checkBatch(bytes);
  if (producerId >= 0) {
    const state = log.sequences.get(producerId) ?? { next: 0, recent: new Map<number, number>() };
    log.sequences.set(producerId, state);
    const doubled = state.recent.get(baseSequence);
    if (doubled !== undefined) return { errorCode: 0, baseOffset: doubled };
    if (baseSequence !== state.next) return { errorCode: codeOf("OUT_OF_ORDER_SEQUENCE_NUMBER"), baseOffset: -1 };
    state.next += count;
    state.recent.set(baseSequence, log.next);
    if (state.recent.size > 5) state.recent.delete([...state.recent.keys()][0]!);
  }
  const baseOffset = log.next;
  setBaseOffsetAndEpoch(bytes, baseOffset, 0);
  log.records.push(...values);
  log.next += count;
  return { errorCode: 0, baseOffset };
}
