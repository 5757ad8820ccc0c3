// Runs the model over the Numenta Anomaly Benchmark's series (NAB_DATA=<folder with windows.json>) and prints scores.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { alertThreshold, newSeries, observe } from "../../subscribers/ml/model.ts";
import { bestScore, type Scored, scoreAt } from "../../subscribers/ml/score_nab.ts";

const here = path.dirname(fileURLToPath(import.meta.url));
const folder = process.env.NAB_DATA ?? path.join(here, "../../../shared/data/nab");

interface Series {
  readonly name: string;
  readonly times: number[];
  readonly values: number[];
  readonly windows: [number, number][];
}

const timeOf = (text: string): number => Date.parse(`${text.slice(0, 19).replace(" ", "T")}Z`);

function load(name: string, labels: [string, string][]): Series {
  const lines = readFileSync(path.join(folder, name), "utf8").trim().split("\n").slice(1);
  const times = lines.map((line) => timeOf(line.split(",")[0]!));
  const values = lines.map((line) => Number(line.split(",")[1]));
  const windows = labels.map(([first, last]): [number, number] => {
    const [from, to] = [timeOf(first), timeOf(last)];
    return [times.findIndex((time) => time >= from), times.findLastIndex((time) => time <= to)];
  });
  return { name, times, values, windows };
}

function scoresOf(series: Series): number[] {
  const state = newSeries();
  return series.times.map((time, i) => observe(state, time, series.values[i]!).score);
}

if (!existsSync(path.join(folder, "windows.json"))) {
  console.log(`nab_bench: no data in ${folder}; set NAB_DATA to a folder with windows.json and the series`);
} else {
  const labels = JSON.parse(readFileSync(path.join(folder, "windows.json"), "utf8")) as Record<
    string,
    [string, string][]
  >;
  const corpus = Object.entries(labels)
    .filter(([name]) => existsSync(path.join(folder, name)))
    .map(([name, windows]) => load(name, windows));
  const start = process.cpuUsage();
  const scored: Scored[] = corpus.map((series) => ({ scores: scoresOf(series), windows: series.windows }));
  const used = process.cpuUsage(start);
  let state = 12345;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const chance = corpus.map((series) => ({ scores: series.values.map(random), windows: series.windows }));
  const rows = corpus.reduce((sum, series) => sum + series.values.length, 0);
  const best = bestScore(scored);
  const own = scoreAt(scored, alertThreshold);
  const print = (name: string, value: ReturnType<typeof bestScore>): void =>
    console.log(
      `${name.padEnd(30)} ${value.score.toFixed(1).padStart(6)}  threshold ${value.threshold.toFixed(4)}  ` +
        `${value.hits} of ${value.windows} windows, ${value.falseAlarms} false rows`,
    );
  console.log(`${corpus.length} series, ${rows} rows, ${((used.user + used.system) / rows).toFixed(2)} us a row`);
  print("model, best threshold", best);
  print("model, shipped threshold", own);
  print("chance, best threshold", bestScore(chance));
  print("silence", scoreAt(chance, 2));
  if (process.argv.includes("--each")) {
    corpus.forEach((series, i) =>
      print(path.basename(series.name).slice(0, 29), scoreAt([scored[i]!], best.threshold)),
    );
  }
}
