// What goes wrong in a run: each seed allows some kinds of faults, and draws when, where and for how long.
import type { Segment } from "../../../hub/log/segment.ts";
import { batchSize } from "../../../hub/record/batch.ts";
import { seeded } from "../clock.ts";
import type { CutStyle } from "../disk.ts";
import { redisHost } from "./redis.ts";
import type { SimHub, Stage } from "./stage.ts";
import type { Workload } from "./workload.ts";
import type { World } from "./world.ts";

type Kind =
  | "kill"
  | "power"
  | "powerAll"
  | "stop"
  | "pause"
  | "partition"
  | "oneWay"
  | "isolate"
  | "ring"
  | "noRedis"
  | "drop"
  | "slowLink"
  | "redisDown"
  | "redisHang"
  | "redisSlow"
  | "redisEarlier"
  | "redisEmpty"
  | "redisRestart"
  | "redisLosesAnswers"
  | "redisRefuses"
  | "wall"
  | "slowDisk"
  | "syncFails"
  | "fullDisk"
  | "midWrite"
  | "client"
  | "rot"
  | "handover"
  | "move";

const kinds: readonly Kind[] = [
  "kill",
  "power",
  "powerAll",
  "stop",
  "pause",
  "partition",
  "oneWay",
  "isolate",
  "ring",
  "noRedis",
  "drop",
  "slowLink",
  "redisDown",
  "redisHang",
  "redisSlow",
  "redisEarlier",
  "redisEmpty",
  "redisRestart",
  "redisLosesAnswers",
  "redisRefuses",
  "wall",
  "slowDisk",
  "syncFails",
  "fullDisk",
  "midWrite",
  "client",
];

/** What an administrator does. */
const byAdmin: readonly Kind[] = ["handover", "move"];
/** What a run is asked for by name: drawn by no seed. */
const named: readonly Kind[] = ["rot", ...byAdmin];

const styles: readonly CutStyle[] = ["nothing", "everything", "some", "torn", "torn"];

/** Four bytes of a batch stand under no CRC and have no neighbour that tells them from others: the leader epoch. */
function isEpoch({ file, size }: Segment, place: number): boolean {
  const bytes = new Uint8Array(size);
  file.read(bytes, 0);
  for (let at = 0; at + 61 <= size; at += batchSize(bytes, at)) {
    if (place >= at + 12 && place < at + 16) return true;
    if (batchSize(bytes, at) < 61) return false; // damaged already
  }
  return false;
}

/** How close faults come upon each other, and how long they last. */
export interface Pace {
  readonly gapMsMax: number;
  readonly lastsMsMax: number;
  /** How often Redis is remembered as it is, to go back to. */
  readonly keepMs: number;
}

export interface FaultOptions {
  readonly pace: Pace;
  /** Instead of the kinds that the seed draws. */
  readonly kinds: readonly string[] | null;
  /** Numbers of the faults that happen; the others are left out, and change nothing of these. */
  readonly only: ReadonlySet<number> | null;
}

export class Faults {
  readonly #world: World;
  readonly #stage: Stage;
  readonly #workload: Workload;
  readonly #options: FaultOptions;
  readonly #seed: number;
  /** Of the fault that is drawn: each has a generator of its own. */
  #chance: () => number = () => 0;
  readonly allowed: readonly Kind[];
  #on = true;
  /** How many were drawn. */
  count = 0;

  constructor(stage: Stage, workload: Workload, options: FaultOptions) {
    this.#world = stage.world;
    this.#stage = stage;
    this.#workload = workload;
    this.#options = options;
    const { world } = stage;
    const share = 0.1 + world.chance() * 0.5;
    const drawn = kinds.filter(() => world.chance() < share);
    const wanted = options.kinds;
    this.allowed = wanted === null ? drawn : [...kinds, ...named].filter((kind) => wanted.includes(kind));
    this.#seed = Math.floor(world.chance() * 2 ** 32);
  }

  #int(max: number): number {
    return Math.floor(this.#chance() * max);
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#int(list.length)]!;
  }

  /** Faults from now on, one after another. */
  start(): void {
    const { time } = this.#world;
    const { pace, only } = this.#options;
    const next = (): void => {
      if (!this.#on || this.allowed.length === 0) return;
      const chance = seeded(this.#seed + this.count * 7919);
      this.#chance = chance;
      time.after(100 + this.#int(this.#int(3) === 0 ? 500 : pace.gapMsMax), () => {
        if (!this.#on) return;
        this.count += 1;
        this.#chance = chance;
        const kind = this.#pick(this.allowed);
        if (only === null || only.has(this.count)) this.#happen(kind);
        next();
      });
    };
    const keep = (): void => {
      if (!this.#on) return;
      this.#stage.redis.keep();
      time.after(pace.keepMs, keep);
    };
    keep();
    next();
  }

  #later(call: () => void, longest = this.#options.pace.lastsMsMax): void {
    this.#world.time.after(50 + this.#int(this.#int(2) === 0 ? 1500 : longest), () => this.#on && call());
  }

  #say(text: string): void {
    this.#world.say(`fault ${this.count}: ${text}`);
  }

  #happen(kind: Kind): void {
    const hub = this.#pick(this.#stage.hubs);
    if (kind.startsWith("redis")) this.#redis(kind);
    else if (["partition", "oneWay", "isolate", "ring", "noRedis", "drop", "slowLink"].includes(kind))
      this.#net(kind, hub);
    else if (["slowDisk", "syncFails", "fullDisk", "midWrite"].includes(kind)) this.#disk(kind, hub);
    else if (byAdmin.includes(kind))
      this.#workload.administer(kind === "move" ? this.#hubsInAnyOrder() : [hub.id], kind);
    else this.#machine(kind, hub);
  }

  #hubsInAnyOrder(): number[] {
    const ids = this.#stage.hubs.map(({ id }) => id);
    for (let i = ids.length - 1; i > 0; i -= 1) {
      const j = this.#int(i + 1);
      [ids[i], ids[j]] = [ids[j]!, ids[i]!];
    }
    return ids;
  }

  #restart(hub: SimHub): void {
    this.#later(() => !hub.machine.running && this.#stage.start(hub));
  }

  #machine(kind: Kind, hub: SimHub): void {
    const stage = this.#stage;
    const world = this.#world;
    const { machine } = hub;
    this.#say(`${kind} ${machine.name}`);
    switch (kind) {
      case "kill":
        stage.kill(hub);
        return this.#restart(hub);
      case "power":
        stage.cutPower(hub, this.#pick(styles));
        return this.#restart(hub);
      case "powerAll":
        for (const each of stage.hubs) {
          stage.cutPower(each, this.#pick(styles));
          this.#restart(each);
        }
        return;
      case "stop":
        stage.stop(hub);
        return this.#later(() => {
          if (hub.stopping) stage.kill(hub); // who waits no longer
          if (!machine.running) stage.start(hub);
        }, this.#options.pace.lastsMsMax * 2);
      case "pause":
        machine.pausedUntil = world.now + 100 + this.#int(this.#int(2) === 0 ? 2000 : this.#options.pace.lastsMsMax);
        return this.#say(`${machine.name} stands still until ${machine.pausedUntil.toFixed(0)}`);
      case "wall":
        machine.wallOffset = this.#int(2) === 0 ? 0 : Date.UTC(1970, 0, 1) - Date.UTC(2027, 0, 1);
        return this.#say(`${machine.name}: wall clock moved by ${machine.wallOffset}`);
      case "rot":
        return this.#rot();
      default:
        return this.#workload.replace();
    }
  }

  /** A bit flips on one hub's disk, always the same one of a run: what it lost, the others have. */
  #rot(): void {
    const { hubs } = this.#stage;
    const hub = hubs[this.#seed % hubs.length]!;
    if (!hub.machine.running) return;
    const logs = [...this.#stage.partitionsOf(hub)].filter(({ replica, log }) => {
      return replica.state.config.old.m >= 2 && log.journaled && log.sizeBytes > 0;
    });
    if (logs.length === 0) return;
    const { segments } = this.#pick(logs).log;
    const segment = this.#pick(segments.filter(({ size }) => size > 0));
    const at = this.#int(segment.size);
    if (isEpoch(segment, at)) return;
    hub.disk.flipBit(`${segment.name}.log`, at, this.#int(8));
    this.#say(`${hub.machine.name}: ${segment.name}.log byte ${at} of ${segment.size}`);
    this.#stage.kill(hub);
    this.#restart(hub);
  }

  #net(kind: Kind, hub: SimHub): void {
    const { net, hubs } = this.#stage;
    const { host } = hub.machine;
    const other = this.#pick(hubs).machine.host;
    const all = [...hubs.map(({ machine }) => machine.host), ...this.#workload.machines.map((one) => one.host)];
    this.#say(`${kind} ${host} ${other}`);
    if (kind === "partition" || kind === "oneWay") {
      net.cut(host, other);
      if (kind === "partition") net.cut(other, host);
    } else if (kind === "isolate") {
      for (const each of this.#int(2) === 0 ? all : [...all, redisHost]) {
        if (each === host) continue;
        net.cut(host, each);
        net.cut(each, host);
      }
    } else if (kind === "ring") {
      for (const [i, one] of hubs.entries()) {
        const far = hubs[(i + Math.ceil(hubs.length / 2)) % hubs.length]!.machine.host;
        if (far !== one.machine.host) net.cut(one.machine.host, far);
      }
    } else if (kind === "noRedis") {
      net.cut(host, redisHost);
      net.cut(redisHost, host);
    } else if (kind === "drop") return net.drop(host, this.#pick(all));
    else Object.assign(net.link(host, other), { delayMs: 20 + this.#int(400), bytesPerMs: 20 });
    this.#later(() => {
      this.#say("links heal");
      net.heal();
    });
  }

  #redis(kind: Kind): void {
    const { redis } = this.#stage;
    const world = this.#world;
    const { faults } = redis;
    this.#say(kind);
    switch (kind) {
      case "redisDown":
        redis.stop();
        return this.#later(() => {
          faults.down = false;
          if (this.#int(3) === 0) redis.rollBack(this.#int(2) === 0 ? "empty" : "earlier", true);
        });
      case "redisHang":
        faults.hungUntil = world.now + 200 + this.#int(this.#options.pace.lastsMsMax);
        return;
      case "redisSlow":
        faults.slowMs = 100 + this.#int(900);
        return this.#later(() => (faults.slowMs = 0));
      case "redisEarlier":
        return redis.rollBack("earlier", this.#int(2) === 0);
      case "redisEmpty":
        return redis.rollBack("empty", this.#int(2) === 0);
      case "redisRestart":
        return redis.restart();
      case "redisLosesAnswers":
        faults.answerLost = 0.3;
        return this.#later(() => (faults.answerLost = 0));
      default:
        faults.refuses = this.#pick([
          "READONLY You can't write against a read only replica.",
          "OOM command not allowed",
        ]);
        return this.#later(() => (faults.refuses = null));
    }
  }

  #disk(kind: Kind, hub: SimHub): void {
    const { disk, machine } = hub;
    const { faults } = disk;
    this.#say(`${kind} ${machine.name}`);
    if (kind === "midWrite") {
      faults.crashAt = disk.operations + 1 + this.#int(200);
      this.#later(() => {
        faults.crashAt = -1;
        if (machine.running) return;
        this.#stage.cutPower(hub, this.#pick(styles));
        this.#stage.start(hub);
      });
      return;
    }
    if (kind === "slowDisk") faults.syncMsMax = 400;
    else if (kind === "syncFails") faults.syncFails = 0.2;
    else faults.capacity = disk.usedBytes() + this.#int(60_000);
    this.#later(() => {
      Object.assign(faults, { syncMsMax: 3, syncFails: 0, capacity: 1 << 30 });
      if (!machine.running) this.#restart(hub);
    });
  }

  /** Everything is well again; what is down comes back. */
  heal(): void {
    const { net, redis, hubs } = this.#stage;
    this.#on = false;
    this.#world.say("everything heals");
    net.heal();
    Object.assign(redis.faults, { down: false, hungUntil: 0, slowMs: 0, answerLost: 0, refuses: null });
    for (const hub of hubs) {
      const { machine, disk } = hub;
      machine.pausedUntil = Math.min(machine.pausedUntil, this.#world.now);
      Object.assign(disk.faults, { crashAt: -1, syncMsMax: 3, syncFails: 0, ioFails: 0, capacity: 1 << 30 });
      if (hub.stopping) this.#stage.kill(hub);
      if (!machine.powered && disk.faults.crashAt === -1) this.#stage.cutPower(hub, "some");
      if (!machine.running) this.#stage.start(hub);
    }
  }
}
