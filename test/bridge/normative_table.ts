// The table of normative statements in bridge/README.md: sections, and the test files that show their statements.
//   npx tsx test/bridge/normative_table.ts   writes it anew
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Version } from "../../bridge/wire/packet.ts";
import { clientOnly, type Statement, statements } from "./normative.ts";
import { refusals, refusalTitle } from "./wire/refusals.ts";

const readme = path.resolve(import.meta.dirname, "../../bridge/README.md");
const marks = { begin: "<!-- statements: begin -->", end: "<!-- statements: end -->" };
const rooms = ["wire", "match", "session", "server", "conformance"];

/** Titles of the tests of the engine, and where each stands: `session/outbound`. */
export function titles(): ReadonlyMap<string, string> {
  const found = new Map(refusals.map(({ title }) => [refusalTitle(title), "wire/decode"]));
  for (const room of rooms) {
    const folder = path.join(import.meta.dirname, room);
    for (const file of readdirSync(folder).filter((name) => name.endsWith("_test.ts"))) {
      const source = readFileSync(path.join(folder, file), "utf8");
      for (const [, , title] of source.matchAll(/^test\((["'`])(.+)\1, /gm)) {
        found.set(title!, `${room}/${file.replace("_test.ts", "")}`);
      }
    }
  }
  return found;
}

const sectionNames: Readonly<Record<string, string>> = {
  "1.5.3": "UTF-8 strings",
  "1.5.4": "UTF-8 strings",
  "1.5.5": "variable byte integers",
  "1.5.7": "string pairs",
  "2.1.3": "flags",
  "2.2.1": "packet ids",
  "2.2.2": "flags (3.1.1), property length (5)",
  "2.3.1": "packet ids",
  "3.1.0": "CONNECT",
  "3.1.2": "CONNECT: variable header",
  "3.1.3": "CONNECT: payload",
  "3.1.4": "CONNECT: actions",
  "3.2.0": "CONNACK",
  "3.2.2": "CONNACK: variable header",
  "3.3.1": "PUBLISH: flags",
  "3.3.2": "PUBLISH: variable header",
  "3.3.4": "PUBLISH: actions",
  "3.3.5": "PUBLISH: actions",
  "3.4.2": "PUBACK",
  "3.5.2": "PUBREC",
  "3.6.1": "PUBREL: flags",
  "3.6.2": "PUBREL",
  "3.7.2": "PUBCOMP",
  "3.8.1": "SUBSCRIBE: flags",
  "3.8.3": "SUBSCRIBE: payload",
  "3.8.4": "SUBSCRIBE: actions",
  "3.9.2": "SUBACK: variable header",
  "3.9.3": "SUBACK: payload",
  "3.10.1": "UNSUBSCRIBE: flags",
  "3.10.3": "UNSUBSCRIBE: payload",
  "3.10.4": "UNSUBSCRIBE: actions",
  "3.11.2": "UNSUBACK: variable header",
  "3.11.3": "UNSUBACK: payload",
  "3.12.4": "PINGREQ",
  "3.14.0": "DISCONNECT",
  "3.14.1": "DISCONNECT: flags",
  "3.14.2": "DISCONNECT: variable header",
  "3.14.4": "DISCONNECT: actions",
  "3.15.1": "AUTH: flags",
  "3.15.2": "AUTH",
  "4.1.0": "session state",
  "4.2.0": "network connections",
  "4.3.1": "QoS 0",
  "4.3.2": "QoS 1",
  "4.3.3": "QoS 2",
  "4.4.0": "delivery again",
  "4.5.0": "receipt",
  "4.6.0": "order",
  "4.7.0": "topic names",
  "4.7.1": "wildcards",
  "4.7.2": "topics that begin with $",
  "4.7.3": "names and filters",
  "4.8.0": "errors",
  "4.8.2": "shared subscriptions",
  "4.9.0": "flow control",
  "4.12.0": "enhanced authentication",
  "4.12.1": "authentication again",
  "4.13.1": "malformed packets",
  "4.13.2": "other errors",
  "6.0.0": "WebSocket",
  "7.0.0": "conformance",
  "7.1.1": "conformance of servers",
};

interface Place {
  readonly section: string;
  readonly number: number;
}

/** Also of the two numbers that 3.1.1 prints with other signs. */
function placeOf(id: string): Place {
  const [, a, b, c, number] = /^(\d+)[.-](\d+)\.(\d+)[.-](\d+)$/.exec(id)!;
  return { section: `${a}.${b}.${c}`, number: Number(number) };
}

/** 1, 2, 3, 5 as `1-3, 5`. */
function ranges(numbers: readonly number[]): string {
  const sorted = [...numbers].sort((a, b) => a - b);
  const parts: [number, number][] = [];
  for (const number of sorted) {
    const last = parts.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else parts.push([number, number]);
  }
  return parts.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(", ");
}

/** Test files with the numbers they show, in the order of the first number. */
function cell(rows: readonly Statement[], known: ReadonlyMap<string, string>): string {
  const byFiles = new Map<string, number[]>();
  for (const { id, keeper, tests } of rows) {
    const files =
      keeper === "absent" ? ["does not apply"] : [...new Set(tests.map((title) => known.get(title)!))].sort();
    const key = files.length === 0 ? "(open)" : files.join(" + ");
    byFiles.set(key, [...(byFiles.get(key) ?? []), placeOf(id).number]);
  }
  return [...byFiles].map(([files, numbers]) => `${ranges(numbers)} ${files}`).join("; ");
}

const clientRows = (version: Version): number => clientOnly[version].split(/\s+/).length;

/** The table as README.md has it between its marks. */
export function tableOf(): string {
  const known = titles();
  const bySection = new Map<string, Statement[]>();
  for (const row of statements) {
    const { section } = placeOf(row.id);
    bySection.set(section, [...(bySection.get(section) ?? []), row]);
  }
  const order = (section: string): number => section.split(".").reduce((sum, part) => sum * 100 + Number(part), 0);
  const lines = [...bySection]
    .sort(([a], [b]) => order(a) - order(b))
    .map(([section, rows]) => {
      const of = (version: Version): string =>
        cell(
          rows.filter((row) => row.version === version),
          known,
        );
      return `| ${section} ${sectionNames[section]} | ${of(4)} | ${of(5)} |`;
    });
  const count = (version: Version): number => statements.filter((row) => row.version === version).length;
  const heads = ([4, 5] as const).map((version) => {
    const name = version === 4 ? "3.1.1" : "5";
    return `${name}: ${count(version)}, and ${clientRows(version)} that bind clients alone`;
  });
  return [`| section | ${heads.join(" | ")} |`, "|---|---|---|", ...lines].join("\n");
}

/** What README.md has now. */
export function tableThere(): string {
  const text = readFileSync(readme, "utf8");
  return text.slice(text.indexOf(marks.begin) + marks.begin.length, text.indexOf(marks.end)).trim();
}

function write(): void {
  const text = readFileSync(readme, "utf8");
  const [before, after] = [text.split(marks.begin)[0]!, text.split(marks.end)[1]!];
  writeFileSync(readme, `${before}${marks.begin}\n${tableOf()}\n${marks.end}${after}`);
}

if (process.argv[1] === import.meta.filename) write();
