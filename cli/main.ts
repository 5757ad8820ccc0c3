#!/usr/bin/env -S npx tsx
// The command `partidor`: finds the verb, loads its file, exits with its code.
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { didYouMean, sayFailure } from "./command.ts";
import { exit, UsageError } from "./exit.ts";
import { safeText, streams } from "./output.ts";
import { type Verb, verbs } from "./verbs.ts";

function help(): string {
  const size = Math.max(...Object.keys(verbs).map((name) => name.length));
  const lines = Object.entries(verbs).map(([name, verb]) => `  ${name.padEnd(size)}  ${verb.summary}`);
  const codes =
    "Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 not authorised, 5 unavailable or timeout, 6 conflict,\n" +
    "7 degraded, 70 data folder failed.";
  return `Partidor, an edge message hub.\n\nusage: partidor VERB ...\n\n${lines.join("\n")}\n
\`partidor VERB --help\` says more. A table on a terminal, one JSON object a line with --json.\n${codes}\n`;
}

/** Runs one command line; resolves with the exit code. */
export async function run(argv: string[]): Promise<number> {
  const [word, ...rest] = argv;
  if (word === "--help" || word === "-h" || word === "help") {
    const verb = word === "help" && rest[0] !== undefined ? verbs[rest[0]] : undefined;
    if (verb !== undefined) return runVerb(rest[0]!, verb, [...rest.slice(1), "--help"]);
    streams.out.write(help());
    return exit.ok;
  }
  if (word === "--version") {
    const { readFileSync } = await import("node:fs");
    const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
    streams.out.write(`${(JSON.parse(text) as { version: string }).version}\n`);
    return exit.ok;
  }
  if (word === undefined) {
    streams.err.write(help());
    return exit.usage;
  }
  const verb = Object.hasOwn(verbs, word) ? verbs[word] : undefined;
  if (verb === undefined) {
    const hint = (await didYouMean(word, Object.keys(verbs))) || ".";
    streams.err.write(`partidor: there is no verb "${safeText(word)}"${hint}\n\`partidor --help\` lists them.\n`);
    return exit.usage;
  }
  return runVerb(word, verb, rest);
}

async function runVerb(name: string, verb: Verb, argv: string[]): Promise<number> {
  const file = await verb.load();
  if (file.usage === undefined) return file.run(argv);
  if (argv.includes("--help") || argv.includes("-h")) {
    streams.out.write(`${file.usage}\n`);
    return exit.ok;
  }
  try {
    return await file.run(argv);
  } catch (thrown) {
    const code = (thrown as { code?: string }).code ?? "";
    if (!code.startsWith("ERR_PARSE_ARGS")) throw thrown;
    const known = new Set([...file.usage.matchAll(/--([a-z][a-z-]*)/g)].map((match) => match[1]!));
    const bad = argv.map((item) => /^--([^=]+)/.exec(item)?.[1]).find((flag) => flag !== undefined && !known.has(flag));
    const said = (thrown as Error).message.split(". ")[0]!;
    const what = bad === undefined ? said : `there is no flag --${bad}${await didYouMean(bad, known, "--")}`;
    return sayFailure(
      new UsageError(what),
      argv.includes("--json"),
      `partidor ${name}`,
      `partidor ${name} --help says more`,
    );
  }
}

async function main(): Promise<void> {
  // A reader that has seen enough (`partidor consume t | head`) is no failure.
  process.stdout.on("error", (error: Error & { code?: string }) => process.exit(error.code === "EPIPE" ? 0 : 1));
  try {
    process.exitCode = await run(process.argv.slice(2));
  } catch (thrown) {
    process.exitCode = await sayFailure(thrown, process.argv.includes("--json"), "partidor");
  }
}

const called = process.argv[1];
if (called !== undefined && realpathSync(called) === fileURLToPath(import.meta.url)) void main();
