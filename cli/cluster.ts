// `partidor cluster`: status, leader, reassign, drain, remove, replace, elect.
import type { Admin, ClusterAdmin, TopicDescription } from "../hub/mod.ts";
import { type Command, hubFlags, type Input, runGroup } from "./command.ts";
import { CliError, type ExitCode, exit, UsageError } from "./exit.ts";
import { findTopic, withAdmin } from "./hub_client.ts";
import { durationText, Progress, printJson, printRows, type Row, tableOf } from "./output.ts";

const lookMs = 250;
const waitFlag = { "wait-s": { value: "N", doc: "Seconds to wait for the end of it; 600 when left out, 0 for none." } };

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** "1,2,3" as hubs, the preferred leader first. @throws UsageError */
export function hubsOf(text: string): number[] {
  const hubs = text.split(",").map((one) => (/^\d{1,2}$/.test(one.trim()) ? Number(one) : Number.NaN));
  if (hubs.every((hub) => hub <= 63) && new Set(hubs).size === hubs.length) return hubs;
  throw new UsageError(`hubs are numbers like 1,2,3, each once, not ${JSON.stringify(text)}`);
}

function hubOf(input: Input): number {
  const [hub, more] = hubsOf(input.args[0]!);
  if (more !== undefined) throw new UsageError("name one hub");
  return hub!;
}

/** TOPIC or TOPIC PARTITION as partitions. */
async function placesOf(admin: Admin, name: string, partition: string | undefined) {
  const topic = await findTopic(admin, name);
  const only = partition === undefined ? null : Number(partition);
  const found = topic.partitions.filter((one) => only === null || one.partition === only);
  if (found.length > 0) return found.map((one) => ({ topic: name, ...one }));
  throw new CliError(exit.notFound, `topic ${JSON.stringify(name)} has no partition ${partition}`);
}

type State = "ok" | "few in sync" | "no leader";

function stateOf({ leader, inSync, replicas }: TopicDescription["partitions"][number]): State {
  if (leader < 0) return "no leader";
  return inSync.length < replicas.length ? "few in sync" : "ok";
}

interface HubRow extends Row {
  readonly hub: number;
  readonly state: string;
}

async function hubRows(cluster: ClusterAdmin, topics: readonly TopicDescription[]): Promise<HubRow[]> {
  const { controller, hubs } = await cluster.describe();
  const partitions = topics.flatMap((topic) => topic.partitions);
  return await Promise.all(
    hubs.map(async ({ hub, host, port, rack, alive }) => {
      const folder = alive ? await cluster.folder(hub).catch(() => null) : null;
      return {
        hub,
        state: alive ? "alive" : "down",
        controller: hub === controller,
        address: `${host}:${port}`,
        rack,
        leads: partitions.filter(({ leader }) => leader === hub).length,
        replicas: partitions.filter(({ replicas }) => replicas.includes(hub)).length,
        lagging: partitions.filter(({ replicas, inSync }) => replicas.includes(hub) && !inSync.includes(hub)).length,
        logBytes: folder?.logBytes ?? null,
        freeBytes: folder?.freeBytes ?? null,
      };
    }),
  );
}

async function status(input: Input): Promise<ExitCode> {
  return withAdmin(input, async (admin) => {
    const cluster = admin.cluster();
    const [{ clusterId, controller }, topics, moves] = [
      await cluster.describe(),
      await admin.topics(),
      await cluster.reassignments(),
    ];
    const hubs = await hubRows(cluster, topics);
    const all = topics.flatMap(({ name, partitions }) =>
      partitions.map((one) => ({ topic: name, ...one, state: stateOf(one) })),
    );
    const [offline, few] = (["no leader", "few in sync"] as const).map((state) =>
      all.filter((one) => one.state === state),
    );
    const well = offline!.length + few!.length === 0 && hubs.every(({ state }) => state === "alive") && controller >= 0;
    const { terminal } = input;
    const counts = { partitions: all.length, noLeader: offline!.length, fewInSync: few!.length, moving: moves.length };
    if (terminal.json) {
      printJson(terminal, { event: "cluster", clusterId, controller, ...counts, degraded: !well });
      for (const hub of hubs) printJson(terminal, { event: "hub", ...hub });
      for (const one of [...offline!, ...few!]) printJson(terminal, { event: "partition", ...one });
      for (const move of moves) printJson(terminal, { event: "move", ...move });
      return well ? exit.ok : exit.degraded;
    }
    const seat = controller < 0 ? "none" : `hub ${controller}`;
    terminal.write(`cluster ${clusterId}  controller ${seat}  partitions ${all.length}\n`);
    const columns = [
      "hub",
      "state",
      "controller",
      "address",
      "rack",
      "leads",
      "replicas",
      "lagging",
      "logBytes",
      "freeBytes",
    ];
    terminal.write(tableOf(columns, hubs, terminal.width, terminal.color));
    const bad = [...offline!, ...few!];
    if (bad.length > 0) {
      const shown = ["topic", "partition", "state", "leader", "replicas", "inSync"];
      terminal.write(`\n${tableOf(shown, bad, terminal.width, terminal.color)}`);
    }
    if (moves.length > 0) {
      const shown = ["topic", "partition", "replicas", "adding", "removing"];
      terminal.write(`\n${tableOf(shown, moves as unknown as Row[], terminal.width, terminal.color)}`);
    }
    return well ? exit.ok : exit.degraded;
  });
}

async function leader(input: Input): Promise<ExitCode> {
  const [topic, partition, to] = input.args as [string, string?, string?];
  return withAdmin(input, async (admin) => {
    const places = await placesOf(admin, topic, partition);
    if (to === undefined) {
      const rows = places.map(({ partition: number, leader: now, leaderEpoch, replicas, inSync }) => {
        const preferred = replicas[0] ?? null;
        return { topic, partition: number, leader: now, preferred, leaderEpoch, replicas, inSync };
      });
      const columns = ["topic", "partition", "leader", "preferred", "leaderEpoch", "replicas", "inSync"];
      printRows(input.terminal, columns, rows, "");
      return rows.some((row) => row.leader < 0) ? exit.degraded : exit.ok;
    }
    const [hub] = hubsOf(to);
    return told(input, await admin.cluster().elect("preferred", places, hub!));
  });
}

async function elect(input: Input): Promise<ExitCode> {
  const [topic, partition] = input.args as [string, string?];
  const kind = input.has("unclean") ? "unclean" : "preferred";
  return withAdmin(input, async (admin) => {
    const places = await placesOf(admin, topic, partition);
    return told(input, await admin.cluster().elect(kind, places));
  });
}

/** Says how elections ended. One that was not needed is as good as one that was won. */
function told(input: Input, results: Awaited<ReturnType<ClusterAdmin["elect"]>>): ExitCode {
  const good = (error: string): boolean => error === "NONE" || error === "ELECTION_NOT_NEEDED";
  const rows = results.map(({ topic, partition, error, message }) => {
    const result = error === "NONE" ? "elected" : error === "ELECTION_NOT_NEEDED" ? "as it was" : "failed";
    return { topic, partition, result, why: good(error) ? null : (message ?? error), error };
  });
  printRows(input.terminal, ["topic", "partition", "result", "why"], rows, "");
  return rows.every(({ error }) => good(error)) ? exit.ok : exit.unavailable;
}

async function reassign(input: Input): Promise<ExitCode> {
  const [topic, partition] = input.args as [string, string?];
  const to = input.text("to");
  const cancels = input.has("cancel");
  if ((to === undefined) === !cancels) throw new UsageError("give --to HUBS or --cancel");
  const hubs = to === undefined ? null : hubsOf(to);
  return withAdmin(input, async (admin) => {
    const cluster = admin.cluster();
    const places = await placesOf(admin, topic, partition);
    await cluster.reassign(places.map((place) => ({ topic, partition: place.partition, hubs })));
    const numbers = new Set(places.map((place) => place.partition));
    const left = async (): Promise<number> => {
      const moves = await cluster.reassignments();
      return moves.filter((move) => move.topic === topic && numbers.has(move.partition)).length;
    };
    const ended = await waitFor(input, `moving ${topic}`, places.length, left);
    say(input, { event: cancels ? "cancelled" : ended ? "moved" : "moving", topic, partitions: places.length, hubs });
    return exit.ok;
  });
}

/** Waits until nothing is left; false when it was not to be waited for. @throws CliError 5 when it takes too long */
async function waitFor(input: Input, what: string, total: number, left: () => Promise<number>): Promise<boolean> {
  const seconds = input.number("wait-s", 0, 1_000_000) ?? 600;
  if (seconds === 0) return false;
  const progress = new Progress(what, total);
  try {
    for (const end = performance.now() + seconds * 1_000; performance.now() < end; await pause(lookMs)) {
      const open = await left();
      if (open === 0) return true;
      progress.at(Math.max(0, total - open));
    }
  } finally {
    progress.end();
  }
  const remedy = "It goes on by itself: `partidor cluster status` shows it.";
  throw new CliError(exit.unavailable, `${what} is not done after ${durationText(seconds * 1_000)}`, remedy);
}

function say(input: Input, row: Row): void {
  if (input.terminal.json) printJson(input.terminal, row);
  else
    input.terminal.write(
      `${Object.values(row)
        .filter((value) => value !== null)
        .join(" ")}\n`,
    );
}

const words = {
  drain: ["draining", "drained"],
  remove: ["draining", "removed"],
  replace: ["replacing", "replaced"],
} as const;

/** Asks until the hub holds nothing any more. */
async function leave(input: Input, how: "drain" | "remove" | "replace"): Promise<ExitCode> {
  const hub = hubOf(input);
  return withAdmin(input, async (admin) => {
    const cluster = admin.cluster();
    const { hubs } = await cluster.describe();
    if (!hubs.some((one) => one.hub === hub)) {
      const remedy = "`partidor cluster status` shows the hubs.";
      throw new CliError(exit.notFound, `there is no hub ${hub} in this cluster`, remedy);
    }
    if (input.has("cancel")) {
      await cluster.leave(hub, "return");
      say(input, { event: "stays", hub });
      return exit.ok;
    }
    const count = (text: string | null): number => (text === null ? 0 : Number(/^\D*(\d+)/.exec(text)?.[1] ?? 1));
    const first = await cluster.leave(hub, how);
    const left = async (): Promise<number> => count(await cluster.leave(hub, how));
    const [during, after] = words[how];
    const ended = first === null || (await waitFor(input, `${during} hub ${hub}`, count(first), left));
    say(input, { event: ended ? after : during, hub });
    return exit.ok;
  });
}

export const commands: readonly Command[] = [
  {
    name: "cluster status",
    summary: "Show hubs, who leads, and what is not as it should be.",
    takes: [],
    flags: hubFlags,
    notes: ["Exit code 7 when a hub is down, or a partition has no leader or too few in sync."],
    run: status,
  },
  {
    name: "cluster leader",
    summary: "Show who leads a topic, or hand leadership to a hub.",
    takes: ["TOPIC", "[PARTITION]", "[HUB]"],
    flags: hubFlags,
    run: leader,
  },
  {
    name: "cluster reassign",
    summary: "Move a topic, or one partition, to other hubs; also how the number of copies changes.",
    takes: ["TOPIC", "[PARTITION]"],
    flags: {
      ...hubFlags,
      to: { value: "HUBS", doc: "Hubs that are to have it, the preferred leader first: 2,3,1." },
      cancel: { doc: "Call off what is under way." },
      ...waitFlag,
    },
    notes: ["Reads and writes go on meanwhile. follower.replication.throttled.rate bounds what copying takes."],
    run: reassign,
  },
  {
    name: "cluster drain",
    summary: "Move everything away from a hub; it stays in the cluster.",
    takes: ["HUB"],
    flags: { ...hubFlags, cancel: { doc: "Let it have replicas again." }, ...waitFlag },
    run: (input) => leave(input, "drain"),
  },
  {
    name: "cluster remove",
    summary: "Move everything away from a hub and take it out of the cluster.",
    takes: ["HUB"],
    flags: { ...hubFlags, ...waitFlag },
    notes: ["Refused where fewer copies would be left than min.insync.replicas asks for."],
    run: (input) => leave(input, "remove"),
  },
  {
    name: "cluster replace",
    summary: "Let a hub's new folder stand in for the one it lost, where every replica has to hold a record.",
    takes: ["HUB"],
    flags: { ...hubFlags, ...waitFlag },
    notes: [
      "Where min.insync.replicas is below the number of copies that happens by itself.",
      "The old folder must never be started again: nothing would tell it that it was given up.",
    ],
    run: (input) => leave(input, "replace"),
  },
  {
    name: "cluster elect",
    summary: "Elect leaders: the preferred ones, or with --unclean whoever is left.",
    takes: ["TOPIC", "[PARTITION]"],
    flags: { ...hubFlags, unclean: { doc: "Accept that acknowledged records may be lost, where nobody leads." } },
    run: elect,
  },
];

export function run(argv: string[]): Promise<number> {
  return runGroup("cluster", commands, argv);
}
