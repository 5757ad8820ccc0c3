// Short forms of the requests that tests of broker semantics send over and over.
import assert from "node:assert/strict";
import { codeOf, type ErrorName } from "../../hub/errors.ts";
import { encodeBatch } from "../../hub/record/builder.ts";
import type { WireClient } from "./wire_client.ts";

/** Fails with both names when the answer bears another code. */
export function is(answer: { readonly errorCode: number }, name: ErrorName): void {
  assert.equal(answer.errorCode, codeOf(name), `wanted ${name}`);
}

export async function makeTopic(
  wire: WireClient,
  name: string,
  partitions = 1,
  settings: Readonly<Record<string, string>> = {},
) {
  const configs = Object.entries(settings).map(([key, value]) => ({ name: key, value }));
  const wanted = { name, numPartitions: partitions, replicationFactor: 1, assignments: [], configs };
  return (await wire.call("createTopics", 7, { topics: [wanted], timeoutMs: 10_000 })).topics[0]!;
}

export async function dropTopic(wire: WireClient, name: string) {
  const reply = await wire.call("deleteTopics", 6, { topics: [{ name }], timeoutMs: 10_000 });
  return reply.responses[0]!;
}

/** A batch of one record of `size` bytes. */
export function batchOf(size: number, producer: Parameters<typeof encodeBatch>[1] = {}): Uint8Array {
  return encodeBatch([{ key: null, value: new Uint8Array(size), headers: [], timestamp: Date.now() }], producer);
}

export async function produce(
  wire: WireClient,
  topic: string,
  records: Uint8Array,
  options: { readonly acks?: number; readonly index?: number; readonly timeoutMs?: number } = {},
) {
  const { acks = -1, index = 0, timeoutMs = 10_000 } = options;
  const topicData = [{ name: topic, partitionData: [{ index, records }] }];
  const { responses } = await wire.call("produce", 9, { acks, timeoutMs, topicData });
  return responses[0]!.partitionResponses[0]!;
}

export interface FetchAsk {
  readonly topic: string;
  readonly partitions?: readonly number[];
  readonly offset?: number;
  readonly maxBytes?: number;
  readonly partitionMaxBytes?: number;
  readonly minBytes?: number;
  readonly maxWaitMs?: number;
  readonly isolationLevel?: number;
  readonly sessionEpoch?: number;
}

/** The whole answer; see `fetch` for its first partition. */
export function fetchAll(wire: WireClient, ask: FetchAsk) {
  const { maxBytes = 1 << 20, minBytes = 1, maxWaitMs = 0, partitionMaxBytes = 1 << 20, offset = 0 } = ask;
  const { isolationLevel = 0, sessionEpoch = -1 } = ask;
  const partitions = (ask.partitions ?? [0]).map((partition) => ({
    partition,
    fetchOffset: offset,
    partitionMaxBytes,
  }));
  const topics = [{ topic: ask.topic, partitions }];
  const request = { maxWaitMs, minBytes, maxBytes, isolationLevel, sessionEpoch, topics };
  return wire.call("fetch", 12, request);
}

export async function fetch(wire: WireClient, ask: FetchAsk) {
  return (await fetchAll(wire, ask)).responses[0]!.partitions[0]!;
}
