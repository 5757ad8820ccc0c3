// The faults of a chaos run, drawn from a seed: processes, links, Redis and disks are hurt and healed.
import { rmSync } from "node:fs";
import { flipBit } from "./disks.ts";
import type { ChaosHub, ChaosStage } from "./stage.ts";

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

export class Faults {
  readonly stage: ChaosStage;
  readonly chance: () => number;
  readonly say: (line: string) => void;
  readonly counts: Record<string, number> = {};
  /** Kinds to draw from; all when empty. */
  readonly only: readonly string[];
  #redisCopy: string | null = null;

  constructor(stage: ChaosStage, chance: () => number, say: (line: string) => void, only: readonly string[] = []) {
    this.stage = stage;
    this.only = only;
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

  async next(): Promise<void> {
    const kinds: Record<string, () => Promise<void>> = {
      kill: () => this.#kill(1),
      "kill several": () => this.#kill(this.stage.hubs.length),
      restart: () => this.#restart(),
      "rolling restart": () => this.#rolling(),
      pause: () => this.#pause(),
      "redis kill": () => this.#redisKill(),
      "redis flushed": () => this.#redisFlushed(),
      "redis hangs": () => this.#redisHangs(),
    };
    // With a replica the old state would have to be put back on both.
    if (!this.stage.sentinel) kinds["redis rolled back"] = () => this.#redisRolledBack();
    if (this.stage.network.kind === "namespaces") {
      kinds["isolated hub"] = () => this.#isolate();
      kinds["one-way cut"] = () => this.#cutOneWay();
      kinds["ring cut"] = () => this.#ring();
      kinds["redis cut off"] = () => this.#cutRedis();
    }
    if (this.stage.sentinel) kinds["sentinel failover"] = () => this.#failover();
    if (this.stage.small) kinds["disk full"] = () => this.#diskFull();
    if (this.stage.power) kinds["power cut"] = () => this.#powerCut();
    kinds["bit flip"] = () => this.#bitFlip();
    const only = this.only.length === 0 ? Object.keys(kinds) : this.only;
    const names = Object.keys(kinds).filter((kind) => only.includes(kind));
    const name = names[Math.floor(this.chance() * names.length)]!;
    this.counts[name] = (this.counts[name] ?? 0) + 1;
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
      const began = performance.now();
      await hub.end("SIGTERM");
      const ended = performance.now();
      await hub.start();
      const seconds = [ended - began, performance.now() - ended].map((ms) => (ms / 1000).toFixed(1));
      this.say(`  hub ${hub.id}: ${seconds[0]} s to its end, ${seconds[1]} s to be ready`);
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
    const redis = await this.stage.master();
    await redis.kill();
    await this.#seconds(0.5, 10);
    await redis.start();
  }

  async #failover(): Promise<void> {
    const { killed } = await this.stage.sentinel!.failover();
    await this.#seconds(0.5, 4);
    await killed.start();
    await this.stage.sentinel!.whole();
  }

  /** A hub whose disk is full may end; it starts again once there is room. */
  async #diskFull(): Promise<void> {
    const { disk, hub } = this.stage.small!;
    disk.fill();
    await this.#seconds(2, 10);
    disk.empty();
    if (!hub.up) await hub.start();
  }

  async #powerCut(): Promise<void> {
    const { disk, hub } = this.stage.power!;
    disk.cut();
    await hub.end("SIGKILL");
    disk.restore();
    await this.#seconds(0.2, 5);
    await hub.start();
  }

  async #bitFlip(): Promise<void> {
    const hub = this.#one();
    await hub.end("SIGKILL");
    this.say(`  hub ${hub.id}: ${flipBit(hub.data, this.chance) ?? "no closed segment yet"}`);
    await hub.start();
  }

  async #redisFlushed(): Promise<void> {
    await (await this.stage.master()).command("FLUSHALL");
    this.forget();
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
    if (copy !== this.#redisCopy) rmSync(copy, { recursive: true, force: true });
    await redis.start();
  }

  async #redisHangs(): Promise<void> {
    const redis = await this.stage.master();
    redis.pause();
    await this.#seconds(1, 10);
    redis.resume();
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

  /** Removes what was kept of Redis. */
  forget(): void {
    if (this.#redisCopy !== null) rmSync(this.#redisCopy, { recursive: true, force: true });
    this.#redisCopy = null;
  }

  /** Every hub up, no link cut, Redis there. */
  async heal(): Promise<void> {
    this.stage.network.heal();
    for (const hub of this.stage.hubs) if (hub.paused) hub.signal("SIGCONT");
    await Promise.all(this.stage.hubs.filter((hub) => !hub.up).map((hub) => hub.start()));
  }
}
