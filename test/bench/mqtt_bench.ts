// MQTT beside mosquitto and NATS: rounds in which the systems alternate, medians, and the ratios with their goals.
//   npm run bench:mqtt -- [--systems a,b] [--workloads dense,medium] [--rounds N] [--scale F] [--warm N]
// Each system is started anew in each round, is given `--warm` messages that are not counted, then one shape after the
// other. CPU is that of the server and its children alone.
import { execFileSync } from "node:child_process";
import path from "node:path";
import { parseArgs } from "node:util";
import { goalTable, type Run, type Shape, shapes, shapeTable } from "./mqtt_rows.ts";
import { isPresent, machine, type Running, type System, start, systems } from "./systems.ts";

const { values } = parseArgs({
  options: {
    systems: { type: "string", default: "mosquitto,nats,partidor,partidor-interval,partidor-os" },
    workloads: { type: "string", default: shapes.map(({ name }) => name).join() },
    rounds: { type: "string", default: "5" },
    scale: { type: "string", default: "1" },
    warm: { type: "string", default: "200000" },
  },
});

const scale = Number(values.scale);
const chosen = pick(values.systems, systems);
const chosenShapes = pick(values.workloads, shapes);

function pick<T extends { readonly name: string }>(names: string, all: readonly T[]): readonly T[] {
  return names.split(",").map((name) => {
    const found = all.find((one) => one.name === name);
    if (!found) throw new Error(`no ${name}: ${all.map((one) => one.name).join(", ")}`);
    return found;
  });
}

/** Runs a load generator against a system, and returns what it printed. */
function generate(running: Running, load: string, args: readonly string[]): Partial<Run> {
  const place = ["--port", String(running.port), "--pid", String(running.pid)];
  const file = path.join(import.meta.dirname, load);
  const line = execFileSync(process.execPath, [file, ...args, ...place], { encoding: "utf8", timeout: 300_000 });
  return JSON.parse(line) as Partial<Run>;
}

/** A shape is for the systems it names, and for others that were asked for as if they were `partidor`. */
function isFor(shape: Shape, { name }: System): boolean {
  return shape.systems.includes(name) || (!shapes.some((one) => one.systems.includes(name)) && asked.has(name));
}

const asked = new Set(values.systems.split(","));
const runs: Run[] = [];
const missing = new Map<string, string>();
let port = 21_800;

function measure(running: Running, system: string, shape: Shape): void {
  const count = String(Math.max(1, Math.round(shape.count * scale)));
  const flag = shape.load === "mqtt_idle.mjs" ? "--conns" : "--n";
  try {
    runs.push({ ...generate(running, shape.load, [...shape.args, flag, count]), system, shape: shape.name });
  } catch (error) {
    console.error(`${system}, ${shape.name}: ${String(error).slice(0, 300)}`);
  }
}

/** One system once: idle connections on a process of their own, whose memory nothing else has grown. */
async function visit(system: System): Promise<void> {
  const mine = chosenShapes.filter((shape) => isFor(shape, system));
  for (const isIdle of [false, true]) {
    const part = mine.filter(({ name }) => (name === "idle") === isIdle);
    if (part.length === 0) continue;
    const running = await start(system, port++);
    try {
      await new Promise((resolve) => setTimeout(resolve, 1000)); // start-up work is not what is measured
      const warm = String(Math.round(Number(values.warm) * scale));
      if (!isIdle && warm !== "0") generate(running, "mqtt_load.mjs", ["--qos", "1", "--conns", "50", "--n", warm]);
      for (const shape of part) measure(running, system.name, shape);
    } finally {
      await running.stop();
    }
  }
}

for (const system of chosen) if (!isPresent(system)) missing.set(system.name, "missing: not on this machine");
for (let round = 0; round < Number(values.rounds); round++) {
  for (const system of round % 2 === 0 ? chosen : [...chosen].reverse()) {
    if (!missing.has(system.name)) await visit(system);
  }
}

console.log(`${machine()}, medians of ${values.rounds} rounds${scale === 1 ? "" : `, scale ${scale}`}\n`);
for (const shape of chosenShapes) {
  const rows = chosen.filter((system) => isFor(shape, system)).map(({ name }) => name);
  console.log(`${shapeTable({ ...shape, systems: rows }, runs, missing)}\n`);
}
console.log(goalTable(chosenShapes, runs));
process.exit(0);
