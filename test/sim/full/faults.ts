// What goes wrong in a run: each seed allows some kinds of faults, and draws when, where and for how long.
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
  | "client";

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

const styles: readonly CutStyle[] = ["nothing", "everything", "some", "torn", "torn"];

export class Faults {
  readonly #world: World;
  readonly #stage: Stage;
  readonly #workload: Workload;
  readonly allowed: readonly Kind[];
  #on = true;
  count = 0;

  constructor(stage: Stage, workload: Workload, only: readonly string[] | null) {
    this.#world = stage.world;
    this.#stage = stage;
    this.#workload = workload;
    const { world } = stage;
    const share = 0.1 + world.chance() * 0.5;
    const drawn = kinds.filter(() => world.chance() < share);
    this.allowed = only === null ? drawn : kinds.filter((kind) => only.includes(kind));
  }

  /** Faults from now on, one after another. */
  start(): void {
    const { time } = this.#world;
    const next = (): void => {
      if (!this.#on || this.allowed.length === 0) return;
      time.after(200 + this.#world.int(this.#world.int(3) === 0 ? 500 : 6000), () => {
        if (!this.#on) return;
        this.count += 1;
        this.#happen(this.#world.pick(this.allowed));
        next();
      });
    };
    const keep = (): void => {
      if (!this.#on) return;
      this.#stage.redis.keep();
      time.after(5000, keep);
    };
    keep();
    next();
  }

  #later(call: () => void, longest = 12_000): void {
    this.#world.time.after(50 + this.#world.int(this.#world.int(2) === 0 ? 1500 : longest), () => this.#on && call());
  }

  #say(text: string): void {
    this.#world.say(`fault: ${text}`);
  }

  #happen(kind: Kind): void {
    const hub = this.#world.pick(this.#stage.hubs);
    if (kind.startsWith("redis")) this.#redis(kind);
    else if (["partition", "oneWay", "isolate", "ring", "noRedis", "drop", "slowLink"].includes(kind))
      this.#net(kind, hub);
    else if (["slowDisk", "syncFails", "fullDisk", "midWrite"].includes(kind)) this.#disk(kind, hub);
    else this.#machine(kind, hub);
  }

  #restart(hub: SimHub): void {
    this.#later(() => !hub.machine.running && this.#stage.start(hub));
  }

  #machine(kind: Kind, hub: SimHub): void {
    const stage = this.#stage;
    const world = this.#world;
    const { machine } = hub;
    switch (kind) {
      case "kill":
        stage.kill(hub);
        return this.#restart(hub);
      case "power":
        stage.cutPower(hub, world.pick(styles));
        return this.#restart(hub);
      case "powerAll":
        for (const each of stage.hubs) {
          stage.cutPower(each, world.pick(styles));
          this.#restart(each);
        }
        return;
      case "stop":
        stage.stop(hub);
        return this.#later(() => {
          if (hub.stopping) stage.kill(hub); // who waits no longer
          if (!machine.running) stage.start(hub);
        }, 20_000);
      case "pause":
        machine.pausedUntil = world.now + 100 + world.int(world.int(2) === 0 ? 2000 : 15_000);
        return this.#say(`${machine.name} stands still until ${machine.pausedUntil.toFixed(0)}`);
      case "wall":
        machine.wallOffset = world.int(2) === 0 ? 0 : Date.UTC(1970, 0, 1) - Date.UTC(2027, 0, 1);
        return this.#say(`${machine.name}: wall clock moved by ${machine.wallOffset}`);
      default:
        return this.#workload.replace();
    }
  }

  #net(kind: Kind, hub: SimHub): void {
    const { net, hubs } = this.#stage;
    const world = this.#world;
    const { host } = hub.machine;
    const other = world.pick(hubs).machine.host;
    const all = [...hubs.map(({ machine }) => machine.host), ...this.#workload.machines.map((one) => one.host)];
    this.#say(`${kind} ${host} ${other}`);
    if (kind === "partition" || kind === "oneWay") {
      net.cut(host, other);
      if (kind === "partition") net.cut(other, host);
    } else if (kind === "isolate") {
      for (const each of world.int(2) === 0 ? all : [...all, redisHost]) {
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
    } else if (kind === "drop") return net.drop(host, world.pick(all));
    else Object.assign(net.link(host, other), { delayMs: 20 + world.int(400), bytesPerMs: 20 });
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
          if (world.int(3) === 0) redis.rollBack(world.int(2) === 0 ? "empty" : "earlier", true);
        });
      case "redisHang":
        faults.hungUntil = world.now + 200 + world.int(8000);
        return;
      case "redisSlow":
        faults.slowMs = 100 + world.int(900);
        return this.#later(() => (faults.slowMs = 0));
      case "redisEarlier":
        return redis.rollBack("earlier", world.int(2) === 0);
      case "redisEmpty":
        return redis.rollBack("empty", world.int(2) === 0);
      case "redisRestart":
        return redis.restart();
      case "redisLosesAnswers":
        faults.answerLost = 0.3;
        return this.#later(() => (faults.answerLost = 0));
      default:
        faults.refuses = world.pick([
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
      faults.crashAt = disk.operations + 1 + this.#world.int(200);
      this.#later(() => {
        faults.crashAt = -1;
        if (machine.running) return;
        this.#stage.cutPower(hub, this.#world.pick(styles));
        this.#stage.start(hub);
      });
      return;
    }
    if (kind === "slowDisk") faults.syncMsMax = 400;
    else if (kind === "syncFails") faults.syncFails = 0.2;
    else faults.capacity = disk.usedBytes() + this.#world.int(60_000);
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
