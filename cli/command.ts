// One verb as data: flags, help, parsing with did-you-mean, and the run that turns errors into exit codes.
import { parseArgs } from "node:util";
import { type ExitCode, exit, failureOf, UsageError } from "./exit.ts";
import { openTerminal, printJson, safeText, type Terminal, streams } from "./output.ts";

export interface Flag {
  readonly doc: string;
  /** Placeholder of the value; a flag without one takes none. */
  readonly value?: string;
  readonly short?: string;
  readonly many?: boolean;
}

export interface Command {
  /** As typed: "topic create". */
  readonly name: string;
  readonly summary: string;
  /** Positional arguments as in the usage line: "TOPIC", "[GROUP]", "TOPIC..." (at the end). */
  readonly takes: readonly string[];
  readonly flags: Readonly<Record<string, Flag>>;
  /** Lines below the flags in the help. */
  readonly notes?: readonly string[];
  readonly run: (input: Input) => Promise<ExitCode>;
}

/** A parsed command line. */
export interface Input {
  readonly args: readonly string[];
  readonly terminal: Terminal;
  text(flag: string): string | undefined;
  texts(flag: string): readonly string[];
  has(flag: string): boolean;
  /** A whole number within bounds. @throws UsageError */
  number(flag: string, min: number, max: number): number | undefined;
}

export const bootstrapDefault = "127.0.0.1:9092";

/** Flags that every verb has. */
const common: Readonly<Record<string, Flag>> = {
  json: { doc: "One JSON object a line instead of a table." },
  help: { doc: "Say what this does.", short: "h" },
};

/** Flags of a verb that talks to a hub. */
export const hubFlags: Readonly<Record<string, Flag>> = {
  bootstrap: {
    value: "HOST:PORT",
    doc: `Kafka address of one or more hubs (a,b); ${bootstrapDefault} when left out.`,
    short: "b",
  },
};

/** Reads the arguments. @throws UsageError for what the command does not take. */
export async function parse(command: Command, argv: readonly string[]): Promise<Input> {
  const flags = { ...command.flags, ...common };
  const options: Record<string, { type: "string" | "boolean"; short?: string; multiple: boolean }> = {};
  for (const [name, flag] of Object.entries(flags)) {
    const type = flag.value === undefined ? "boolean" : "string";
    options[name] = { type, multiple: flag.many === true, ...(flag.short === undefined ? {} : { short: flag.short }) };
  }
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({ args: joinNegative(argv, flags), options, allowPositionals: true, strict: true });
  } catch (thrown) {
    throw new UsageError(await parseProblem(thrown as Error & { code?: string }, argv, Object.keys(flags)));
  }
  const { values, positionals } = parsed;
  if (values.help !== true) checkCount(command, positionals);
  const input: Input = {
    args: positionals,
    terminal: openTerminal(values.json === true),
    text: (flag) => values[flag] as string | undefined,
    texts: (flag) => (values[flag] as string[] | undefined) ?? [],
    has: (flag) => values[flag] === true,
    number: (flag, min, max) => numberOf(flag, values[flag] as string | undefined, min, max),
  };
  return input;
}

function numberOf(flag: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`--${flag} takes a whole number from ${min} to ${max}, not ${JSON.stringify(text)}`);
}

/** `--to -1h` means `--to=-1h`: a value may begin with a minus sign and a digit. */
function joinNegative(argv: readonly string[], flags: Readonly<Record<string, Flag>>): string[] {
  const joined: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === "--") return [...joined, ...argv.slice(i)];
    const next = argv[i + 1];
    const takesValue = word.startsWith("--") && flags[word.slice(2)]?.value !== undefined;
    if (takesValue && next !== undefined && /^-\d/.test(next)) {
      joined.push(`${word}=${next}`);
      i++;
    } else {
      joined.push(word);
    }
  }
  return joined;
}

async function parseProblem(
  error: Error & { code?: string },
  argv: readonly string[],
  names: string[],
): Promise<string> {
  if (error.code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") {
    const known = new Set(names);
    const bad = argv.map((word) => /^--([^=]+)/.exec(word)?.[1]).find((name) => name !== undefined && !known.has(name));
    if (bad !== undefined) return `there is no flag --${safeText(bad)}${await didYouMean(bad, names, "--")}`;
    const short = argv.find((word) => /^-[^-]/.test(word)) ?? "like that";
    return `there is no flag ${safeText(short)}`;
  }
  return safeText(error.message.split(". ")[0]!.replace(/^Option '/, "flag '"));
}

/** `; did you mean "x"?` or nothing. */
export async function didYouMean(word: string, known: Iterable<string>, before = ""): Promise<string> {
  const { nearest } = await import("../hub/mod.ts");
  const best = nearest(word, known);
  return best === null ? "" : `; did you mean ${before}${best}?`;
}

function checkCount(command: Command, args: readonly string[]): void {
  const min = command.takes.filter((name) => !name.startsWith("[")).length;
  const max = command.takes.some((name) => name.includes("...")) ? Infinity : command.takes.length;
  if (args.length < min) throw new UsageError(`${command.takes[args.length]!.replace("...", "")} is missing`);
  if (args.length > max) throw new UsageError(`${JSON.stringify(safeText(args[max]!))} is one argument too many`);
}

/** "partidor topic create TOPIC [--partitions N] ...". */
export function usageOf(command: Command): string {
  return ["partidor", command.name, ...command.takes, "[flags]"].join(" ");
}

/** The help of one command. */
export function helpOf(command: Command): string {
  const lines = Object.entries({ ...command.flags, ...common }).map(([name, flag]) => {
    const short = flag.short === undefined ? "    " : `-${flag.short}, `;
    return [`  ${short}--${name}${flag.value === undefined ? "" : ` ${flag.value}`}`, flag.doc] as const;
  });
  const size = Math.max(...lines.map(([left]) => left.length));
  const flags = lines.map(([left, doc]) => `${left.padEnd(size)}  ${doc}`);
  const notes = command.notes === undefined ? [] : ["", ...command.notes];
  return `${[command.summary, "", `usage: ${usageOf(command)}`, "", ...flags, ...notes].join("\n")}\n`;
}

/** Runs one command; what is thrown becomes one sentence on stderr and an exit code. */
export async function runCommand(command: Command, argv: readonly string[]): Promise<number> {
  const json = argv.includes("--json");
  try {
    const input = await parse(command, argv);
    if (input.has("help")) {
      streams.out.write(helpOf(command));
      return exit.ok;
    }
    return await command.run(input);
  } catch (thrown) {
    return sayFailure(thrown, json, `partidor ${command.name}`, thrown instanceof UsageError ? usageOf(command) : "");
  }
}

/** Prints what went wrong; returns the exit code. */
export async function sayFailure(thrown: unknown, json: boolean, who: string, usage = ""): Promise<number> {
  const { code, what, remedy, kind } = await failureOf(thrown);
  if (json) {
    const line = { event: "error", code, kind, what, remedy };
    printJson({ ...openTerminal(true), write: (text) => void streams.err.write(text) }, line);
    return code;
  }
  const sentence = /[.?!]$/.test(what) ? what : `${what}.`;
  streams.err.write(`${who}: ${sentence}${remedy === "" ? "" : ` ${remedy}`}\n`);
  if (usage !== "") streams.err.write(`usage: ${usage}\n`);
  return code;
}

/** Runs `partidor <verb> <what> ...` where the second word chooses the command. */
export async function runGroup(verb: string, commands: readonly Command[], argv: readonly string[]): Promise<number> {
  const [word, ...rest] = argv;
  const names = commands.map((command) => command.name.slice(verb.length + 1));
  const found = commands[names.indexOf(word ?? "")];
  if (found !== undefined) return runCommand(found, rest);
  const size = Math.max(...names.map((name) => name.length));
  const list = commands.map((command, i) => `  ${names[i]!.padEnd(size)}  ${command.summary}`);
  const help = `usage: partidor ${verb} ${names.join("|")} ...\n\n${list.join("\n")}\n`;
  if (word === "--help" || word === "-h") {
    streams.out.write(help);
    return exit.ok;
  }
  const hint = word === undefined ? "" : await didYouMean(word, names);
  const what = word === undefined ? "say what to do" : `there is no "${safeText(word)}"${hint}`;
  streams.err.write(`partidor ${verb}: ${what}${hint === "" ? "." : ""}\n${help}`);
  return exit.usage;
}
