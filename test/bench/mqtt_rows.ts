// The shapes of the MQTT bench, their goals, and the tables that tell of both.
import { median } from "./systems.ts";

/** Figures of one run, as the load generators print them. */
export interface Run {
  readonly system: string;
  readonly shape: string;
  readonly msgs?: number;
  readonly subs?: number;
  readonly msgs_per_s?: number;
  readonly delivered?: number;
  readonly puback_ms?: { readonly p50: number; readonly p99: number };
  readonly server_cpu_s_per_million?: number;
  readonly server_rss_mib_peak?: number;
  readonly generator_cpu_s_per_million?: number;
  readonly conns?: number;
  readonly connects_per_s?: number;
  readonly server_bytes_per_conn?: number;
  readonly server_rss_mib_after?: number;
  /** The load generator gave up waiting. */
  readonly note?: string;
}

interface Figure {
  readonly head: string;
  readonly of: (run: Run) => number | undefined;
  readonly digits: number;
}

const figures = {
  rate: { head: "msg/s", of: (run) => run.msgs_per_s, digits: 0 },
  cpu: { head: "server CPU s/M", of: (run) => run.server_cpu_s_per_million, digits: 2 },
  p50: { head: "p50 ms", of: (run) => run.puback_ms?.p50, digits: 3 },
  p99: { head: "p99 ms", of: (run) => run.puback_ms?.p99, digits: 2 },
  rss: { head: "peak RSS MiB", of: (run) => run.server_rss_mib_peak, digits: 0 },
  delivered: { head: "delivered %", of: deliveredPercent, digits: 2 },
  generator: { head: "generator CPU s/M", of: (run) => run.generator_cpu_s_per_million, digits: 2 },
  connects: { head: "connects/s", of: (run) => run.connects_per_s, digits: 0 },
  bytes: { head: "bytes each", of: (run) => run.server_bytes_per_conn, digits: 0 },
  idleRss: { head: "RSS MiB", of: (run) => run.server_rss_mib_after, digits: 1 },
} as const satisfies Record<string, Figure>;

type FigureName = keyof typeof figures;

/** msg/s and s/M count PUBLISHes of publishers: with 50 subscribers one of them is 50 deliveries. */
function deliveredPercent({ msgs, subs, delivered }: Run): number | undefined {
  return msgs === undefined || subs === undefined || delivered === undefined
    ? undefined
    : (100 * delivered) / (msgs * subs);
}

export interface Goal {
  readonly figure: FigureName;
  /** The goal is for the ratio to this system's figure; null: for the figure itself. */
  readonly against: string | null;
  readonly bound: "least" | "most";
  readonly limit: number;
  /** `partidor` when left out. */
  readonly subject?: string;
}

export interface Shape {
  readonly name: string;
  readonly title: string;
  readonly load: "mqtt_load.mjs" | "mqtt_idle.mjs";
  readonly args: readonly string[];
  /** Messages (connections of the idle shape), to be scaled. */
  readonly count: number;
  readonly systems: readonly string[];
  readonly shown: readonly FigureName[];
  readonly goals: readonly Goal[];
}

const peers = ["mosquitto", "nats"] as const;
const against =
  (bound: Goal["bound"]) =>
  (figure: FigureName, other: string | null, limit: number, subject = "partidor"): Goal => ({
    figure,
    against: other,
    bound,
    limit,
    subject,
  });
const least = against("least");
const most = against("most");
const closed: readonly FigureName[] = ["rate", "cpu", "p50", "p99", "rss", "generator"];
const delivering: readonly FigureName[] = ["rate", "cpu", "delivered", "p50", "p99", "rss", "generator"];
const all = [...peers, "partidor"];

/** QoS 1 unless the title says so. The first ones have everything warm for those after them. */
export const shapes: readonly Shape[] = [
  {
    name: "qos0",
    title: "QoS 0: 50 connections",
    load: "mqtt_load.mjs",
    args: ["--qos", "0", "--conns", "50"],
    count: 400_000,
    systems: all,
    shown: ["rate", "cpu", "rss", "generator"],
    goals: [least("rate", "mosquitto", 2)],
  },
  {
    name: "dense",
    title: "dense: 50 connections, window 32",
    load: "mqtt_load.mjs",
    args: ["--qos", "1", "--conns", "50", "--window", "32"],
    count: 200_000,
    systems: all,
    shown: closed,
    goals: [
      least("rate", "mosquitto", 5),
      most("cpu", "mosquitto", 1 / 4),
      least("rate", "nats", 6),
      most("cpu", "nats", 1 / 6),
      most("cpu", null, 2.5),
    ],
  },
  {
    name: "medium",
    title: "medium: 200 connections, window 4",
    load: "mqtt_load.mjs",
    args: ["--qos", "1", "--conns", "200", "--window", "4"],
    count: 150_000,
    systems: all,
    shown: closed,
    goals: [
      least("rate", "mosquitto", 1.8),
      most("cpu", "mosquitto", 1 / 2),
      least("rate", "nats", 2.5),
      most("cpu", "nats", 1 / 4),
      most("cpu", null, 5.5),
    ],
  },
  {
    name: "sparse",
    title: "sparse: 1,000 connections, window 1",
    load: "mqtt_load.mjs",
    args: ["--qos", "1", "--conns", "1000", "--window", "1"],
    count: 100_000,
    systems: all,
    shown: closed,
    goals: [
      least("rate", "mosquitto", 0.8),
      most("cpu", "mosquitto", 1.3),
      least("rate", "nats", 1.3),
      most("cpu", "nats", 0.55),
    ],
  },
  {
    name: "rate10k",
    title: "open loop, 10,000/s over 50 connections (log.fsync=interval)",
    load: "mqtt_load.mjs",
    args: ["--qos", "1", "--conns", "50", "--rate", "10000"],
    count: 20_000,
    systems: [...peers, "partidor-interval"],
    shown: closed,
    goals: [most("p99", "mosquitto", 1.5, "partidor-interval"), most("cpu", "nats", 0.6, "partidor-interval")],
  },
  {
    name: "fanout",
    title: "fan-out: 1 publisher with window 8, 50 subscribers",
    load: "mqtt_load.mjs",
    args: ["--qos", "1", "--conns", "1", "--window", "8", "--subs", "50"],
    count: 4_000,
    systems: all,
    shown: delivering,
    goals: [
      least("rate", "mosquitto", 4),
      most("cpu", "mosquitto", 1 / 4),
      least("rate", "nats", 1.5),
      most("cpu", "nats", 0.6),
    ],
  },
  {
    name: "forward",
    title: "forward: 50 publishers with window 32, 1 subscriber",
    load: "mqtt_load.mjs",
    args: ["--qos", "1", "--conns", "50", "--window", "32", "--subs", "1"],
    count: 100_000,
    systems: all,
    shown: delivering,
    goals: [
      least("rate", "mosquitto", 5),
      most("cpu", "mosquitto", 1 / 5),
      least("rate", "nats", 4),
      most("cpu", "nats", 1 / 5),
    ],
  },
  {
    name: "single",
    title: "one connection, window 1",
    load: "mqtt_load.mjs",
    args: ["--qos", "1", "--conns", "1", "--window", "1"],
    count: 5_000,
    systems: [...all, "partidor-os"],
    shown: ["rate", "cpu", "p50", "p99"],
    goals: [most("p50", null, 0.45), most("p50", null, 0.12, "partidor-os")],
  },
  {
    name: "idle",
    title: "idle connections",
    load: "mqtt_idle.mjs",
    args: ["--settle", "2"],
    count: 10_000,
    systems: all,
    shown: ["bytes", "idleRss", "connects"],
    goals: [
      most("bytes", "nats", 1 / 3),
      most("bytes", null, 8_192),
      most("idleRss", null, 160),
      least("connects", null, 6_000),
    ],
  },
];

/** The median of a figure; NaN when there was no run. */
export function medianOf(runs: readonly Run[], shape: Shape, system: string, figure: FigureName): number {
  const mine = runs.filter((run) => run.shape === shape.name && run.system === system);
  return median(mine.map((run) => figures[figure].of(run) ?? Number.NaN));
}

const shown = (value: number, digits: number): string => (Number.isNaN(value) ? "-" : value.toFixed(digits));

/** What was measured of one shape; systems without a run say why. */
export function shapeTable(shape: Shape, runs: readonly Run[], missing: ReadonlyMap<string, string>): string {
  const heads = shape.shown.map((name) => figures[name].head);
  const rows = shape.systems.map((system) => {
    const why = missing.get(system);
    if (why !== undefined) return `| ${system} | ${why} |${" |".repeat(heads.length - 1)}`;
    const cells = shape.shown.map((name) => shown(medianOf(runs, shape, system, name), figures[name].digits));
    const stalled = runs.some((run) => run.shape === shape.name && run.system === system && run.note !== undefined);
    return `| ${system}${stalled ? " (stalled)" : ""} | ${cells.join(" | ")} |`;
  });
  const line = `|---|${heads.map(() => "---").join("|")}|`;
  return [`### ${shape.title}`, "", `| system | ${heads.join(" | ")} |`, line, ...rows].join("\n");
}

export interface Judged {
  readonly value: number;
  /** null: it was not measured. */
  readonly isKept: boolean | null;
}

export function judge(goal: Goal, shape: Shape, runs: readonly Run[]): Judged {
  const own = medianOf(runs, shape, goal.subject ?? "partidor", goal.figure);
  const value = goal.against === null ? own : own / medianOf(runs, shape, goal.against, goal.figure);
  if (!Number.isFinite(value)) return { value: Number.NaN, isKept: null };
  return { value, isKept: goal.bound === "least" ? value >= goal.limit : value <= goal.limit };
}

/** Every goal with what was measured for it. */
export function goalTable(chosen: readonly Shape[], runs: readonly Run[]): string {
  const rows = chosen.flatMap((shape) =>
    shape.goals.map((goal) => {
      const { value, isKept } = judge(goal, shape, runs);
      const { head, digits } = figures[goal.figure];
      const isRatio = goal.against !== null;
      const told = (number: number): string =>
        shown(number, isRatio ? 2 : digits) + (isRatio && !Number.isNaN(number) ? "x" : "");
      const what = isRatio ? `${head}, to ${goal.against}` : head;
      const by = goal.subject === "partidor" ? "" : ` (${goal.subject})`;
      const sign = goal.bound === "least" ? ">=" : "<=";
      const verdict = isKept === null ? "not measured" : isKept ? "kept" : "**missed**";
      return `| ${shape.name} | ${what}${by} | ${told(value)} | ${sign} ${told(goal.limit)} | ${verdict} |`;
    }),
  );
  return ["### Goals", "", "| shape | figure | measured | goal | |", "|---|---|---|---|---|", ...rows].join("\n");
}
