// Appends batches under identities that the caller keeps, so that one that may be in the log already is not doubled.
import { errorNameOf, HubError } from "../errors.ts";
import type { ErrorName } from "../errors.ts";
import { limits } from "../limits.ts";
import { encodeBatch } from "../record/builder.ts";
import type { Appender, Identity, OutRecord, TopicPartition } from "./faces.ts";
import { choosePartition } from "./partitioner.ts";
import { mustBeNone, retrying, type Routes } from "./routes.ts";

/** The broker answers within its own timeout; the connection waits a little longer. */
const graceMs = 5_000;
/** The field must hold something a broker accepts. */
const transactionTimeoutMs = 60_000;

/** No second batch bears the epoch of an identity, and its next one comes after this one: a log that says so has it. */
export const saysItIsThere: ReadonlySet<ErrorName> = new Set<ErrorName>([
  "DUPLICATE_SEQUENCE_NUMBER",
  "INVALID_PRODUCER_EPOCH",
]);

export function openAppender(routes: Routes): Appender {
  return new RoutedAppender(routes);
}

class RoutedAppender implements Appender {
  readonly #routes: Routes;

  constructor(routes: Routes) {
    this.#routes = routes;
  }

  identity(): Promise<Identity> {
    return retrying(this.#routes.clock, async () => {
      const connection = await this.#routes.any();
      const reply = await connection.call("initProducerId", { transactionalId: null, transactionTimeoutMs });
      mustBeNone(reply.errorCode, "producer id");
      return { producerId: reply.producerId, producerEpoch: reply.producerEpoch };
    });
  }

  async partitionOf(topic: string, { key, partition }: OutRecord): Promise<number> {
    if (this.#routes.isStale(topic) || this.#routes.topic(topic) === undefined) await this.#find(topic);
    return partition ?? choosePartition(key, this.#routes.topic(topic)!.leaders.length, 0);
  }

  #find(topic: string): Promise<void> {
    return retrying(this.#routes.clock, async () => {
      await this.#routes.refresh([topic], true);
      if ((this.#routes.topic(topic)?.leaders.length ?? 0) > 0) return;
      const kind = this.#routes.problem(topic) ?? "UNKNOWN_TOPIC_OR_PARTITION";
      throw new HubError(kind, `topic ${topic} is not there and was not created: ${kind}`);
    });
  }

  append(at: TopicPartition, identity: Identity, records: readonly OutRecord[]): Promise<void> {
    let isFirst = true;
    return retrying(this.#routes.clock, async () => {
      const { topic, partition } = at;
      if (!isFirst || this.#routes.topic(topic) === undefined) await this.#routes.refresh([topic], true);
      isFirst = false;
      await this.#once(at, identity, records, await this.#routes.leader(topic, partition));
    });
  }

  async #once(
    { topic, partition }: TopicPartition,
    identity: Identity,
    records: readonly OutRecord[],
    connection: Awaited<ReturnType<Routes["leader"]>>,
  ): Promise<void> {
    // encoded for each attempt: a hub in the same process writes into what it is given
    const batch = encodeBatch(records, { ...identity, baseSequence: 0 }, this.#routes.clock.wall());
    const timeoutMs = limits.appenderAttemptMsMax;
    const topicData = [{ name: topic, partitionData: [{ index: partition, records: batch }] }];
    const reply = await connection.call("produce", { acks: -1, timeoutMs, topicData }, timeoutMs + graceMs);
    const answer = reply.responses[0]?.partitionResponses[0];
    if (answer === undefined) throw new HubError("NETWORK_EXCEPTION", "the hub did not answer for the partition");
    if (saysItIsThere.has(errorNameOf(answer.errorCode))) return;
    mustBeNone(answer.errorCode, `${topic}-${partition}`, answer.errorMessage);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
