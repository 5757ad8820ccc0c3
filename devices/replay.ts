// Recorded sensor series: reads the files of recorded/ and plays them in a loop from a phase of one's own.
import { readFileSync } from "node:fs";
import { nameProblem } from "./topics.ts";

/** One metric of a recorded station. */
export interface Series {
  readonly metric: string;
  readonly unit: string;
  /** At least one value; of the same length in all series of a station. */
  readonly values: Float64Array;
}

/** What one recorded place measured: rows of all its metrics, in the order of time. */
export interface Station {
  readonly name: string;
  readonly series: readonly Series[];
  readonly rows: number;
}

const stationFiles = ["machine", "office", "road_t4013", "weather_seattle", "weather_new_york"] as const;

/**
 * Reads the format of recorded/: lines that begin with `#` say where the values come from, then one line
 * `metric:unit,...`, then one line of numbers per point of time.
 * @throws Error that names the station and line.
 */
export function parseStation(name: string, text: string): Station {
  const lines = text.split("\n");
  let at = 0;
  while (lines[at]?.startsWith("#")) at++;
  const columns = (lines[at] ?? "").split(",").map((column) => column.split(":", 2));
  const rows: number[][] = [];
  for (let line = at + 1; line < lines.length; line++) {
    if (lines[line] === "") continue;
    const cells = lines[line]!.split(",").map((cell) => (cell === "" ? Number.NaN : Number(cell)));
    if (cells.length !== columns.length || !cells.every(Number.isFinite)) {
      throw new Error(`recorded station ${name}, line ${line + 1}: expected ${columns.length} number(s)`);
    }
    rows.push(cells);
  }
  if (rows.length === 0) throw new Error(`recorded station ${name} holds no values`);
  const series = columns.map(([metric = "", unit = ""], column) => {
    const problem = nameProblem(metric);
    if (problem !== null) throw new Error(`recorded station ${name}: bad metric ${JSON.stringify(metric)}: ${problem}`);
    return { metric, unit, values: Float64Array.from(rows, (cells) => cells[column]!) };
  });
  return { name, series, rows: rows.length };
}

/** All stations of recorded/ (some 130 KiB). */
export function recordedStations(): Station[] {
  return stationFiles.map((name) => {
    const file = new URL(`./recorded/${name}.csv`, import.meta.url);
    return parseStation(name, readFileSync(file, "utf8"));
  });
}

/** Row after row in a loop, beginning at `phase` in [0, 1) of the recording. */
export function* replay(station: Station, phase: number): Generator<number[]> {
  for (let row = Math.floor(phase * station.rows) % station.rows; ; row = (row + 1) % station.rows) {
    yield station.series.map((series) => series.values[row]!);
  }
}
