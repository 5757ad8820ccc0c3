// What each client was tested with and how it ended: noted by every suite, put into README.md by the run.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { root } from "../tools/hub_process.ts";
import { type ClientName, clients, Missing, mayLeaveOut } from "./clients.ts";

const notes = path.join(root, "test/.runs/compat");
const readme = path.join(root, "test/compat/README.md");

interface Note {
  readonly client: ClientName;
  readonly call: string;
  readonly good: boolean;
}

const noted: Note[] = [];
const leftOut = new Set<string>();

process.on("exit", () => {
  if (noted.length === 0) return;
  mkdirSync(notes, { recursive: true });
  const name = path.basename(process.argv[1] ?? "unknown", ".ts");
  writeFileSync(path.join(notes, `${name}.json`), JSON.stringify(noted));
});

/** One test and one entry of the table; `call` is "area: what", as "producer: acks 0". */
export function compat(client: ClientName, call: `${string}: ${string}`, body: () => Promise<void> | void): void {
  void test(`${client}, ${call}`, async () => {
    try {
      await body();
      noted.push({ client, call, good: true });
    } catch (error) {
      if (error instanceof Missing && mayLeaveOut) {
        if (!leftOut.has(client)) console.log(`left out, ${client}: ${error.message}`);
        leftOut.add(client);
        return;
      }
      noted.push({ client, call, good: false });
      throw error;
    }
  });
}

/** Forgets what earlier runs noted. */
export function clearNotes(): void {
  rmSync(notes, { recursive: true, force: true });
}

const [begin, end] = ["<!-- written by the run: begin -->", "<!-- written by the run: end -->"];

/** Areas come in this order, others behind them as they were noted. */
const areaOrder = ["producer", "consumer", "group", "new group protocol", "transactions", "admin"];

function row(name: ClientName, all: readonly Note[]): string {
  const { language, from, version } = clients.find((client) => client.name === name)!;
  const areas = new Map<string, string[]>();
  for (const { call } of all) {
    const [, area, what] = /^([^:]+): (.*)$/.exec(call)!;
    areas.set(area!, [...(areas.get(area!) ?? []), what!]);
  }
  const place = (area: string): number => (areaOrder.includes(area) ? areaOrder.indexOf(area) : areaOrder.length);
  const inOrder = [...areas].sort(([one], [other]) => place(one) - place(other));
  const calls = inOrder.map(([area, whats]) => `**${area}** ${whats.join("; ")}`).join("<br>");
  const bad = all.filter(({ good }) => !good).map(({ call }) => call);
  const result = bad.length === 0 ? `all ${all.length} pass` : `${bad.length} of ${all.length} fail: ${bad.join("; ")}`;
  return `| ${name} | ${version()} | ${language} | ${from} | ${calls} | ${result} |`;
}

/** Puts the rows of this run into README.md, others stay; the file is written only when that changes it. */
export function writeTable(): void {
  if (!existsSync(notes)) return;
  const all = readdirSync(notes)
    .sort()
    .flatMap((name) => JSON.parse(readFileSync(path.join(notes, name), "utf8")) as Note[]);
  const text = readFileSync(readme, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  const old = text.slice(from, to).split("\n");
  const rows = clients.flatMap(({ name }) => {
    const own = all.filter((note) => note.client === name);
    return own.length > 0 ? [row(name, own)] : old.filter((line) => line.startsWith(`| ${name} |`));
  });
  const head = ["| client | version | language | from | calls tested | result |", "|---|---|---|---|---|---|"];
  const written = `${text.slice(0, from)}${[begin, "", ...head, ...rows, "", ""].join("\n")}${text.slice(to)}`;
  if (written !== text) writeFileSync(readme, written);
}
