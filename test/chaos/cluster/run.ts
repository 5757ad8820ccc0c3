// A chaos run: load, faults drawn from a seed, healing, and then everything is checked.
import { connect } from "../../../hub/mod.ts";
import { History } from "./history.ts";
import { type ChaosHub, ChaosStage } from "./stage.ts";
import { deviceTopic, readAll, topic, Workload } from "./workload.ts";

export interface ChaosOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly hubs?: number;
  readonly say?: (line: string) => void;
}

export interface ChaosReport {
  readonly seed: number;
  readonly seconds: number;
  readonly network: string;
  readonly faults: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  readonly pubacked: number;
  readonly committedOffsets: number;
  /** Longest time without an acknowledged acks=all write of a partition, milliseconds. */
  readonly longestGapMs: number;
  readonly history: History;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** mulberry32 */
export function chanceOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

class Run {
  readonly stage: ChaosStage;
  readonly chance: () => number;
  readonly say: (line: string) => void;
  readonly faults: Record<string, number> = {};
  #redisCopy: string | null = null;

  constructor(stage: ChaosStage, chance: () => number, say: (line: string) => void) {
    this.stage = stage;
    this.chance = chance;
    this.say = say;
  }

  #some(most: number): ChaosHub[] {
    const count = 1 + Math.floor(this.chance() * most);
    return this.#shuffled().slice(0, count);
  }

  #shuffled(): ChaosHub[] {
    const drawn = this.stage.hubs.map((hub) => ({ hub, at: this.chance() }));
    return drawn.sort((a, b) => a.at - b.at).map(({ hub }) => hub);
  }

  #one(): ChaosHub {
    return this.stage.hubs[Math.floor(this.chance() * this.stage.hubs.length)]!;
  }

  #seconds(from: number, to: number): Promise<void> {
    return pause(1000 * (from + this.chance() * (to - from)));
  }

  async fault(): Promise<void> {
    const kinds: Record<string, () => Promise<void>> = {
      kill: () => this.#kill(1),
      "kill several": () => this.#kill(this.stage.hubs.length),
      restart: () => this.#restart(),
      "rolling restart": () => this.#rolling(),
      pause: () => this.#pause(),
      "redis kill": () => this.#redisKill(),
      "redis flushed": () => this.#redisFlushed(),
      "redis rolled back": () => this.#redisRolledBack(),
      "redis hangs": () => this.#redisHangs(),
    };
    if (this.stage.network.kind === "namespaces") {
      kinds["isolated hub"] = () => this.#isolate();
      kinds["one-way cut"] = () => this.#cutOneWay();
      kinds["ring cut"] = () => this.#ring();
      kinds["redis cut off"] = () => this.#cutRedis();
    }
    const names = Object.keys(kinds);
    const name = names[Math.floor(this.chance() * names.length)]!;
    this.faults[name] = (this.faults[name] ?? 0) + 1;
    this.say(`fault: ${name}`);
    await kinds[name]!();
  }

  async #kill(most: number): Promise<void> {
    const hubs = this.#some(most);
    await Promise.all(hubs.map((hub) => hub.end("SIGKILL")));
    await this.#seconds(0.2, 8);
    await Promise.all(hubs.map((hub) => hub.start()));
  }

  async #restart(): Promise<void> {
    const hub = this.#one();
    await hub.end("SIGTERM");
    await hub.start();
  }

  async #rolling(): Promise<void> {
    for (const hub of this.stage.hubs) {
      await hub.end("SIGTERM");
      await hub.start();
      await this.#seconds(1, 3);
    }
  }

  async #pause(): Promise<void> {
    const hubs = this.#some(2);
    for (const hub of hubs) hub.signal("SIGSTOP");
    await this.#seconds(1, 15);
    for (const hub of hubs) hub.signal("SIGCONT");
  }

  async #redisKill(): Promise<void> {
    await this.stage.redis.kill();
    await this.#seconds(0.5, 10);
    await this.stage.redis.start();
  }

  async #redisFlushed(): Promise<void> {
    await this.stage.redis.command("FLUSHALL");
    this.#redisCopy = null;
    await this.#seconds(1, 4);
  }

  /** Comes back as it was at the rollback before, or now if there was none. */
  async #redisRolledBack(): Promise<void> {
    const { redis } = this.stage;
    const copy = this.#redisCopy ?? redis.save();
    this.#redisCopy = redis.save();
    await this.#seconds(1, 5);
    await redis.kill();
    redis.restore(copy);
    await redis.start();
  }

  async #redisHangs(): Promise<void> {
    this.stage.redis.pause();
    await this.#seconds(1, 10);
    this.stage.redis.resume();
  }

  async #isolate(): Promise<void> {
    const { hubs, network } = this.stage;
    const alone = this.#one();
    for (const other of hubs) if (other !== alone) network.cut(alone.id, other.id);
    if (this.chance() < 0.5) network.cut(alone.id, "redis");
    if (this.chance() < 0.5) network.cut(alone.id, "clients");
    await this.#seconds(2, 15);
    network.heal();
  }

  async #cutOneWay(): Promise<void> {
    const [one, other] = this.#shuffled();
    this.stage.network.cut(one!.id, other!.id);
    await this.#seconds(2, 12);
    this.stage.network.heal();
  }

  async #ring(): Promise<void> {
    const { hubs, network } = this.stage;
    for (const [i, hub] of hubs.entries()) network.cut(hub.id, hubs[(i + 1) % hubs.length]!.id);
    await this.#seconds(2, 10);
    network.heal();
  }

  async #cutRedis(): Promise<void> {
    for (const hub of this.#some(3)) this.stage.network.cut(hub.id, "redis");
    await this.#seconds(2, 12);
    this.stage.network.heal();
  }

  /** Every hub up, no link cut, Redis there. */
  async heal(): Promise<void> {
    this.stage.network.heal();
    for (const hub of this.stage.hubs) if (hub.paused) hub.signal("SIGCONT");
    await Promise.all(this.stage.hubs.filter((hub) => !hub.up).map((hub) => hub.start()));
  }
}

/** Runs for about `minutes`; rejects when the cluster does not come back, returns what was found otherwise. */
export async function chaos({ minutes, seed, hubs = 3, say = () => {} }: ChaosOptions): Promise<ChaosReport> {
  const began = performance.now();
  const stage = await ChaosStage.open(hubs);
  const history = new History();
  const run = new Run(stage, chanceOf(seed), say);
  try {
    await prepare(stage);
    const workload = new Workload(stage, history);
    workload.start(4, 6, 2);
    await pause(3_000);
    while (performance.now() - began < minutes * 60_000) {
      await run.fault();
      await pause(1000 + run.chance() * 6000);
    }
    await run.heal();
    await acknowledgedAgain(history);
    await workload.stop();
    history.checkLog(await readAll(stage, topic));
    history.checkDevices(await readAll(stage, deviceTopic));
    const committed = await workload.committed();
    history.checkGroup(committed, workload.firstHandled, workload.handled);
    const { acknowledged, pubacked } = history.counts;
    return {
      seed,
      seconds: (performance.now() - began) / 1000,
      network: stage.network.kind,
      faults: run.faults,
      acknowledged,
      pubacked,
      committedOffsets: [...committed.values()].reduce((sum, offset) => sum + offset, 0),
      longestGapMs: longestGap(history),
      history,
    };
  } catch (error) {
    for (const { id, words } of stage.hubs) say(`--- hub ${id}:\n${words.slice(-6000)}`);
    throw error;
  } finally {
    await stage.close();
  }
}

async function prepare(stage: ChaosStage): Promise<void> {
  const client = connect({ bootstrap: stage.bootstrap(), clientId: "prepare" });
  try {
    const until = performance.now() + 30_000;
    for (const name of [topic, deviceTopic]) {
      for (;;) {
        try {
          await client.admin().createTopic(name, { partitions: 4, replicationFactor: stage.hubs.length });
          break;
        } catch (error) {
          if (/ALREADY_EXISTS/.test(String(error))) break;
          if (performance.now() > until) throw error;
          await pause(300);
        }
      }
    }
  } finally {
    await client.close();
  }
}

/** I16 Liveness: writes are acknowledged again within 30 s of the healing. */
async function acknowledgedAgain(history: History): Promise<void> {
  const before = new Map([...history.acknowledgedAt].map(([partition, times]) => [partition, times.length]));
  const until = performance.now() + 30_000;
  for (;;) {
    const all = [...history.acknowledgedAt].every(
      ([partition, times]) => times.length > (before.get(partition) ?? 0) + 2,
    );
    if (all && before.size > 0) return;
    if (performance.now() > until) throw new Error("I16 Liveness: no acknowledgement within 30 s of the healing");
    await pause(200);
  }
}

function longestGap(history: History): number {
  let longest = 0;
  for (const times of history.acknowledgedAt.values()) {
    for (let i = 1; i < times.length; i++) longest = Math.max(longest, times[i]! - times[i - 1]!);
  }
  return Math.round(longest);
}
