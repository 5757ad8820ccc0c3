// Runs a foreign program that prints one JSON object a line: its cases with what they got, and what it asks for.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import path from "node:path";
import { python, pythonClient } from "./clients.ts";
import { type HubProcess, root, scratch, startHub } from "../tools/hub_process.ts";

/** What one case of a program got: any JSON, checked by the test that asks for it. */
// biome-ignore lint/suspicious/noExplicitAny: a foreign program's JSON
export type Got = any;

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** What a program's cases got, by name; asking for one that failed or was never reached throws why. */
export interface Said {
  readonly got: (name: string) => Got;
  /** Codecs of the batches that a topic of the hub held when the program had ended. */
  readonly codecs: (topic: string) => readonly string[];
}

/** Groups do not wait the usual three seconds for more members: the suites start hundreds. */
export const quick = { PARTIDOR_SETTINGS__GROUP_INITIAL_REBALANCE_DELAY_MS: "300" };

/** A hub that a program may ask to be killed and started again on the same port and folder. */
export async function withHub<T>(use: (hub: () => HubProcess, restart: () => Promise<void>) => Promise<T>): Promise<T> {
  const { folder, remove } = scratch();
  const start = (ports?: HubProcess): Promise<HubProcess> =>
    startHub({ data: folder, env: quick, ...(ports ? { ports } : {}) });
  let hub = await start();
  try {
    return await use(
      () => hub,
      async () => {
        await hub.end("SIGKILL");
        hub = await start(hub);
      },
    );
  } finally {
    await hub.end("SIGKILL");
    remove();
  }
}

/** Runs a program to its end; a line with `ask` is answered with a line once `answer` is done. */
export async function converse(
  program: Program,
  answer: (ask: string) => Promise<void>,
  timeoutMs = 300_000,
): Promise<Said["got"]> {
  const cases = new Map<string, { got?: Got; error?: string }>();
  const env = { ...process.env, ...program.env };
  const child = spawn(program.command, program.args, { stdio: ["pipe", "pipe", "pipe"], env, cwd: root });
  let words = "";
  child.stderr.on("data", (bytes: Buffer) => (words = (words + bytes.toString()).slice(-20_000)));
  child.stdin.on("error", () => {});
  const late = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const gone = once(child, "close") as Promise<[number | null, string | null]>;
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith("{")) {
      words += `${line}\n`;
      continue;
    }
    const told = JSON.parse(line) as { case?: string; ask?: string; got?: Got; error?: string };
    if (told.ask !== undefined) {
      await answer(told.ask);
      child.stdin.write("done\n");
    } else cases.set(told.case!, told);
  }
  const [code, signal] = await gone;
  clearTimeout(late);
  const got = (name: string): Got => {
    const found = cases.get(name);
    if (found === undefined) throw new Error(`"${name}" was never reached; ended with ${code ?? signal}:\n${words}`);
    if (found.error !== undefined) throw new Error(`"${name}" failed: ${found.error}\n${words.slice(-4_000)}`);
    return found.got;
  };
  return got;
}

const codecNames = ["none", "gzip", "snappy", "lz4", "zstd"];

/** Topic by topic, the codecs of all stored batches: from their attributes, the low three bits of byte 22. */
function storedCodecs(data: string): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  const topics = path.join(data, "topics");
  for (const folder of readdirSync(topics)) {
    const topic = readFileSync(path.join(topics, folder, "topic.name"), "utf8").trim();
    const names = found.get(topic) ?? new Set<string>();
    found.set(topic, names);
    for (const name of readdirSync(path.join(topics, folder)).filter((one) => one.endsWith(".log"))) {
      const bytes = readFileSync(path.join(topics, folder, name));
      for (let at = 0; at + 61 <= bytes.length && bytes[at + 16] === 2; at += 12 + bytes.readInt32BE(at + 8)) {
        names.add(codecNames[bytes[at + 22]! & 7] ?? "unknown");
      }
    }
  }
  return found;
}

/** A program that runs once, against a hub of its own, when the first test asks for what it said. */
export function session(program: (server: string) => Promise<Program>, timeoutMs?: number): () => Promise<Said> {
  let running: Promise<Said> | null = null;
  return () =>
    (running ??= withHub(async (hub, restart) => {
      const ready = await program(`127.0.0.1:${hub().kafka}`);
      const got = await converse(ready, (ask) => (ask === "restart" ? restart() : Promise.resolve()), timeoutMs);
      const stored = storedCodecs(hub().data);
      return { got, codecs: (topic: string) => [...(stored.get(topic) ?? [])] };
    }));
}

/** A Python program of this folder with its client and the cases on its path. */
export async function pythonProgram(client: string, file: string, server: string): Promise<Program> {
  const folders = [await pythonClient(client), path.join(here, "python")];
  const env = { PYTHONPATH: folders.join(":"), PYTHONDONTWRITEBYTECODE: "1" };
  return { command: python, args: [path.join(here, file), server], env };
}

export const here = path.join(root, "test/compat");
