// Whole hubs in one world: each on a machine with a simulated disk, all on one net and one Redis.
import { type Config, loadConfig } from "../../../hub/config.ts";
import { connectNet } from "../../../hub/client/client.ts";
import type { HubClient } from "../../../hub/client/faces.ts";
import type { Partition } from "../../../hub/engine/partition.ts";
import { Partitions } from "../../../hub/engine/partitions.ts";
import { Hub, type HubPorts } from "../../../hub/hub.ts";
import { openHashing } from "../../../hub/io/crypto.ts";
import { openRedisRegistry } from "../../../hub/io/redis.ts";
import { openRedisCoordination } from "../../../hub/io/redis_coordination.ts";
import { defaultTuning, type Tuning } from "../../../hub/log/store.ts";
import type { Fields } from "../../../hub/trace.ts";
import { type CutStyle, MachineStopped, SimDisk } from "../disk.ts";
import { SimNet } from "./net.ts";
import { RedisServer } from "./redis.ts";
import type { Machine, World } from "./world.ts";

export const kafkaPort = 9092;

/** Files as small as what a run of half a minute writes. */
const small: Partial<Tuning> = {
  journalFileBytes: 128 * 1024,
  groupBytesMax: 48 * 1024,
  backlogBytesMax: 512 * 1024,
  snapshotBytesMax: 64 * 1024,
  checkpointBytes: 192 * 1024,
  checkpointMs: 5000,
  reserveBytes: 32 * 1024,
  hotTailBytes: 64 * 1024,
  softLineBytes: 64 * 1024,
  hardLineBytes: 16 * 1024,
  cleanerMapBytes: 64 * 1024,
};

/** The partitions of each process, as it joins its cluster: the hub itself shows them to nobody. */
const joined = new WeakMap<Machine, { readonly life: number; readonly partitions: Partitions }>();
const currents = new Set<World>();
const join = Partitions.prototype.join;
Partitions.prototype.join = function (this: Partitions, ...args: Parameters<typeof join>): void {
  for (const { current } of currents) if (current) joined.set(current, { life: current.life, partitions: this });
  join.apply(this, args);
};

/** One hub: its machine, its disk, and the process that runs now. */
export interface SimHub {
  readonly id: number;
  readonly machine: Machine;
  readonly config: Config;
  disk: SimDisk;
  hub: Hub | null;
  /** Of this run of the process; null while it is not done. */
  started: boolean;
  stopping: boolean;
  /** The last process died with its machine. */
  lastStart: number;
}

export interface StageOptions {
  readonly hubs: number;
  /** Broker settings of every hub. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

export class Stage {
  readonly world: World;
  readonly net: SimNet;
  readonly redis: RedisServer;
  readonly hubs: SimHub[] = [];
  /** Told of every event of every hub. */
  heard: (hub: SimHub, event: string, fields: Fields) => void = () => {};
  #clients = 0;

  constructor(world: World, options: StageOptions) {
    Object.assign(defaultTuning, small);
    currents.clear(); // one world at a time
    currents.add(world);
    this.world = world;
    this.net = new SimNet(world);
    this.redis = new RedisServer(world, this.net);
    for (let id = 1; id <= options.hubs; id += 1) {
      const machine = world.machine(`hub${id}`, `10.0.0.${id}`);
      this.net.machines.set(machine.host, machine);
      const disk = new SimDisk(world.clockOf(machine), world.fork());
      const config = configOf(id, machine, options.settings ?? {});
      this.hubs.push({ id, machine, config, disk, hub: null, started: false, stopping: false, lastStart: 0 });
    }
  }

  /** Starts the process of a hub; what it promised before its end is on its disk. */
  start(hub: SimHub): void {
    const { world, net, redis } = this;
    const { machine, config } = hub;
    machine.life += 1;
    machine.powered = machine.running = true;
    machine.pausedUntil = 0;
    const { life } = machine;
    const clock = world.clockOf(machine);
    hub.lastStart = world.now;
    hub.started = hub.stopping = false;
    hub.disk = hub.disk.afterKill(clock, world.fork(), hub.disk.faults);
    hub.disk.faults.crashAt = -1;
    hub.disk.onStop = () => this.#crashed(hub, life);
    const trace = world.traceOf(machine.name, (event, fields) => this.heard(hub, event, fields));
    const connect = redis.opener(machine);
    const url = "redis://redis:6379";
    const ports: HubPorts = {
      clock,
      random: world.randomOf(),
      hashing: openHashing(),
      disk: hub.disk,
      net: net.portOf(machine),
      trace,
      openOffsets: (clusterId) => openRedisRegistry({ url, clusterId, clock, trace, connect }),
      openCoordination: () => {
        return openRedisCoordination({ url, clusterName: config.cluster.name, clock, trace, connect });
      },
    };
    world.say(`${machine.name} starts`);
    world.current = machine;
    const process = new Hub(ports, config, (why) => {
      world.say(`${machine.name} failed: ${why}`);
      if (machine.life === life) world.time.after(1, () => machine.life === life && this.kill(hub));
    });
    hub.hub = process;
    process.start().then(
      () => {
        if (machine.life !== life) return;
        hub.started = true;
        world.say(`${machine.name} serves`);
      },
      (error: unknown) => {
        if (machine.life !== life || error instanceof MachineStopped) return;
        // As a person, or systemd, would: again in a while.
        world.say(`${machine.name} did not start: ${String(error)}`);
        this.kill(hub);
        world.time.after(2000, () => !machine.running && machine.powered && this.start(hub));
      },
    );
  }

  #crashed(hub: SimHub, life: number): void {
    if (hub.machine.life !== life) return;
    this.#end(hub, false);
    this.world.say(`${hub.machine.name} loses power in the middle of a write`);
  }

  #end(hub: SimHub, powered: boolean): void {
    const { machine } = hub;
    if (powered) this.net.killed(machine);
    else this.net.lost(machine);
    this.redis.gone(machine);
    machine.life += 1;
    machine.running = false;
    machine.powered = powered;
    hub.disk.stopped = true;
    hub.hub = null;
    hub.started = hub.stopping = false;
  }

  /** kill -9: the page cache stays. */
  kill(hub: SimHub): void {
    if (!hub.machine.running) return;
    this.world.say(`${hub.machine.name} is killed`);
    this.#end(hub, true);
  }

  /** The power goes, and with it what was not synced, as `style` says. */
  cutPower(hub: SimHub, style: CutStyle): void {
    if (!hub.machine.powered) return this.#forget(hub, style);
    this.world.say(`${hub.machine.name} loses power (${style})`);
    this.#end(hub, false);
    this.#forget(hub, style);
  }

  #forget(hub: SimHub, style: CutStyle): void {
    const { world } = this;
    hub.disk = hub.disk.afterPowerCut(world.clockOf(hub.machine), world.fork(), style);
    hub.disk.stopped = true;
  }

  /** SIGTERM. */
  stop(hub: SimHub): void {
    const { machine } = hub;
    if (hub.hub === null || hub.stopping) return;
    const { life } = machine;
    hub.stopping = true;
    this.world.say(`${machine.name} is told to stop`);
    const ended = (): void => {
      if (machine.life !== life) return;
      this.world.say(`${machine.name} has stopped`);
      this.#end(hub, true);
    };
    hub.hub.stop().then(ended, (error: unknown) => {
      this.world.say(`${machine.name} stops badly: ${String(error)}`);
      ended();
    });
    // systemd kills what does not stop
    this.world.at(machine, 30_000, () => this.kill(hub));
  }

  /** A client on a machine of its own; it finds the hubs by their addresses. */
  client(name: string, bootstrap: readonly SimHub[] = this.hubs): { client: HubClient; machine: Machine } {
    this.#clients += 1;
    const machine = this.world.machine(name, `10.0.1.${this.#clients}`);
    machine.running = true;
    this.net.machines.set(machine.host, machine);
    const addresses = bootstrap.map(({ machine: { host } }) => ({ host, port: kafkaPort }));
    const clock = this.world.clockOf(machine);
    const net = this.net.portOf(machine);
    return { client: connectNet({ net, clock, bootstrap: addresses, clientId: name }), machine };
  }

  /** A client's process ends. */
  endClient(machine: Machine): void {
    this.net.killed(machine);
    machine.life += 1;
    machine.running = false;
  }

  /** The replicas that a hub holds now. */
  partitionsOf(hub: SimHub): Iterable<Partition> {
    const found = joined.get(hub.machine);
    return hub.hub !== null && found?.life === hub.machine.life ? found.partitions.all() : [];
  }
}

function configOf(id: number, machine: Machine, settings: Readonly<Record<string, string | number>>): Config {
  return loadConfig({
    file: { settings: { "group.initial.rebalance.delay.ms": 100, "offsets.topic.num.partitions": 2, ...settings } },
    flags: {
      "hub.id": id,
      "hub.data": "data",
      "hub.listen": [machine.host],
      "hub.insecure": true,
      "kafka.port": kafkaPort,
      "redis.url": "redis://redis:6379",
    },
  });
}
