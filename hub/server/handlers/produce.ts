// Produce (0): batches in.
import { KeylessRecords } from "../../engine/admission.ts";
import { keptTopic } from "../../engine/kept_topics.ts";
import type { Partition, Written } from "../../engine/partitions.ts";
import { appendTransactional } from "../../engine/transaction_entry.ts";
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
  written: Written | null;
  answer: PartitionAnswer;
  /** Not null while the transaction coordinator is asked whether the batch may come; never rejects. */
  gated: Promise<unknown> | null;
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
      const moving = handoversOf(services, request, context.version);
      if (moving.length > 0) await within(services, Promise.all(moving), deadline);
      const topics = request.topicData.map(({ name, topicId, partitionData }) => {
        const known = nameIn(services, context.version >= topicIdsSince, name, topicId);
        const slots = partitionData.map((data) => write(services, request, known, data, context));
        return { name, topicId, known, slots };
      });
      const slots = topics.flatMap((topic) => topic.slots);
      if (request.transactionalId !== null) await allEntered(services, slots, deadline);
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
  };
}

/** Leadership that is being handed over while this request comes: it waits, and is told who leads then. */
function handoversOf(services: HubServices, request: Request, version: number): Promise<void>[] {
  const found: Promise<void>[] = [];
  if (services.cluster.lone) return found;
  for (const { name, topicId, partitionData } of request.topicData) {
    const known = nameIn(services, version >= topicIdsSince, name, topicId);
    for (const { index } of known === null ? [] : partitionData) {
      const handover = services.partitions.get(known!, index)?.handover;
      if (handover) found.push(handover);
    }
  }
  return found;
}

function write(
  services: HubServices,
  request: Request,
  topic: string | null,
  data: Request["topicData"][number]["partitionData"][number],
  context: RequestContext,
): Slot {
  const { version } = context;
  let partition: Partition | null = null;
  try {
    if (topic === null) throw new HubError("UNKNOWN_TOPIC_ID");
    if (isInternalName(topic) && !mayKeep(topic, context))
      throw new HubError("INVALID_TOPIC_EXCEPTION", `${topic} is internal`);
    partition = services.partitions.must(topic, data.index);
    const batch = data.records;
    if (batch === null || batch.length === 0) throw new HubError("INVALID_RECORD", "A produce without a batch");
    if (version < zstdSince && batch.length > 22 && (batch[22]! & 7) === zstd) {
      throw new HubError("UNSUPPORTED_COMPRESSION_TYPE", "zstd needs Produce v7 or newer");
    }
    const { partitions, transactionGate } = services;
    const { acks, transactionalId } = request;
    if (transactionalId === null) return wroteAt(partition, data.index, partitions.append(partition, batch, acks));
    const claim = { transactionalId, version };
    const entry = appendTransactional(partitions, transactionGate, partition, batch, acks, claim);
    return entry instanceof Promise ? entering(partition, data.index, entry) : wroteAt(partition, data.index, entry);
  } catch (error) {
    return { partition: null, written: null, answer: refusal(data.index, error, partition), gated: null };
  }
}

/** The bridge's own topics take records of this hub's rooms and of other hubs. */
function mayKeep(topic: string, { inProcess, hub }: RequestContext): boolean {
  return (inProcess || hub !== undefined) && keptTopic(topic) !== undefined;
}

function wroteAt(partition: Partition, index: number, written: Written): Slot {
  const answer = {
    index,
    errorCode: 0,
    baseOffset: written.baseOffset,
    logAppendTimeMs: written.logAppendTime,
    logStartOffset: written.logStart,
    recordErrors: [],
    errorMessage: null,
  };
  return { partition, written, answer, gated: null };
}

/** A slot whose batch waits at the gate; the answer for now is that of a request whose time ran out. */
function entering(partition: Partition, index: number, entry: Promise<Written>): Slot {
  const late = new HubError(
    "REQUEST_TIMED_OUT",
    "The transaction coordinator did not answer within the request's time",
  );
  const slot: Slot = { partition, written: null, answer: refusal(index, late), gated: null };
  slot.gated = entry.then(
    (written) => Object.assign(slot, wroteAt(partition, index, written)),
    (error: unknown) => Object.assign(slot, { answer: refusal(index, error, partition), gated: null }),
  );
  return slot;
}

/** Resolves when no slot waits at the gate any more, or at the deadline. */
async function allEntered(services: HubServices, slots: readonly Slot[], deadline: number): Promise<void> {
  const waiting = slots.filter(({ gated }) => gated !== null).map(({ gated }) => gated);
  if (waiting.length > 0) await within(services, Promise.all(waiting), deadline);
}

/** Who came to the wrong hub is told where to go (KIP-951). */
function withLeader(services: HubServices, topic: string | null, answer: PartitionAnswer): PartitionAnswer {
  if (answer.errorCode !== codeOf("NOT_LEADER_OR_FOLLOWER")) return answer;
  const leader = currentLeader(services, topic, answer.index);
  return leader ? { ...answer, currentLeader: leader } : answer;
}

/**
 * @param partition that judged the batch. A producer that is not known (any more) is told where the log begins: without
 *   it the Java client sends the same batch until its time is up.
 */
function refusal(index: number, error: unknown, partition: Partition | null = null): PartitionAnswer {
  const message = error instanceof Error ? error.message : String(error);
  const keyless = error instanceof KeylessRecords ? error.recordIndexes : [];
  return {
    index,
    errorCode: codeOfThrown(error),
    baseOffset: -1,
    logAppendTimeMs: -1,
    logStartOffset: partition?.log.logStart ?? -1,
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
function within(services: HubServices, turn: Promise<unknown>, deadline: number): Promise<boolean> {
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
