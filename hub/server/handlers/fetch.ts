// Fetch (1): batches out, with long poll and sessions.
import { FetchSessions, tell, type Watched } from "../../engine/fetch_sessions.ts";
import type { Partition } from "../../engine/partitions.ts";
import type { FetchPlace } from "../../engine/waiting_room.ts";
import { codeOf, codeOfThrown, HubError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { abortedIn } from "../../log/log_transactions.ts";
import { batchSize, readBatchHeader } from "../../record/batch.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import type { HubServices, RequestContext } from "../services.ts";
import { checkLeaderEpoch, endOfEpoch } from "./epochs.ts";
import { replicaFetchHandler } from "./replica_fetch.ts";
import { currentLeader, nameIn, nodeEndpoints, topicIdsSince } from "./topic_ids.ts";

type Request = RequestOf<"fetch">;
type Response = ResponseOf<"fetch">;
type TopicAnswer = Response["responses"][number];
type Answer = TopicAnswer["partitions"][number];
type Wanted = Request["topics"][number]["partitions"][number];

type Aborted = NonNullable<Answer["abortedTransactions"]>[number];

/** One look at everything the request wants. */
interface Look {
  /** In the order of what is wanted. */
  readonly answers: readonly Answer[];
  readonly bytes: number;
  readonly failed: boolean;
  readonly places: FetchPlace[];
  /** `changes` of each place when it was looked at. */
  readonly changes: number[];
}

const nothing = new Uint8Array(0);
/** Isolation level of readers that want no records of open or aborted transactions (KIP-98). */
const readCommitted = 1;
/** Errors whose answer says who leads now (KIP-951). */
const misled: ReadonlySet<number> = new Set([codeOf("NOT_LEADER_OR_FOLLOWER"), codeOf("FENCED_LEADER_EPOCH")]);
/** How long a fetch waits that finds no room to wait in (or a hub that stops). */
const fullWaitMs = 50;
/** Steps of the golden ratio spread over any number of partitions, whatever order the client itself rotates by. */
const turnStep = 0.618_033_988_749_895;

export function fetchHandlers(services: HubServices) {
  let turn = 0;
  const sessions = sessionsOf(services);
  const replicaFetch = replicaFetchHandler(services);
  return {
    async fetch(request: Request, context: RequestContext): Promise<Response> {
      if (request.replicaId >= 0 || request.replicaState.replicaId >= 0) {
        return await replicaFetch(request, context);
      }
      const asked = sessions.ask(request, context.version >= topicIdsSince, services.clock.now());
      if (asked.error !== null) {
        return { throttleTimeMs: 0, errorCode: codeOf(asked.error), sessionId: 0, responses: [] };
      }
      const { watched } = asked;
      const answer = (look: Look): Response => answerOf(services, context, asked, look);
      const deadline = services.clock.now() + Math.min(request.maxWaitMs, limits.fetchWaitMsMax);
      const begin = turn;
      turn = (turn + turnStep) % 1;
      const { room } = services.partitions;
      let gone = false;
      for (;;) {
        const look = await lookAt(services, context, request, watched, begin);
        const left = deadline - services.clock.now();
        const enough = look.failed || look.bytes >= request.minBytes || look.places.length === 0;
        if (enough || left < 1 || gone) return answer(look);
        if (room.full) {
          // Never at once: a client in this process would ask again in the same turn, and nothing else would run.
          await new Promise<void>((resolve) => void services.clock.after(Math.min(left, fullWaitMs), resolve));
          return answer(look);
        }
        // A read from the disk takes its time: what became readable meanwhile wakes nobody who parks after it.
        if (look.places.some((place, i) => place.changes !== look.changes[i])) continue;
        const { woken, leave } = room.park(look.places, request.minBytes - look.bytes, left);
        context.onGone?.(() => {
          gone = true;
          leave();
        });
        await woken;
        context.onGone?.(null);
      }
    },
  };
}

function sessionsOf(services: HubServices): FetchSessions {
  const slots = () => Number(services.settings.get("max.incremental.fetch.session.cache.slots") ?? 1000);
  const newId = (): number => {
    const bytes = services.random.bytes(4);
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) & 0x7fff_ffff || 1;
  };
  return new FetchSessions(slots, newId);
}

type Accepted = Extract<ReturnType<FetchSessions["ask"]>, { readonly error: null }>;

/** Session id 0 tells the client that nothing is remembered and its next fetch is a full one (KIP-227). */
function answerOf(services: HubServices, context: RequestContext, asked: Accepted, look: Look): Response {
  const { session, incremental, watched } = asked;
  const topics = new Map<string, TopicAnswer & { readonly partitions: Answer[] }>();
  const leaders: Answer["currentLeader"][] = [];
  for (let i = 0; i < watched.length; i++) {
    const one = look.answers[i]!;
    if (session !== null) {
      const { errorCode, highWatermark, logStartOffset: logStart = -1, divergingEpoch } = one;
      const bytes = (one.records as Uint8Array | null)?.length ?? 0;
      const news = tell(watched[i]!, { errorCode, highWatermark, logStart, bytes });
      if (incremental && !news && divergingEpoch === undefined) continue;
    }
    const { topic, topicId } = watched[i]!;
    const key = topic === "" ? topicId : topic;
    const known = topics.get(key);
    if (known === undefined) topics.set(key, { topic, topicId, partitions: [one] });
    else known.partitions.push(one);
    if (one.currentLeader !== undefined) leaders.push(one.currentLeader);
  }
  return {
    throttleTimeMs: 0,
    errorCode: 0,
    sessionId: session?.id ?? 0,
    responses: [...topics.values()],
    nodeEndpoints: nodeEndpoints(services, context, leaders),
  };
}

/**
 * Reads what is wanted, up to the request's bytes. `turn` in 0..1 says with which partition to begin: when not all fit,
 * each comes first at some time, so that none starves behind a busy one. The answer keeps the request's order.
 */
async function lookAt(
  services: HubServices,
  context: RequestContext,
  request: Request,
  watched: readonly Watched[],
  turn: number,
): Promise<Look> {
  const bytesMax = Math.min(Math.max(request.maxBytes, 0), limits.fetchBytesMax);
  const byId = context.version >= topicIdsSince;
  const allowed = askedOnce(context.mayRead);
  const places: FetchPlace[] = [];
  const changes: number[] = [];
  let bytes = 0;
  let failed = false;
  const answers = new Array<Answer>(watched.length);
  const first = Math.floor(turn * watched.length);
  for (let i = 0; i < watched.length; i++) {
    const at = (first + i) % watched.length;
    const { topic, topicId, wanted } = watched[at]!;
    const name = nameIn(services, byId, topic, topicId);
    const partition = name === null ? undefined : services.partitions.get(name, wanted.partition);
    try {
      if (name === null) throw new HubError("UNKNOWN_TOPIC_ID");
      if (!allowed(name)) throw new HubError("TOPIC_AUTHORIZATION_FAILED");
      if (!partition) throw notHere(services, name, wanted.partition);
      if (!partition.leads) throw new HubError("NOT_LEADER_OR_FOLLOWER");
      checkLeaderEpoch(partition, wanted.currentLeaderEpoch);
      const place = request.isolationLevel === readCommitted ? partition.stablePlace : partition.place;
      places.push(place);
      changes.push(place.changes);
      const divergingEpoch = divergence(partition, wanted);
      const room = Math.min(wanted.partitionMaxBytes, bytesMax - bytes);
      const limit = request.isolationLevel === readCommitted ? partition.lastStable : partition.highWatermark;
      const read = divergingEpoch ? nothing : readPartition(partition, wanted, room, bytes === 0, limit);
      const records = read instanceof Promise ? await read : read;
      bytes += records.length;
      const one = partitionAnswer(partition, wanted, records, request.isolationLevel);
      answers[at] = divergingEpoch ? { ...one, divergingEpoch } : one;
      if (divergingEpoch) failed = true;
    } catch (error) {
      if (partition?.log.repairing && isCorrupt(error)) {
        // a replica has it: the place is disturbed when it is here, or when nobody could deliver it
        answers[at] = partitionAnswer(partition, wanted, nothing, request.isolationLevel);
        continue;
      }
      failed = true;
      const one = refusal(wanted.partition, error);
      const leader = misled.has(one.errorCode) ? currentLeader(services, name, wanted.partition) : undefined;
      answers[at] = leader ? { ...one, currentLeader: leader } : one;
    }
  }
  return { answers, bytes, failed, places, changes };
}

function isCorrupt(error: unknown): boolean {
  return error instanceof HubError && error.kind === "CORRUPT_MESSAGE";
}

/** Of a topic that is known here other hubs may have the partition. */
function notHere(services: HubServices, name: string, index: number): HubError {
  const known = services.partitions.topics.byName(name);
  const elsewhere = known !== undefined && index >= 0 && index < known.partitions;
  return new HubError(elsewhere ? "NOT_LEADER_OR_FOLLOWER" : "UNKNOWN_TOPIC_OR_PARTITION");
}

/** Asks about each topic once a look: a session may watch thousands of partitions of a few. */
function askedOnce(mayRead: RequestContext["mayRead"]): (topic: string) => boolean {
  if (mayRead === undefined) return () => true;
  const told = new Map<string, boolean>();
  return (topic) => {
    const known = told.get(topic) ?? mayRead(topic);
    told.set(topic, known);
    return known;
  };
}

/**
 * Where the reader's log parts from this one, when it says which epoch it read last (KIP-595): it truncates then.
 * Throws OFFSET_OUT_OF_RANGE when this log knows no epoch that far back.
 */
function divergence(partition: Partition, wanted: Wanted): { epoch: number; endOffset: number } | null {
  if (wanted.lastFetchedEpoch < 0) return null;
  const end = endOfEpoch(partition, wanted.lastFetchedEpoch);
  if (end.endOffset < 0) throw new HubError("OFFSET_OUT_OF_RANGE", `epoch ${wanted.lastFetchedEpoch} is not known`);
  return end.epoch < wanted.lastFetchedEpoch || end.endOffset < wanted.fetchOffset ? end : null;
}

/** At least one whole batch for the first partition that has any (KIP-74); none when the request is full. */
function readPartition(
  partition: Partition,
  wanted: Wanted,
  room: number,
  first: boolean,
  limit: number,
): Uint8Array | Promise<Uint8Array> {
  const { log, highWatermark } = partition;
  if (wanted.fetchOffset === limit) return nothing;
  if (wanted.fetchOffset < log.logStart || wanted.fetchOffset > log.logEnd) {
    const range = `${log.logStart}..${highWatermark}`;
    throw new HubError("OFFSET_OUT_OF_RANGE", `${partition.topic}: offset ${wanted.fetchOffset} is not in ${range}`);
  }
  if (wanted.fetchOffset > limit) return nothing; // appended, not committed yet
  if (room <= 0 && !first) return nothing;
  const read = log.read(wanted.fetchOffset, Math.max(1, room), limit);
  if (first) return read;
  const bounded = (bytes: Uint8Array): Uint8Array => (bytes.length > room ? nothing : bytes);
  return read instanceof Promise ? read.then(bounded) : bounded(read);
}

function partitionAnswer(partition: Partition, wanted: Wanted, records: Uint8Array, isolation: number): Answer {
  return {
    partitionIndex: wanted.partition,
    errorCode: 0,
    highWatermark: partition.highWatermark,
    lastStableOffset: partition.lastStable,
    logStartOffset: partition.log.logStart,
    abortedTransactions: isolation === readCommitted ? abortedWithin(partition, wanted.fetchOffset, records) : null,
    preferredReadReplica: -1,
    records,
  };
}

/** The aborted transactions whose records the reader has to leave out of what it was given. */
function abortedWithin(partition: Partition, from: number, records: Uint8Array): Aborted[] {
  if (records.length === 0 || partition.log.producers.transactionsFrom < 0) return [];
  let last = 0;
  for (let at = 0; at < records.length; at += batchSize(records, at)) last = at;
  const end = readBatchHeader(records, last).lastOffset + 1;
  return abortedIn(partition.log, from, end).map(({ producerId, firstOffset }) => ({ producerId, firstOffset }));
}

function refusal(partitionIndex: number, error: unknown): Answer {
  const errorCode = codeOfThrown(error);
  return {
    partitionIndex,
    errorCode,
    highWatermark: -1,
    lastStableOffset: -1,
    logStartOffset: -1,
    abortedTransactions: null,
    preferredReadReplica: -1,
    records: nothing,
  };
}
