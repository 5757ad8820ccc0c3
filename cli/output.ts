// What a verb prints: a table on a terminal, NDJSON with --json, progress and notes on stderr.

/** One line of output; values are plain data. */
export type Row = Readonly<Record<string, unknown>>;

export interface Terminal {
  readonly json: boolean;
  readonly color: boolean;
  /** Columns of the terminal; Infinity when stdout is none: then nothing is cut. */
  readonly width: number;
  readonly write: (text: string) => void;
  readonly note: (text: string) => void;
}

interface Out extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Where the verbs read and write; a test puts its own streams here and runs a verb in its own process. */
export const streams: { in: NodeJS.ReadableStream; out: Out; err: Out } = {
  in: process.stdin,
  out: process.stdout,
  err: process.stderr,
};

/** The terminal of this process. NO_COLOR (any value but the empty one) turns colour off. */
export function openTerminal(json: boolean): Terminal {
  const { env } = process;
  const { out: stdout, err: stderr } = streams;
  return {
    json,
    color: stdout.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb",
    width: stdout.isTTY ? (stdout.columns ?? 80) : Infinity,
    write: (text) => void stdout.write(text),
    note: (text) => void stderr.write(text),
  };
}

/** Text from outside may hold escape sequences: control characters are shown, not obeyed. */
export function safeText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.charCodeAt(0);
    const short = { 9: "\\t", 10: "\\n", 13: "\\r" }[code];
    return short ?? (code < 256 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`);
  });
}

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, "0");

function cellText(value: unknown): string {
  if (value === null || value === undefined || value === "") return "-";
  if (typeof value === "number")
    return Number.isInteger(value) ? grouped(value) : String(Math.round(value * 1000) / 1000);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.length === 0 ? "-" : value.map((item) => safeText(String(item))).join(",");
  return safeText(String(value));
}

/** 1234567 -> "1 234 567". */
export function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, " ");
}

/** A table of the given columns: names in capitals, numbers to the right, lines cut to `width`. */
export function tableOf(columns: readonly string[], rows: readonly Row[], width = Infinity, color = false): string {
  const cells = rows.map((row) => columns.map((column) => cellText(row[column])));
  const right = columns.map((column) => rows.length > 0 && rows.every((row) => isNumeric(row[column])));
  const titles = columns.map((column) => column.replace(/([A-Z])/g, " $1").toUpperCase());
  const sizes = titles.map((title, i) => Math.max(title.length, ...cells.map((line) => line[i]!.length)));
  const lineOf = (line: readonly string[]): string => {
    const padded = line.map((text, i) => (right[i] ? text.padStart(sizes[i]!) : text.padEnd(sizes[i]!)));
    const text = padded.join("  ").trimEnd();
    return text.length > width ? `${text.slice(0, Math.max(1, width - 1))}\u2026` : text;
  };
  const head = lineOf(titles);
  return `${[color ? `\u001b[1m${head}\u001b[22m` : head, ...cells.map(lineOf)].join("\n")}\n`;
}

function isNumeric(value: unknown): boolean {
  return value === null || value === undefined || typeof value === "number";
}

/** Prints rows: NDJSON holds every field, the table the given columns. `empty` is said when there are none. */
export function printRows(terminal: Terminal, columns: readonly string[], rows: readonly Row[], empty: string): void {
  if (terminal.json) {
    for (const row of rows) printJson(terminal, row);
  } else if (rows.length === 0) {
    terminal.note(`${empty}\n`);
  } else {
    terminal.write(tableOf(columns, rows, terminal.width, terminal.color));
  }
}

/** One line of NDJSON. */
export function printJson(terminal: Terminal, row: Row): void {
  terminal.write(`${JSON.stringify(row)}\n`);
}

/** 93_784_000 -> "1d 2h"; the two largest units. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`;
  const units: readonly [string, number][] = [
    ["d", 86_400],
    ["h", 3_600],
    ["m", 60],
    ["s", 1],
  ];
  let rest = Math.round(ms / 1_000);
  const parts: string[] = [];
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0 || parts.length > 0) parts.push(`${count}${unit}`);
    if (parts.length === 2) break;
  }
  return parts.filter((part, i) => i === 0 || !part.startsWith("0")).join(" ");
}

const quietMs = 2_000;
const redrawMs = 250;

/** Rate and ETA on stderr for what takes longer than 2 s; says nothing when stderr is no terminal. */
export class Progress {
  readonly #what: string;
  readonly #total: number | null;
  readonly #now: () => number;
  readonly #write: ((text: string) => void) | null;
  readonly #started: number;
  #drawnAt: number;
  #drawn = false;

  /** @param total how much there is in all; null when it is not known. */
  constructor(what: string, total: number | null, write = stderrOf(), now: () => number = () => performance.now()) {
    this.#what = what;
    this.#total = total;
    this.#now = now;
    this.#write = write;
    this.#started = now();
    this.#drawnAt = this.#started;
  }

  /** Call as often as you like. */
  at(done: number): void {
    const now = this.#now();
    if (this.#write === null || now - this.#started < quietMs || now - this.#drawnAt < redrawMs) return;
    this.#drawnAt = now;
    this.#drawn = true;
    this.#write(`\r\u001b[K${progressText(this.#what, done, this.#total, now - this.#started)}`);
  }

  end(): void {
    if (this.#drawn) this.#write?.("\r\u001b[K");
  }
}

function stderrOf(): ((text: string) => void) | null {
  return streams.err.isTTY ? (text) => void streams.err.write(text) : null;
}

/** "records  4 200 of 10 000 (42%)  2 100/s  ETA 3s". */
export function progressText(what: string, done: number, total: number | null, elapsedMs: number): string {
  const rate = done / Math.max(elapsedMs / 1_000, 0.001);
  const speed = `${grouped(Math.round(rate))}/s`;
  if (total === null || total <= 0) return `${what}  ${grouped(done)}  ${speed}`;
  const share = Math.min(1, done / total);
  const bar = "#".repeat(Math.floor(share * 20)).padEnd(20, ".");
  const eta = rate > 0 ? durationText(((total - done) / rate) * 1_000) : "?";
  return `${what}  [${bar}] ${grouped(done)} of ${grouped(total)} (${Math.floor(share * 100)}%)  ${speed}  ETA ${eta}`;
}
