// `partidor log`: looks at a data folder that no hub has open, and mends what can be mended.
import { type Command, type Input, runGroup } from "./command.ts";
import { CliError, type ExitCode, exit } from "./exit.ts";
import { printJson, safeText, tableOf } from "./output.ts";

async function tools(input: Input) {
  const { existsSync } = await import("node:fs");
  const { openLogTools } = await import("../hub/mod.ts");
  const folder = input.args[0]!;
  if (!existsSync(`${folder}/meta`)) {
    throw new CliError(
      exit.notFound,
      `${folder} is no data folder of a hub`,
      "name the folder that `up --data` was given",
    );
  }
  return openLogTools(folder);
}

async function verify(input: Input): Promise<ExitCode> {
  const report = (await tools(input)).verify();
  const { terminal } = input;
  const rows = report.logs.map((log) => ({
    log: log.name,
    segments: log.segments,
    records: log.records,
    bytes: log.bytes,
    offsets: `${log.logStart}..${log.logEnd}`,
    damage: log.damage.map(damageText).join("; ") || null,
  }));
  if (terminal.json) printJson(terminal, { ...report });
  else {
    const columns = ["log", "segments", "records", "bytes", "offsets", "damage"];
    terminal.write(tableOf(columns, rows, terminal.width, terminal.color));
    for (const line of report.journalDamage) terminal.write(`journal: ${safeText(line)}\n`);
    const state = report.cleanStop ? "stopped cleanly" : "not stopped cleanly: the next start recovers it";
    terminal.write(`${report.ok ? "ok" : "DAMAGED"}, ${report.journalGroups} journal groups, ${state}\n`);
  }
  return report.ok ? exit.ok : exit.dataFolder;
}

function damageText(damage: { segment: number; at: number; bytes: number; detail: string; torn: boolean }): string {
  const what = damage.torn ? "torn tail, cut at the next start" : damage.detail;
  return `segment ${damage.segment}, ${damage.bytes} bytes at ${damage.at}: ${what}`;
}

async function dump(input: Input): Promise<ExitCode> {
  const [, name] = input.args as [string, string];
  let lines = 0;
  for (const line of (await tools(input)).dump(name)) {
    input.terminal.write(`${safeText(line)}\n`);
    lines++;
  }
  if (lines > 0) return exit.ok;
  throw new CliError(exit.notFound, `there is no log ${name}, or it is empty`, "`partidor log verify DIR` lists them");
}

async function repair(input: Input): Promise<ExitCode> {
  if (!input.has("skip")) {
    const how = "a damaged range can only be taken out; add --skip to do that, consumers then find a gap";
    throw new CliError(exit.usage, "nothing was changed", how);
  }
  const { ranges, bytes } = (await tools(input)).repair();
  if (input.terminal.json) printJson(input.terminal, { ranges, bytes });
  else input.terminal.write(`took out ${ranges} damaged ranges of ${bytes} bytes\n`);
  return exit.ok;
}

export const commands: readonly Command[] = [
  {
    name: "log verify",
    summary: "Read everything and check every CRC; changes nothing. Code 70 when there is damage.",
    takes: ["DIR"],
    flags: {},
    run: verify,
  },
  {
    name: "log dump",
    summary: "Print the batches of one log, or of the journal.",
    takes: ["DIR", "LOG"],
    flags: {},
    notes: ["LOG is <topic>-<partition>, or `journal`."],
    run: dump,
  },
  {
    name: "log repair",
    summary: "Take damaged ranges out of the segments; the records around them stay at their offsets.",
    takes: ["DIR"],
    flags: { skip: { doc: "Yes, leave a gap where the damage is." } },
    run: repair,
  },
];

export function run(argv: string[]): Promise<number> {
  return runGroup("log", commands, argv);
}
