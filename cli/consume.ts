// `partidor consume`: reads topics from any place and follows them.
import { once } from "node:events";
import type { Consumer, HubClient, InBatch, StartAt, TopicPartition } from "../hub/mod.ts";
import { type Command, hubFlags, type Input, runCommand } from "./command.ts";
import { type ExitCode, exit, UsageError } from "./exit.ts";
import { partitionsOf, placeKey, withHub } from "./hub_client.ts";
import { streams } from "./output.ts";
import { parsePlace, placeDoc, targetsOf } from "./place.ts";
import { type Format, formatDoc, formatOf } from "./record_format.ts";

const pollMs = 500;
const commitMs = 1_000;

/** Prints until the count, the ends, the time or a signal says stop. */
class Reading {
  readonly #format: Format;
  readonly #max: number;
  /** Where to stop, by partition; null to follow. */
  readonly #ends: Map<string, number> | null;
  readonly #done = new Map<string, TopicPartition & { offset: number }>();
  count = 0;

  constructor(format: Format, max: number, ends: Map<string, number> | null) {
    this.#format = format;
    this.#max = max;
    this.#ends = ends;
  }

  finished(): boolean {
    return this.count >= this.#max || (this.#ends !== null && this.#ends.size === 0);
  }

  async print(batch: InBatch): Promise<void> {
    const { topic, partition } = batch;
    const key = placeKey(batch);
    const end = this.#ends === null ? Infinity : (this.#ends.get(key) ?? -1);
    let text = "";
    let next = batch.nextOffset;
    for (const record of batch.records) {
      if (this.count >= this.#max || record.offset >= end) {
        next = Math.min(next, record.offset);
        break;
      }
      text += `${this.#format(record)}\n`;
      this.count += 1;
    }
    if (text !== "" && !streams.out.write(text)) await once(streams.out, "drain");
    this.#done.set(key, { topic, partition, offset: next });
    if (next >= end) this.#ends?.delete(key);
  }

  /** Positions after what was printed since the last call. */
  takeDone(): (TopicPartition & { offset: number })[] {
    const done = [...this.#done.values()];
    this.#done.clear();
    return done;
  }
}

/** Ends of the partitions as they are now; those that hold nothing from `at` on are left out. */
async function endsOf(client: HubClient, topics: readonly string[], at: StartAt): Promise<Map<string, number>> {
  const admin = client.admin();
  try {
    const places = (await Promise.all(topics.map((topic) => partitionsOf(admin, topic)))).flat();
    const ends = await admin.offsets(places, "latest");
    const starts = new Map((await admin.offsets(places, "earliest")).map((from) => [placeKey(from), from.offset]));
    const timed = typeof at === "object" && "time" in at ? await admin.offsets(places, at) : [];
    const times = new Map(timed.map((from) => [placeKey(from), from.offset]));
    const ended = new Map(ends.map((end) => [placeKey(end), end.offset]));
    const begins = targetsOf(at, places, starts, ended, times);
    return new Map(
      begins.flatMap((from) => {
        const end = ended.get(placeKey(from)) ?? 0;
        return from.offset < end ? [[placeKey(from), end] as const] : [];
      }),
    );
  } finally {
    await admin.close();
  }
}

async function checkTopics(client: HubClient, topics: readonly string[]): Promise<void> {
  const admin = client.admin();
  try {
    for (const topic of topics) await partitionsOf(admin, topic);
  } finally {
    await admin.close();
  }
}

async function consume(input: Input): Promise<ExitCode> {
  const { args: topics, terminal } = input;
  const group = input.text("group");
  const at = parsePlace(input.text("from") ?? "latest", Date.now(), "from");
  const max = input.number("count", 1, Number.MAX_SAFE_INTEGER) ?? Infinity;
  const partition = input.number("partition", 0, 1_000_000);
  if (group !== undefined && partition !== undefined) {
    throw new UsageError("--partition and --group exclude each other: the group shares the partitions out");
  }
  if (group !== undefined && input.has("no-follow")) {
    throw new UsageError("--no-follow and --group exclude each other; --timeout stops a member of a group");
  }
  const timeoutMs = (input.number("timeout", 1, 86_400) ?? Infinity) * 1_000;
  const format = formatOf(terminal.json ? "json" : (input.text("format") ?? "value"), streams.out.isTTY !== true);
  return withHub(input, async (client) => {
    await checkTopics(client, topics);
    const ends = input.has("no-follow") ? await endsOf(client, topics, at) : null;
    if (ends !== null && partition !== undefined) {
      for (const key of ends.keys()) if (!key.endsWith(`/${partition}`)) ends.delete(key);
    }
    const reading = new Reading(format, max, ends);
    if (reading.finished()) return exit.ok;
    const consumer = client.consumer({
      ...(group === undefined ? {} : { group }),
      clientId: "partidor-consume",
      from: at,
      onRevoked: async () => {
        if (group !== undefined) await commit(consumer, reading);
      },
    });
    try {
      if (group !== undefined) await consumer.subscribe(topics);
      else
        await consumer.assign(
          topics.map((topic) => ({ topic, from: at, ...(partition === undefined ? {} : { partition }) })),
        );
      return await follow(consumer, reading, group !== undefined, timeoutMs);
    } finally {
      await consumer.close();
    }
  });
}

async function follow(consumer: Consumer, reading: Reading, grouped: boolean, timeoutMs: number): Promise<ExitCode> {
  let stopping = false;
  const stop = (): void => {
    stopping = true;
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  let lastRecord = performance.now();
  let lastCommit = lastRecord;
  try {
    while (!stopping && !reading.finished()) {
      const batches = await consumer.poll(Math.min(pollMs, timeoutMs));
      for (const batch of batches) await reading.print(batch);
      const now = performance.now();
      if (batches.some(({ records }) => records.length > 0)) lastRecord = now;
      if (grouped && now - lastCommit >= commitMs) {
        await commit(consumer, reading);
        lastCommit = now;
      }
      if (now - lastRecord >= timeoutMs) return exit.unavailable;
    }
    return exit.ok;
  } finally {
    process.removeListener("SIGINT", stop);
    process.removeListener("SIGTERM", stop);
    if (grouped) await commit(consumer, reading);
  }
}

/** Commits after printing: a record may be printed again, none is left out. */
async function commit(consumer: Consumer, reading: Reading): Promise<void> {
  const done = reading.takeDone();
  if (done.length > 0) await consumer.commit(done);
}

export const commands: readonly Command[] = [
  {
    name: "consume",
    summary: "Read topics from any place and follow them until Ctrl-C.",
    takes: ["TOPIC..."],
    flags: {
      ...hubFlags,
      from: { value: "PLACE", doc: `${placeDoc}; latest when left out. A group begins at its commit.`, short: "f" },
      group: { value: "GROUP", doc: "Read as a member of this group and commit what was printed.", short: "g" },
      partition: { value: "N", doc: "Only this partition.", short: "p" },
      format: { value: "FORMAT", doc: `${formatDoc}.` },
      count: { value: "N", doc: "Stop after so many records.", short: "n" },
      "no-follow": { doc: "Stop at the end of the log as it is now." },
      timeout: { value: "SECONDS", doc: "Stop with code 5 when nothing came for so long." },
    },
    run: consume,
  },
];

export function run(argv: string[]): Promise<number> {
  return runCommand(commands[0]!, argv);
}
