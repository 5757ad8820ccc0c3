// Where a scenario plays, on one side: its connections, and what each step was answered.
import { encodeBatch } from "../../../hub/record/builder.ts";
import type { NewRecord } from "../../../hub/record/record.ts";
import { type ApiName, type CallOf, encodeRequest, type ReplyOf } from "../../../hub/wire/apis.ts";
import { dialWire, type WireClient } from "../../tools/wire_client.ts";
import { errorName, Names, normal, type Plain } from "./normal.ts";

export interface Step {
  readonly name: string;
  readonly answer: Plain;
}

/** Plays the same on both sides; what it asks may depend on ids that it was answered, on nothing else. */
export type Play = (at: Stage) => Promise<void>;

export interface Scenario {
  readonly name: string;
  readonly play: Play;
}

/** Passing states of a broker that has just started or is just deciding: asked again, as every client does. */
const passing = ["COORDINATOR_LOAD_IN_PROGRESS", "COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR"];
const stepMsMax = 3_000;
/** After it a request counts as never answered. */
const answerMsMax = 4_000;
/** After it a scenario is over, wherever it is. */
const playMsMax = 20_000;
const encoder = new TextEncoder();

function codes(value: unknown): string[] {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    name === "errorCode" ? [errorName(inner as number)] : codes(inner),
  );
}

export const bytes = (text: string): Uint8Array => encoder.encode(text);

/** When all records were made, on both sides. */
export const began = Date.now() - 60_000;

/** A batch; strings are values, pairs are key and value; the n-th record was made n ms after `began`. */
export function batch(
  records: readonly (string | readonly [key: string | null, value: string | null])[],
  options: Parameters<typeof encodeBatch>[1] = {},
): Uint8Array {
  const of = (text: string | null): Uint8Array | null => (text === null ? null : bytes(text));
  const all: NewRecord[] = records.map((one, i) => {
    const [key, value] = typeof one === "string" ? [null, one] : one;
    return { key: of(key), value: of(value), headers: [], timestamp: began + i };
  });
  return encodeBatch(all, options);
}

export class Stage {
  readonly steps: Step[] = [];
  readonly #port: number;
  readonly #names = new Names();
  readonly #wires: WireClient[] = [];
  readonly #end = Date.now() + playMsMax;

  constructor(port: number) {
    this.#port = port;
  }

  /** One more connection, closed with the stage. */
  async connect(): Promise<WireClient> {
    const wire = await dialWire(this.#port);
    this.#wires.push(wire);
    return wire;
  }

  close(): void {
    for (const wire of this.#wires) wire.close();
  }

  note(name: string, answer: unknown): void {
    if (this.steps.some((step) => step.name === name)) throw new Error(`two steps bear the name "${name}"`);
    this.steps.push({ name, answer: normal(answer, this.#names) });
  }

  /** Sends a request and notes the answer, or the part of it that `keep` gives. */
  async step<N extends ApiName>(
    name: string,
    api: N,
    version: number,
    request: CallOf<N>,
    keep: (answer: ReplyOf<N>) => unknown = (answer) => answer,
    again: readonly string[] = [],
  ): Promise<ReplyOf<N>> {
    const answer = await this.ask(api, version, request, again).catch((error: Error) => error);
    this.note(name, answer instanceof Error ? answer.message : keep(answer));
    // what reads further in it ends the scenario, on both sides alike
    return answer instanceof Error ? ({} as ReplyOf<N>) : answer;
  }

  /** Sends a request again until no passing error is in the answer, which is not noted. */
  async ask<N extends ApiName>(
    api: N,
    version: number,
    request: CallOf<N>,
    again: readonly string[] = [],
    on?: WireClient,
  ): Promise<ReplyOf<N>> {
    if (Date.now() > this.#end) throw new Error("the scenario takes too long");
    const wire = on ?? this.#wires[0] ?? (await this.connect());
    const end = Date.now() + stepMsMax;
    for (;;) {
      const answer = await this.#answered(wire, api, wire.call(api, version, request));
      const retry = codes(answer).some((code) => passing.includes(code) || again.includes(code));
      if (!retry || Date.now() > end) return answer;
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  }

  async #answered<T>(wire: WireClient, api: string, answer: Promise<T>): Promise<T> {
    let late: ReturnType<typeof setTimeout> | undefined;
    const never = new Promise<never>((_, reject) => {
      late = setTimeout(() => reject(new Error(`${api} was not answered`)), answerMsMax);
    });
    const gone = wire.closed.then(() => {
      const at = this.#wires.indexOf(wire);
      if (at >= 0) this.#wires.splice(at, 1);
      throw new Error(`${api} closed the connection`);
    });
    try {
      return await Promise.race([answer, gone, never]);
    } finally {
      clearTimeout(late);
    }
  }

  /** Notes whether bytes sent on a connection of their own close it or are answered. */
  async closes(name: string, ...parts: readonly Uint8Array[]): Promise<void> {
    const wire = await dialWire(this.#port);
    for (const part of parts) wire.send(part);
    let late: ReturnType<typeof setTimeout> | undefined;
    const neither = new Promise<string>((resolve) => {
      late = setTimeout(() => resolve("neither answered nor closed"), 3_000);
    });
    const answered = wire.frame().then(
      () => "answered",
      () => "closed",
    );
    this.note(name, await Promise.race([answered, wire.closed.then(() => "closed"), neither]));
    clearTimeout(late);
    wire.close();
  }

  /** As `closes`, with a request that both sides can read. */
  async requestCloses<N extends ApiName>(name: string, api: N, version: number, request: CallOf<N>): Promise<void> {
    await this.closes(name, ...encodeRequest(api, version, 7, "test", request));
  }

  /** Makes a topic and waits until its partitions are led; gives its id. Not noted. */
  async topic(name: string, partitions = 1, settings: Readonly<Record<string, string>> = {}): Promise<string> {
    const configs = Object.entries(settings).map(([key, value]) => ({ name: key, value }));
    const topics = [{ name, numPartitions: partitions, replicationFactor: 1, assignments: [], configs }];
    const made = (await this.ask("createTopics", 7, { topics, timeoutMs: 10_000 })).topics[0]!;
    if (made.errorCode !== 0) throw new Error(`${name} was refused: ${errorName(made.errorCode)} ${made.errorMessage}`);
    await this.led(name, partitions);
    return made.topicId;
  }

  /** Waits until every partition of a topic answers as its leader does. */
  async led(name: string, partitions: number): Promise<void> {
    const asked = Array.from({ length: partitions }, (_, partitionIndex) => ({ partitionIndex, timestamp: -1 }));
    const request = { replicaId: -1, topics: [{ name, partitions: asked }] };
    await this.ask("listOffsets", 7, request, ["UNKNOWN_TOPIC_OR_PARTITION", "NOT_LEADER_OR_FOLLOWER"]);
  }

  /** Produces and notes the answer of the one partition. */
  async produce(name: string, topic: string, records: Uint8Array | null, options: ProduceOptions = {}) {
    const { acks = -1, index = 0, version = 9, transactionalId = null } = options;
    const topicData = [{ name: topic, partitionData: [{ index, records }] }];
    const request = { transactionalId, acks, timeoutMs: 10_000, topicData };
    const again = ["CONCURRENT_TRANSACTIONS", ...(options.again ?? [])];
    const keep = (answer: ReplyOf<"produce">) => answer.responses[0]?.partitionResponses[0] ?? answer;
    const answer = await this.step(name, "produce", version, request, keep, again);
    return answer.responses?.[0]?.partitionResponses[0];
  }

  /** Fetches one partition and notes its answer. */
  async fetch(name: string, topic: string, options: FetchOptions = {}) {
    const { offset = 0, isolationLevel = 0, version = 12, index = 0, minBytes = 0, maxWaitMs = 0 } = options;
    const { maxBytes = 1 << 20, partitionMaxBytes = 1 << 20, currentLeaderEpoch = -1, lastFetchedEpoch = -1 } = options;
    const partition = {
      partition: index,
      fetchOffset: offset,
      partitionMaxBytes,
      currentLeaderEpoch,
      lastFetchedEpoch,
    };
    const topics = [{ topic, partitions: [partition] }];
    const keep = (answer: ReplyOf<"fetch">) => answer.responses[0]?.partitions[0] ?? answer;
    const request = { maxWaitMs, minBytes, maxBytes, isolationLevel, topics };
    const answer = await this.step(name, "fetch", version, request, keep);
    return answer.responses?.[0]?.partitions[0];
  }
}

export interface ProduceOptions {
  readonly acks?: number;
  readonly index?: number;
  readonly version?: number;
  readonly transactionalId?: string | null;
  readonly again?: readonly string[];
}

export interface FetchOptions {
  readonly offset?: number;
  readonly isolationLevel?: number;
  readonly version?: number;
  readonly index?: number;
  readonly minBytes?: number;
  readonly maxWaitMs?: number;
  readonly maxBytes?: number;
  readonly partitionMaxBytes?: number;
  readonly currentLeaderEpoch?: number;
  readonly lastFetchedEpoch?: number;
}
