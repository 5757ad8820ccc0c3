// Fetch (1): batches out, with long poll.
import type { Partition } from "../../engine/partitions.ts";
import type { FetchPlace } from "../../engine/waiting_room.ts";
import { codeOf, codeOfThrown, HubError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import type { HubServices, RequestContext } from "../services.ts";
import { checkLeaderEpoch } from "./epochs.ts";

type Request = RequestOf<"fetch">;
type Response = ResponseOf<"fetch">;
type Answer = Response["responses"][number]["partitions"][number];
type Wanted = Request["topics"][number]["partitions"][number];

/** One look at everything the request wants. */
interface Look {
  readonly responses: Response["responses"];
  readonly bytes: number;
  readonly failed: boolean;
  readonly places: FetchPlace[];
  /** `changes` of each place when it was looked at. */
  readonly changes: number[];
}

const nothing = new Uint8Array(0);
const emptyLook: Look = { responses: [], bytes: 0, failed: false, places: [], changes: [] };
/** How long a fetch waits that finds no room to wait in (or a hub that stops). */
const fullWaitMs = 50;
/** Steps of the golden ratio spread over any number of partitions, whatever order the client itself rotates by. */
const turnStep = 0.618_033_988_749_895;

export function fetchHandlers(services: HubServices) {
  let turn = 0;
  return {
    async fetch(request: Request, context: RequestContext): Promise<Response> {
      if (request.replicaId >= 0) {
        // Only a hub principal may fetch as a replica: it moves the watermark (testing.md 4e, offset forging).
        throw new HubError("CLUSTER_AUTHORIZATION_FAILED", "A client may not fetch as a replica");
      }
      // No session is ever opened here, so one that goes on was opened elsewhere; the client starts anew (KIP-227).
      if (request.sessionEpoch > 0) return { ...answer(emptyLook), errorCode: codeOf("FETCH_SESSION_ID_NOT_FOUND") };
      const deadline = services.clock.now() + Math.min(request.maxWaitMs, limits.fetchWaitMsMax);
      const begin = turn;
      turn = (turn + turnStep) % 1;
      const { room } = services.partitions;
      let gone = false;
      for (;;) {
        const look = await lookAt(services, request, begin);
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

/** Session id 0 tells the client that nothing is cached and every fetch is a full one (KIP-227). */
function answer(look: Look): Response {
  return { throttleTimeMs: 0, errorCode: 0, sessionId: 0, responses: look.responses };
}

/**
 * Reads what is wanted, up to the request's bytes. `turn` in 0..1 says with which partition to begin: when not all fit,
 * each comes first at some time, so that none starves behind a busy one. The answer keeps the request's order.
 */
async function lookAt(services: HubServices, request: Request, turn: number): Promise<Look> {
  const bytesMax = Math.min(Math.max(request.maxBytes, 0), limits.fetchBytesMax);
  const places: FetchPlace[] = [];
  const changes: number[] = [];
  let bytes = 0;
  let failed = false;
  const responses = request.topics.map(({ topic }) => ({ topic, partitions: [] as Answer[] }));
  const all = request.topics.flatMap(({ partitions }, t) => partitions.map((wanted, p) => ({ wanted, t, p })));
  const first = Math.floor(turn * all.length);
  for (let i = 0; i < all.length; i++) {
    const { wanted, t, p } = all[(first + i) % all.length]!;
    const partition = services.partitions.get(responses[t]!.topic, wanted.partition);
    let one: Answer;
    try {
      if (!partition) throw new HubError("UNKNOWN_TOPIC_OR_PARTITION");
      checkLeaderEpoch(partition, wanted.currentLeaderEpoch);
      places.push(partition.place);
      changes.push(partition.place.changes);
      const room = Math.min(wanted.partitionMaxBytes, bytesMax - bytes);
      const read = readPartition(partition, wanted, room, bytes === 0);
      const records = read instanceof Promise ? await read : read;
      bytes += records.length;
      one = partitionAnswer(partition, wanted, records, request.isolationLevel);
    } catch (error) {
      failed = true;
      one = refusal(wanted.partition, error);
    }
    responses[t]!.partitions[p] = one;
  }
  return { responses, bytes, failed, places, changes };
}

/** At least one whole batch for the first partition that has any (KIP-74); none when the request is full. */
function readPartition(
  partition: Partition,
  wanted: Wanted,
  room: number,
  first: boolean,
): Uint8Array | Promise<Uint8Array> {
  const { log, highWatermark } = partition;
  if (wanted.fetchOffset === highWatermark) return nothing;
  if (wanted.fetchOffset < log.logStart || wanted.fetchOffset > log.logEnd) {
    const range = `${log.logStart}..${highWatermark}`;
    throw new HubError("OFFSET_OUT_OF_RANGE", `${partition.topic}: offset ${wanted.fetchOffset} is not in ${range}`);
  }
  if (wanted.fetchOffset > highWatermark) return nothing; // appended, not committed yet
  if (room <= 0 && !first) return nothing;
  const read = log.read(wanted.fetchOffset, Math.max(1, room), highWatermark);
  if (first) return read;
  const bounded = (bytes: Uint8Array): Uint8Array => (bytes.length > room ? nothing : bytes);
  return read instanceof Promise ? read.then(bounded) : bounded(read);
}

function partitionAnswer(partition: Partition, wanted: Wanted, records: Uint8Array, isolation: number): Answer {
  return {
    partitionIndex: wanted.partition,
    errorCode: 0,
    highWatermark: partition.highWatermark,
    lastStableOffset: partition.highWatermark,
    logStartOffset: partition.log.logStart,
    abortedTransactions: isolation === 1 ? [] : null,
    preferredReadReplica: -1,
    records,
  };
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
