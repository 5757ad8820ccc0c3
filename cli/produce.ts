// `partidor produce`: lines of stdin, or one value, to a topic.
import { createInterface } from "node:readline";
import type { Acks, Header, OutRecord, Producer } from "../hub/mod.ts";
import { type Command, hubFlags, type Input, runCommand } from "./command.ts";
import { type ExitCode, exit, UsageError } from "./exit.ts";
import { withHub } from "./hub_client.ts";
import { grouped, Progress, printJson, streams } from "./output.ts";
import { parsePairs } from "./topic.ts";

const ackLevels: Readonly<Record<string, Acks>> = { all: -1, "-1": -1, "1": 1, "0": 0 };
/** Unanswered bytes at which reading stdin waits. */
const bufferedBytesMax = 8 * 1024 * 1024;

/** What the flags say about every record. */
export interface Template {
  readonly key: string | undefined;
  readonly separator: string | undefined;
  readonly headers: readonly Header[];
  readonly partition: number | undefined;
}

/** One line as a record: with a separator, what stands before its first occurrence is the key. Pure. */
export function recordOf(line: string, template: Template): OutRecord {
  const encoder = new TextEncoder();
  let { key } = template;
  let value = line;
  if (template.separator !== undefined) {
    const at = line.indexOf(template.separator);
    if (at >= 0) {
      key = line.slice(0, at);
      value = line.slice(at + template.separator.length);
    }
  }
  return {
    key: key === undefined ? null : encoder.encode(key),
    value: encoder.encode(value),
    headers: template.headers,
    ...(template.partition === undefined ? {} : { partition: template.partition }),
  };
}

/** Counts answers and keeps the first error. */
class Tally {
  sent = 0;
  failed = 0;
  first: Error | null = null;
  readonly #input: Input;
  readonly #topic: string;

  constructor(input: Input, topic: string) {
    this.#input = input;
    this.#topic = topic;
  }

  send(producer: Producer, record: OutRecord): void {
    producer.send(this.#topic, record, (error, offset, partition) => {
      if (error !== null) {
        this.failed += 1;
        this.first ??= error;
        return;
      }
      this.sent += 1;
      const { terminal } = this.#input;
      if (terminal.json) printJson(terminal, { topic: this.#topic, partition, offset });
    });
  }
}

async function produce(input: Input): Promise<ExitCode> {
  const topic = input.args[0]!;
  const acks = ackLevels[input.text("acks") ?? "all"];
  if (acks === undefined) throw new UsageError(`--acks takes all, 1 or 0, not ${JSON.stringify(input.text("acks"))}`);
  const encoder = new TextEncoder();
  const pairs = Object.entries(parsePairs("header", input.texts("header")));
  const template: Template = {
    key: input.text("key"),
    separator: input.text("key-separator"),
    headers: pairs.map(([key, value]) => ({ key, value: encoder.encode(value) })),
    partition: input.number("partition", 0, 1_000_000),
  };
  const single = input.text("value");
  const tally = new Tally(input, topic);
  const progress = new Progress("records", null);
  await withHub(input, async (client) => {
    const producer = client.producer({ acks, lingerMs: single === undefined ? 5 : 0 });
    try {
      if (single !== undefined) tally.send(producer, recordOf(single, { ...template, separator: undefined }));
      else if (input.has("tombstone")) tally.send(producer, { ...recordOf("", template), value: null });
      else await sendLines(producer, tally, template, progress);
      await producer.flush();
    } finally {
      progress.end();
      await producer.close();
    }
  });
  if (tally.failed > 0) {
    input.terminal.note(`${grouped(tally.sent)} written, ${grouped(tally.failed)} refused\n`);
    throw tally.first!;
  }
  if (!input.terminal.json) input.terminal.note(`${grouped(tally.sent)} written to ${topic}\n`);
  return exit.ok;
}

async function sendLines(producer: Producer, tally: Tally, template: Template, progress: Progress): Promise<void> {
  const lines = createInterface({ input: streams.in, crlfDelay: Infinity });
  for await (const line of lines) {
    if (producer.bufferedBytes() > bufferedBytesMax) await producer.whenDrained();
    if (tally.first !== null) break;
    tally.send(producer, recordOf(line, template));
    progress.at(tally.sent);
  }
  lines.close();
}

export const commands: readonly Command[] = [
  {
    name: "produce",
    summary: "Write each line of stdin, or one value, as a record; done when the hub has answered for all.",
    takes: ["TOPIC"],
    flags: {
      ...hubFlags,
      value: { value: "TEXT", doc: "Write this one value instead of stdin.", short: "v" },
      tombstone: { doc: "Write one record without a value (with --key)." },
      key: { value: "KEY", doc: "Key of every record; records of one key keep their order.", short: "k" },
      "key-separator": { value: "TEXT", doc: "Lines are KEY, this text, VALUE." },
      header: { value: "NAME=VALUE", doc: "A header of every record (may be repeated).", many: true },
      partition: { value: "N", doc: "Write to this partition, whatever the key.", short: "p" },
      acks: { value: "all|1|0", doc: "Who must have it before it counts as written; all when left out." },
    },
    run: produce,
  },
];

export function run(argv: string[]): Promise<number> {
  return runCommand(commands[0]!, argv);
}
