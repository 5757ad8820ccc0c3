// Cases of a JavaScript client: each runs alone under a time limit and prints one JSON line with what it got.
import { createInterface } from "node:readline";

// biome-ignore lint/suspicious/noExplicitAny: untyped foreign clients
export type Any = any;

const words = "of the same words ".repeat(20);
const caseMs = 60_000;
const all: [name: string, body: () => Promise<unknown>][] = [];
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

export function add(name: string, body: () => Promise<unknown>): void {
  all.push([name, body]);
}

/** Has the hub killed and started again on the same port and folder. */
export async function restart(): Promise<void> {
  console.log(JSON.stringify({ ask: "restart" }));
  await answers.next();
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until something holds; the time limit of the case bounds it. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(20);
}

export const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => String(from + i));

export const byNumber = (values: Iterable<string>): string[] => [...new Set(values)].sort((a, b) => +a - +b);

/** Key, value and number of the 200 records that every codec carries. */
export const codecLines = Array.from({ length: 200 }, (_, i) => [`key-${i % 7}`, `${i} ${words}`, String(i)] as const);

/** `records` are [key, value, header] as read back, of one partition. */
export function codecGot(records: readonly (readonly string[])[]): unknown {
  const same = (from: number, to: number): boolean =>
    JSON.stringify(records.map((one) => one.slice(from, to))) ===
    JSON.stringify(codecLines.map((one) => one.slice(from, to)));
  const keys = new Set(records.map(([key]) => key)).size;
  return { count: records.length, keys, inOrder: same(0, 2), headersMatch: same(2, 3) };
}

/** Runs every case, or those that have one of the words after the server in their name; ends the process. */
export async function runAll(): Promise<void> {
  const only = process.argv.slice(3);
  for (const [name, body] of all) {
    if (only.length > 0 && !only.some((word) => name.includes(word))) continue;
    let late: NodeJS.Timeout | undefined;
    try {
      const limit = new Promise<never>((_, reject) => {
        late = setTimeout(() => reject(new Error(`not done within ${caseMs} ms`)), caseMs);
      });
      console.log(JSON.stringify({ case: name, got: await Promise.race([body(), limit]) }));
    } catch (error) {
      const text = (error as Error).stack ?? String(error);
      const causes = (error as { errors?: Error[] }).errors?.map((one) => one.message) ?? [];
      console.log(JSON.stringify({ case: name, error: [text, ...causes].join("\n") }));
    } finally {
      clearTimeout(late);
    }
  }
  process.exit(0);
}
