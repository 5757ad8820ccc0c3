// Places in a log: ListOffsets (2), OffsetForLeaderEpoch (23), DeleteRecords (21).
import type { Partition, Partitions } from "../../engine/partitions.ts";
import { codeOfThrown, HubError } from "../../errors.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import type { HubServices, RequestContext } from "../services.ts";

/** Special times of ListOffsets (KIP-79, KIP-734, KIP-405, KIP-1005, KIP-1023). */
const Place = {
  Latest: -1,
  Earliest: -2,
  MaxTimestamp: -3,
  EarliestLocal: -4,
  LatestTiered: -5,
  EarliestPendingUpload: -6,
} as const;

/** The version from which on a place may be asked for; the others may always. */
const placeSince: Readonly<Record<number, number>> = { [-3]: 7, [-4]: 8, [-5]: 9, [-6]: 11 };

/** Throws FENCED_LEADER_EPOCH / UNKNOWN_LEADER_EPOCH when the client's epoch is not the leader's (KIP-320). */
export function checkLeaderEpoch(partition: Partition, epoch: number): void {
  if (epoch === -1 || epoch === partition.epoch) return;
  const detail = `${partition.topic}: epoch ${epoch}, the leader's is ${partition.epoch}`;
  throw new HubError(epoch < partition.epoch ? "FENCED_LEADER_EPOCH" : "UNKNOWN_LEADER_EPOCH", detail);
}

/**
 * Where the largest epoch up to this one ended; (-1, -1) when none is known, and for an epoch that is yet to come: who
 * read in it read from a log that is lost. An epoch counts before it writes.
 */
export function endOfEpoch(
  partition: Partition,
  epoch: number,
): { readonly epoch: number; readonly endOffset: number } {
  const { log } = partition;
  if (epoch > partition.epoch) return { epoch: -1, endOffset: -1 };
  return epoch === partition.epoch ? { epoch, endOffset: log.logEnd } : log.endOffsetForEpoch(epoch);
}

interface Found {
  readonly offset: number;
  readonly timestamp: number;
  readonly epoch: number;
}

/** @param end below it lies what the asker may read: the watermark, or the last stable offset (KIP-98) */
async function find(partition: Partition, time: number, version: number, end: number): Promise<Found> {
  const { log, epoch } = partition;
  if (version < (placeSince[time] ?? 0)) {
    throw new HubError("UNSUPPORTED_VERSION", `ListOffsets v${version} has no place ${time}`);
  }
  switch (time) {
    case Place.Latest:
      return { offset: end, timestamp: -1, epoch };
    case Place.Earliest:
    case Place.EarliestLocal:
      return { offset: log.logStart, timestamp: -1, epoch };
    case Place.LatestTiered:
    case Place.EarliestPendingUpload:
      // nothing of a log is kept elsewhere, nor waits to be
      return { offset: -1, timestamp: -1, epoch: -1 };
    case Place.MaxTimestamp:
      return (await log.maxTimestamp(end)) ?? { offset: -1, timestamp: -1, epoch: -1 };
    default:
      if (time < 0) throw new HubError("UNSUPPORTED_VERSION", `ListOffsets has no place ${time}`);
      return (await log.offsetForTime(time, end)) ?? { offset: -1, timestamp: -1, epoch: -1 };
  }
}

/**
 * A leader whose followers have not caught up yet does not know what was committed before it: an end that it named
 * could lie below one that was told already (KIP-207).
 */
function mustKnowEnd({ replica, topic }: Partition, time: number, version: number): void {
  const needsEnd = time >= 0 || time === Place.Latest || time === Place.MaxTimestamp;
  if (!needsEnd || replica.highWatermark >= replica.epochStart) return;
  const detail = `${topic}: the new leader has not caught up yet`;
  throw new HubError(version < 5 ? "LEADER_NOT_AVAILABLE" : "OFFSET_NOT_AVAILABLE", detail);
}

type Listed = ResponseOf<"listOffsets">["topics"][number]["partitions"][number];
type Ended = ResponseOf<"offsetForLeaderEpoch">["topics"][number]["partitions"][number];
type Deleted = ResponseOf<"deleteRecords">["topics"][number]["partitions"][number];

async function listOne(
  partitions: Partitions,
  topic: string,
  asked: RequestOf<"listOffsets">["topics"][number]["partitions"][number],
  version: number,
  isolation: number,
): Promise<Listed> {
  const { partitionIndex, currentLeaderEpoch, timestamp } = asked;
  try {
    const partition = partitions.mustLead(topic, partitionIndex);
    checkLeaderEpoch(partition, currentLeaderEpoch);
    mustKnowEnd(partition, timestamp, version);
    const end = isolation === 1 ? partition.lastStable : partition.highWatermark;
    const found = await find(partition, timestamp, version, end);
    return { partitionIndex, errorCode: 0, timestamp: found.timestamp, offset: found.offset, leaderEpoch: found.epoch };
  } catch (error) {
    return { partitionIndex, errorCode: codeOfThrown(error), timestamp: -1, offset: -1, leaderEpoch: -1 };
  }
}

function epochEnd(
  partitions: Partitions,
  topic: string,
  asked: RequestOf<"offsetForLeaderEpoch">["topics"][number]["partitions"][number],
): Ended {
  try {
    const partition = partitions.mustLead(topic, asked.partition);
    checkLeaderEpoch(partition, asked.currentLeaderEpoch);
    const { epoch, endOffset } = endOfEpoch(partition, asked.leaderEpoch);
    return { errorCode: 0, partition: asked.partition, leaderEpoch: epoch, endOffset };
  } catch (error) {
    return { errorCode: codeOfThrown(error), partition: asked.partition, leaderEpoch: -1, endOffset: -1 };
  }
}

async function deleteBefore(
  partitions: Partitions,
  topic: string,
  { partitionIndex, offset }: RequestOf<"deleteRecords">["topics"][number]["partitions"][number],
): Promise<Deleted> {
  try {
    const partition = partitions.mustLead(topic, partitionIndex);
    const { topics } = partitions;
    if (!topics.settingsOf(topics.byName(topic)!).text("cleanup.policy").includes("delete")) {
      throw new HubError("POLICY_VIOLATION", `${topic} is compacted, and nothing is deleted from it`);
    }
    const to = offset === -1 ? partition.highWatermark : offset;
    if (to < 0 || to > partition.highWatermark) {
      throw new HubError("OFFSET_OUT_OF_RANGE", `${to} is beyond the watermark ${partition.highWatermark}`);
    }
    await partition.log.deleteRecordsBefore(to);
    return { partitionIndex, lowWatermark: partition.log.logStart, errorCode: 0 };
  } catch (error) {
    return { partitionIndex, lowWatermark: -1, errorCode: codeOfThrown(error) };
  }
}

export function placeHandlers({ partitions }: HubServices) {
  return {
    async listOffsets(request: RequestOf<"listOffsets">, context: RequestContext): Promise<ResponseOf<"listOffsets">> {
      const topics = request.topics.map(async ({ name, partitions: asked }) => ({
        name,
        partitions: await Promise.all(
          asked.map((one) => listOne(partitions, name, one, context.version, request.isolationLevel)),
        ),
      }));
      return { throttleTimeMs: 0, topics: await Promise.all(topics) };
    },

    offsetForLeaderEpoch(request: RequestOf<"offsetForLeaderEpoch">): ResponseOf<"offsetForLeaderEpoch"> {
      const topics = request.topics.map(({ topic, partitions: asked }) => ({
        topic,
        partitions: asked.map((one) => epochEnd(partitions, topic, one)),
      }));
      return { throttleTimeMs: 0, topics };
    },

    async deleteRecords(request: RequestOf<"deleteRecords">): Promise<ResponseOf<"deleteRecords">> {
      const topics = request.topics.map(async ({ name, partitions: asked }) => ({
        name,
        partitions: await Promise.all(asked.map((one) => deleteBefore(partitions, name, one))),
      }));
      return { throttleTimeMs: 0, topics: await Promise.all(topics) };
    },
  };
}
