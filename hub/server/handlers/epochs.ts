// Places in a log: ListOffsets (2), OffsetForLeaderEpoch (23), DeleteRecords (21).
import type { Partition } from "../../engine/partitions.ts";
import { codeOfThrown, HubError } from "../../errors.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import type { HubServices, RequestContext } from "../services.ts";

/** Special times of ListOffsets (KIP-79, KIP-734, KIP-405). */
const Place = { Latest: -1, Earliest: -2, MaxTimestamp: -3, EarliestLocal: -4 } as const;

/** Throws FENCED_LEADER_EPOCH / UNKNOWN_LEADER_EPOCH when the client's epoch is not the leader's (KIP-320). */
export function checkLeaderEpoch(partition: Partition, epoch: number): void {
  if (epoch === -1 || epoch === partition.leader.epoch) return;
  const detail = `${partition.topic}: epoch ${epoch}, the leader's is ${partition.leader.epoch}`;
  throw new HubError(epoch < partition.leader.epoch ? "FENCED_LEADER_EPOCH" : "UNKNOWN_LEADER_EPOCH", detail);
}

interface Found {
  readonly offset: number;
  readonly timestamp: number;
  readonly epoch: number;
}

async function find(partition: Partition, time: number): Promise<Found> {
  const { log, leader, highWatermark } = partition;
  switch (time) {
    case Place.Latest:
      return { offset: highWatermark, timestamp: -1, epoch: leader.epoch };
    case Place.Earliest:
    case Place.EarliestLocal:
      return { offset: log.logStart, timestamp: -1, epoch: leader.epoch };
    case Place.MaxTimestamp:
      return (await log.maxTimestamp(highWatermark)) ?? { offset: -1, timestamp: -1, epoch: -1 };
    default:
      if (time < 0) throw new HubError("UNSUPPORTED_VERSION", `ListOffsets has no place ${time}`);
      return (await log.offsetForTime(time, highWatermark)) ?? { offset: -1, timestamp: -1, epoch: -1 };
  }
}

export function placeHandlers(services: HubServices) {
  const { partitions } = services;
  return {
    async listOffsets(request: RequestOf<"listOffsets">): Promise<ResponseOf<"listOffsets">> {
      const topics: ResponseOf<"listOffsets">["topics"][number][] = [];
      for (const topic of request.topics) {
        const answers: ResponseOf<"listOffsets">["topics"][number]["partitions"][number][] = [];
        for (const { partitionIndex, currentLeaderEpoch, timestamp } of topic.partitions) {
          try {
            const partition = partitions.must(topic.name, partitionIndex);
            checkLeaderEpoch(partition, currentLeaderEpoch);
            const found = await find(partition, timestamp);
            answers.push({
              partitionIndex,
              errorCode: 0,
              timestamp: found.timestamp,
              offset: found.offset,
              leaderEpoch: found.epoch,
            });
          } catch (error) {
            answers.push({
              partitionIndex,
              errorCode: codeOfThrown(error),
              timestamp: -1,
              offset: -1,
              leaderEpoch: -1,
            });
          }
        }
        topics.push({ name: topic.name, partitions: answers });
      }
      return { throttleTimeMs: 0, topics };
    },

    offsetForLeaderEpoch(request: RequestOf<"offsetForLeaderEpoch">): ResponseOf<"offsetForLeaderEpoch"> {
      return {
        throttleTimeMs: 0,
        topics: request.topics.map((topic) => ({
          topic: topic.topic,
          partitions: topic.partitions.map(({ partition: index, currentLeaderEpoch, leaderEpoch }) => {
            try {
              const partition = partitions.must(topic.topic, index);
              checkLeaderEpoch(partition, currentLeaderEpoch);
              const found = partition.log.endOffsetForEpoch(leaderEpoch);
              return { errorCode: 0, partition: index, leaderEpoch: found.epoch, endOffset: found.endOffset };
            } catch (error) {
              return { errorCode: codeOfThrown(error), partition: index, leaderEpoch: -1, endOffset: -1 };
            }
          }),
        })),
      };
    },

    async deleteRecords(
      request: RequestOf<"deleteRecords">,
      _context: RequestContext,
    ): Promise<ResponseOf<"deleteRecords">> {
      const topics: ResponseOf<"deleteRecords">["topics"][number][] = [];
      for (const topic of request.topics) {
        const answers: ResponseOf<"deleteRecords">["topics"][number]["partitions"][number][] = [];
        for (const { partitionIndex, offset } of topic.partitions) {
          try {
            const partition = partitions.must(topic.name, partitionIndex);
            const to = offset === -1 ? partition.highWatermark : offset;
            if (to < 0 || to > partition.highWatermark) {
              throw new HubError("OFFSET_OUT_OF_RANGE", `${to} is beyond the watermark ${partition.highWatermark}`);
            }
            await partition.log.deleteRecordsBefore(to);
            answers.push({ partitionIndex, lowWatermark: partition.log.logStart, errorCode: 0 });
          } catch (error) {
            answers.push({ partitionIndex, lowWatermark: -1, errorCode: codeOfThrown(error) });
          }
        }
        topics.push({ name: topic.name, partitions: answers });
      }
      return { throttleTimeMs: 0, topics };
    },
  };
}
