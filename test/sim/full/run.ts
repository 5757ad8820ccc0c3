// One seed, whole: hubs start, clients work, things go wrong, everything heals, and all invariants are demanded.
import { Codec, loadCodec } from "../../../hub/io/compression.ts";
import { Faults, type Pace } from "./faults.ts";
import { Final } from "./final.ts";
import { History } from "./history.ts";
import { Stage } from "./stage.ts";
import { Watch } from "./watch.ts";
import { type TopicPlan, Workload } from "./workload.ts";
import { Violation, World } from "./world.ts";

export interface RunOptions {
  readonly print?: (line: string) => void;
  /** Kinds of faults instead of those the seed draws; none for a calm run. */
  readonly faults?: readonly string[];
  /** Numbers of the faults that happen, of all that the seed draws (shrink.ts). */
  readonly only?: ReadonlySet<number>;
  readonly faultMs?: number;
}

export interface RunResult {
  readonly seed: number;
  readonly violation: string | null;
  readonly hash: string;
  readonly events: number;
  readonly acks: number;
  readonly reads: number;
  readonly commits: number;
  readonly faults: number;
  readonly simulatedMs: number;
  readonly tail: readonly string[];
}

/** How long after the last fault a leader may be missing, and anything else may not be whole (I16 Liveness). */
const leaderMsMax = 20_000;
const startMsMax = 10_000;
const wholeMsMax = 60_000;
/** Below the rebalance timeout: who is dead is known by its session. */
const readMsMax = 40_000;

interface Plan {
  readonly hubs: number;
  readonly topics: TopicPlan[];
  readonly faultMs: number;
  readonly pace: Pace;
}

/** Most seeds are short, with one fault close upon another; some see long outages, and much of the time between. */
function plan(world: World): Plan {
  const hubs = world.pick([3, 3, 3, 3, 3, 3, 1, 2, 4, 5]);
  const factor = Math.min(hubs, 3);
  const m = hubs === 1 ? 1 : hubs === 2 ? 1 + world.int(2) : 2;
  const topics: TopicPlan[] = [{ name: "orders", partitions: 1 + world.int(3), factor, m }];
  if (world.int(2) === 0) topics.push({ name: "states", partitions: 1, factor, m: hubs >= 3 ? 1 + world.int(3) : m });
  if (world.int(25) === 0) {
    return { hubs, topics, faultMs: 60_000, pace: { gapMsMax: 6000, lastsMsMax: 12_000, keepMs: 5000 } };
  }
  return { hubs, topics, faultMs: 8000, pace: { gapMsMax: 1600, lastsMsMax: 4000, keepMs: 1000 } };
}

export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  await loadCodec(Codec.Zstd); // where it is compiled, that is no event of a world
  const world = new World(seed, options.print ?? null);
  const history = new History(world);
  let faults: Faults | null = null;
  const rejected = (error: unknown): void => {
    if (
      (error as Error).message?.includes("machine stops") ||
      (error as Error).message?.includes("machine has stopped")
    )
      return;
    world.violated("unhandled rejection", String((error as Error)?.stack ?? error));
  };
  process.on("unhandledRejection", rejected);
  try {
    const { hubs, topics, faultMs, pace } = plan(world);
    for (const { name, m } of topics) if (m === 1 && hubs > 1) history.weak.add(name);
    world.say(
      `seed ${seed}: ${hubs} hubs, ${topics.map((one) => `${one.name} x${one.partitions} m=${one.m}`).join(", ")}`,
    );
    const stage = new Stage(world, { hubs });
    const watch = new Watch(stage);
    world.after = () => {
      const hub = stage.hubs.find(({ machine }) => machine === world.current);
      if (hub) watch.look(hub);
    };
    stage.heard = (hub, event, fields) => {
      if (event === "hw_truncation" && !history.isWeak(`${fields["topic"]}-0`)) {
        world.violated("I8 NoTruncateBelowHw", `${hub.machine.name}: ${JSON.stringify(fields)}`);
      }
    };
    for (const hub of stage.hubs) world.time.after(world.int(500), () => stage.start(hub));
    await world.run(startMsMax, () => stage.hubs.every(({ started }) => started));
    const workload = new Workload(stage, history, topics);
    await world.settle(workload.makeTopics(), 30_000);
    workload.start();
    await world.run(1000);
    faults = new Faults(stage, workload, { pace, kinds: options.faults ?? null, only: options.only ?? null });
    world.say(`faults: ${faults.allowed.join(" ")}`);
    faults.start();
    await world.run(options.faultMs ?? faultMs);
    faults.heal();
    await settleDown(world, stage, workload, history, topics);
  } catch (error) {
    if (!(error instanceof Violation)) world.violated("run", String((error as Error).stack));
  } finally {
    process.off("unhandledRejection", rejected);
  }
  return {
    seed,
    violation: world.violation?.message ?? null,
    hash: world.hash,
    events: world.events,
    acks: history.acks,
    reads: history.reads,
    commits: history.commits,
    faults: faults?.count ?? 0,
    simulatedMs: world.now,
    tail: world.tail,
  };
}

async function settleDown(
  world: World,
  stage: Stage,
  workload: Workload,
  history: History,
  topics: readonly TopicPlan[],
): Promise<void> {
  const final = new Final(stage, history, topics);
  const until = async (msMax: number, missing: () => string | null): Promise<void> => {
    const end = world.now + msMax;
    while (missing() !== null && world.now < end) await world.run(250);
    const still = missing();
    if (still !== null) world.violated("I16 Liveness", `${still}, ${msMax} ms after the last fault`);
  };
  await until(leaderMsMax, () => final.missing(true));
  await world.run(1000);
  workload.quiet = true;
  await until(wholeMsMax, () => (workload.pending > 0 ? `${workload.pending} records are not answered` : null));
  await until(wholeMsMax, () => final.missing(false));
  await until(readMsMax, () => unread(history, topics));
  await probe(world, stage, topics);
  await until(wholeMsMax, () => final.missing(false));
  await final.check();
  await world.run(100);
}

/** Acknowledged records that no member of the group, or no reader, was handed. */
function unread(history: History, topics: readonly TopicPlan[]): string | null {
  for (const { name, partitions } of topics) {
    for (let i = 0; i < partitions; i += 1) {
      const place = `${name}-${i}`;
      if (history.isWeak(place)) continue;
      for (const offset of history.acked.get(place)?.keys() ?? []) {
        if (!history.handled.get(place)?.has(offset)) return `${place}@${offset} reached no member of the group`;
        if (!history.read.get(place)?.has(offset)) return `${place}@${offset} reached no reader`;
      }
    }
  }
  return null;
}

/** Everything can be written again. */
async function probe(world: World, stage: Stage, topics: readonly TopicPlan[]): Promise<void> {
  const { client } = stage.client("probe");
  const producer = client.producer();
  const value = new TextEncoder().encode("probe:1");
  const writes = topics.flatMap(({ name, partitions }) => {
    return Array.from({ length: partitions }, (_, partition) =>
      producer.publish(name, { key: null, value, partition }),
    );
  });
  try {
    await world.settle(Promise.all(writes), 10_000);
  } catch (error) {
    if (!(error instanceof Violation)) world.violated("I16 Liveness", `cannot be written: ${String(error)}`);
  }
}
