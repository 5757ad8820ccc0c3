// Produce (0) and InitProducerId (22): batches in.
import { KeylessRecords } from "../../engine/admission.ts";
import type { Partition, Written } from "../../engine/partitions.ts";
import { codeOf, codeOfThrown, HubError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import type { RequestOf, ResponseOf } from "../../wire/apis.ts";
import { isInternalName } from "../../engine/topics.ts";
import type { HubServices, RequestContext } from "../services.ts";
import { currentLeader, nameIn, nodeEndpoints, topicIdsSince } from "./topic_ids.ts";

type Request = RequestOf<"produce">;
type Response = ResponseOf<"produce">;
type PartitionAnswer = Response["responses"][number]["partitionResponses"][number];

/** zstd came with Produce v7 (KIP-110). */
const zstdSince = 7;
const zstd = 4;

/** One batch of the request: where it went, or why not. */
interface Slot {
  readonly partition: Partition | null;
  readonly written: Written | null;
  answer: PartitionAnswer;
}

export function produceHandlers(services: HubServices) {
  return {
    async produce(request: Request, context: RequestContext): Promise<Response | null> {
      const { acks } = request;
      if (acks !== 0 && acks !== 1 && acks !== -1) return refuseAll(request, new HubError("INVALID_REQUIRED_ACKS"));
      const deadline = services.clock.now() + Math.min(request.timeoutMs, limits.produceTimeoutMsMax);
      const turn = services.partitions.enter();
      if (turn !== null && !(await within(services, turn, deadline))) {
        const late = new HubError("REQUEST_TIMED_OUT", `The disk took nothing more within ${request.timeoutMs} ms`);
        if (acks === 0) throw late;
        return refuseAll(request, late);
      }
      const topics = request.topicData.map(({ name, topicId, partitionData }) => {
        const known = nameIn(services, context.version >= topicIdsSince, name, topicId);
        const slots = partitionData.map((data) => write(services, request, known, data, context.version));
        return { name, topicId, known, slots };
      });
      const slots = topics.flatMap((topic) => topic.slots);
      if (acks === 0) {
        const failed = slots.find((slot) => slot.answer.errorCode !== 0);
        // No response exists for acks=0, so an error can only be told by closing the connection.
        if (failed) throw new HubError("INVALID_REQUEST", `acks=0 produce failed with ${failed.answer.errorCode}`);
        return null;
      }
      await committed(services, slots, acks, deadline - services.clock.now());
      const responses = topics.map(({ name, topicId, known, slots }) => {
        const partitionResponses = slots.map(({ answer }) => withLeader(services, known, answer));
        return { name, topicId, partitionResponses };
      });
      const leaders = responses.flatMap((topic) => topic.partitionResponses.map((one) => one.currentLeader));
      return { responses, throttleTimeMs: 0, nodeEndpoints: nodeEndpoints(services, context, leaders) };
    },

    initProducerId(request: RequestOf<"initProducerId">): ResponseOf<"initProducerId"> {
      if (request.transactionalId !== null) {
        const errorCode = new HubError("TRANSACTIONAL_ID_AUTHORIZATION_FAILED").code;
        return { throttleTimeMs: 0, errorCode, producerId: -1, producerEpoch: -1 };
      }
      return { throttleTimeMs: 0, errorCode: 0, producerId: newProducerId(services), producerEpoch: 0 };
    },
  };
}

/** 52 random bits: a counter would hand the same id out twice after a rollback (replication.md 2.11). */
export function newProducerId(services: Pick<HubServices, "random">): number {
  const bytes = services.random.bytes(8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  return view.getUint32(0) + (view.getUint32(4) & 0xfffff) * 2 ** 32;
}

function write(
  services: HubServices,
  request: Request,
  topic: string | null,
  data: Request["topicData"][number]["partitionData"][number],
  version: number,
): Slot {
  try {
    if (topic === null) throw new HubError("UNKNOWN_TOPIC_ID");
    if (isInternalName(topic)) throw new HubError("INVALID_TOPIC_EXCEPTION", `${topic} is internal`);
    const partition = services.partitions.must(topic, data.index);
    const batch = data.records;
    if (batch === null || batch.length === 0) throw new HubError("INVALID_RECORD", "A produce without a batch");
    if (version < zstdSince && batch.length > 22 && (batch[22]! & 7) === zstd) {
      throw new HubError("UNSUPPORTED_COMPRESSION_TYPE", "zstd needs Produce v7 or newer");
    }
    const written = services.partitions.append(partition, batch, request.acks);
    const answer = {
      index: data.index,
      errorCode: 0,
      baseOffset: written.baseOffset,
      logAppendTimeMs: written.logAppendTime,
      logStartOffset: written.logStart,
      recordErrors: [],
      errorMessage: null,
    };
    return { partition, written, answer };
  } catch (error) {
    return { partition: null, written: null, answer: refusal(data.index, error) };
  }
}

/** Who came to the wrong hub is told where to go (KIP-951). */
function withLeader(services: HubServices, topic: string | null, answer: PartitionAnswer): PartitionAnswer {
  if (answer.errorCode !== codeOf("NOT_LEADER_OR_FOLLOWER")) return answer;
  const leader = currentLeader(services, topic, answer.index);
  return leader ? { ...answer, currentLeader: leader } : answer;
}

function refusal(index: number, error: unknown): PartitionAnswer {
  const message = error instanceof Error ? error.message : String(error);
  const keyless = error instanceof KeylessRecords ? error.recordIndexes : [];
  return {
    index,
    errorCode: codeOfThrown(error),
    baseOffset: -1,
    logAppendTimeMs: -1,
    logStartOffset: -1,
    recordErrors: keyless.map((batchIndex) => ({ batchIndex, batchIndexErrorMessage: "a record without a key" })),
    errorMessage: message,
  };
}

function refuseAll(request: Request, error: HubError): Response {
  return {
    responses: request.topicData.map((topic) => ({
      name: topic.name,
      topicId: topic.topicId,
      partitionResponses: topic.partitionData.map((data) => refusal(data.index, error)),
    })),
    throttleTimeMs: 0,
  };
}

/** False when the deadline comes before the turn. */
function within(services: HubServices, turn: Promise<void>, deadline: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = services.clock.after(Math.max(1, deadline - services.clock.now()), () => resolve(false));
    void turn.then(() => {
      timer.cancel();
      resolve(true);
    });
  });
}

/** Resolves when every slot is committed or refused, or at the request's deadline: what waits then timed out. */
function committed(services: HubServices, slots: readonly Slot[], acks: number, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    let waiting = 1;
    const settle = (): void => {
      if (--waiting > 0) return;
      timer?.cancel();
      resolve();
    };
    let timedOut = false;
    const open = new Set<Slot>();
    for (const slot of slots) {
      const { partition, written } = slot;
      if (!partition || !written) continue;
      waiting++;
      open.add(slot);
      services.partitions.whenCommitted(partition, written, acks, (error) => {
        if (timedOut) return;
        open.delete(slot);
        if (error) slot.answer = refusal(slot.answer.index, error);
        settle();
      });
    }
    const timer =
      open.size === 0
        ? null
        : services.clock.after(Math.max(1, timeoutMs), () => {
            timedOut = true;
            const late = new HubError("REQUEST_TIMED_OUT", "Not committed within the request's time");
            for (const slot of open) slot.answer = refusal(slot.answer.index, late);
            resolve();
          });
    settle();
  });
}
