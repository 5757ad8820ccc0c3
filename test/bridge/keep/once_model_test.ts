// QoS 2 in a cluster, on a simulated log: devices that come back wherever they can and send again what was not
// acknowledged, while their hubs are killed at every step, cut off, or held for dead. Each message is in its topic
// exactly once, in the order of its device. `SEED=` and `ROUNDS=` choose the lives.
import assert from "node:assert/strict";
import test from "node:test";
import type { KnownSession } from "../../../bridge/keep/faces.ts";
import { SharedSessionKeeper } from "../../../bridge/keep/shared_keeper.ts";
import { silentTrace } from "../../../hub/mod.ts";
import { seeded, SimClock } from "../../sim/clock.ts";
import { SimHub, SimLog } from "./sim_log.ts";
import { record, session } from "./stage.ts";

const rounds = Number(process.env["ROUNDS"] ?? 25);
const firstSeed = Number(process.env["SEED"] ?? 1);
const hubIds = [1, 2, 3];
const windowMax = 5;

/** One hub with its broker: of each client the ids that its session knows. */
interface Broker {
  readonly life: SimHub;
  readonly keeper: SharedSessionKeeper;
  readonly sessions: Map<string, Set<number>>;
}

class World {
  readonly seed: number;
  readonly chance: () => number;
  readonly clock = new SimClock();
  readonly log: SimLog;
  readonly brokers = new Map<number, Broker>();
  readonly cut = new Set<SimHub>();

  constructor(seed: number) {
    this.seed = seed;
    this.chance = seeded(seed);
    this.log = new SimLog(this.clock, this.chance);
    for (const id of hubIds) this.start(id);
  }

  pick(max: number): number {
    return Math.floor(this.chance() * max);
  }

  start(hubId: number): void {
    const life = new SimHub(hubId);
    const sessions = new Map<string, Set<number>>();
    const inherit = (known: readonly KnownSession[]): void => {
      for (const { clientId, past } of known)
        if (!sessions.has(clientId)) sessions.set(clientId, new Set(past.inboundIds));
    };
    const keeper = new SharedSessionKeeper(
      { hub: this.log.hub(life), client: this.log.client(life), clock: this.clock, trace: silentTrace },
      {
        onTaken: (clientId) => {
          sessions.delete(clientId);
          return null;
        },
        isKnown: (clientId) => sessions.has(clientId),
        onInherited: inherit,
      },
    );
    this.log.alive.add(hubId);
    void keeper.open().then((known) => {
      inherit(known);
      this.brokers.set(hubId, { life, keeper, sessions });
    });
  }

  /** It starts again after a while. @param seenMs after which the others know. */
  kill(hubId: number, lands: boolean, seenMs = 500): void {
    const broker = this.brokers.get(hubId);
    if (broker === undefined) return;
    this.log.kill(broker.life, lands);
    this.brokers.delete(hubId);
    this.clock.after(seenMs, () => void (this.brokers.has(hubId) || this.log.alive.delete(hubId)));
    this.clock.after(seenMs + this.chance() * 4_000, () => this.start(hubId));
  }

  cutOff(hubId: number): void {
    const broker = this.brokers.get(hubId);
    if (broker === undefined || this.cut.has(broker.life)) return;
    const heal = broker.life.cutOff();
    this.cut.add(broker.life);
    this.clock.after(this.chance() * 6_000, () => {
      this.cut.delete(broker.life);
      heal();
    });
  }

  /** Until all devices are done; that takes longer when hubs die faster than they start, so that it ends. */
  async run(devices: readonly Device[], step: () => void = () => {}): Promise<void> {
    for (let turn = 0; devices.some((device) => !device.isDone); turn++) {
      assert.ok(turn < 20_000, `seed ${this.seed}: devices have ${devices.map((device) => device.left)} left`);
      if (turn < 10_000) step();
      await this.clock.advance(20 + 20 * this.chance());
    }
  }
}

/** A client with a window: in order, again after each reconnect until it is acknowledged. */
class Device {
  readonly #world: World;
  readonly #clientId: string;
  readonly #count: number;
  /** By packet id, in the order of sending; whether the PUBREC came. */
  readonly #open = new Map<number, { readonly number: number; isReceived: boolean }>();
  #next = 1;
  /** Rises with each connection: what belongs to an earlier one is nobody's. */
  #life = 0;
  /** Where it is, or was last. */
  hub = 0;

  constructor(world: World, clientId: string, count: number) {
    this.#world = world;
    this.#clientId = clientId;
    this.#count = count;
    void this.#connect();
  }

  get left(): number {
    return this.#count - this.#next + 1 + this.#open.size;
  }

  get isDone(): boolean {
    return this.left === 0;
  }

  /** Its connection is gone. */
  lost(): void {
    const life = ++this.#life;
    this.#world.clock.after(20 + 300 * this.#world.chance(), () => {
      if (this.#life === life) void this.#connect();
    });
  }

  async #connect(): Promise<void> {
    const life = ++this.#life;
    const found = [...this.#world.brokers.values()];
    const broker = found[this.#world.pick(found.length)];
    // a client that hears nothing tries elsewhere
    this.#world.clock.after(8_000, () => {
      if (this.#life === life && !this.isDone) this.lost();
    });
    if (broker === undefined) return;
    this.hub = broker.life.hubId;
    try {
      const { past } = await broker.keeper.claim(this.#clientId);
      if (this.#life !== life || broker.life.isDead) return;
      const { sessions } = broker;
      if (!sessions.has(this.#clientId)) sessions.set(this.#clientId, new Set(past?.inboundIds));
      await broker.keeper.store(this.#clientId, session(1));
      if (this.#life !== life) return;
      for (const packetId of [...this.#open.keys()]) this.#send(broker, life, packetId);
      this.#sendMore(broker, life);
    } catch {
      if (this.#life === life) this.lost();
    }
  }

  #sendMore(broker: Broker, life: number): void {
    for (let packetId = 1; packetId <= windowMax && this.#next <= this.#count; packetId++) {
      if (this.#open.has(packetId)) continue;
      this.#open.set(packetId, { number: this.#next++, isReceived: false });
      this.#send(broker, life, packetId);
    }
  }

  /** One PUBLISH or PUBREL, up to its PUBCOMP. */
  #send(broker: Broker, life: number, packetId: number): void {
    const { keeper, sessions, life: hub } = broker;
    const one = this.#open.get(packetId)!;
    const known = sessions.get(this.#clientId);
    if (known === undefined) return this.lost();
    const store = async (): Promise<void> => {
      if (one.isReceived || known.has(packetId)) return;
      await keeper.storeOnce(this.#clientId, packetId, "t", record(`${this.#clientId}/${one.number}`));
      if (!hub.isDead) known.add(packetId);
    };
    const handshake = async (): Promise<void> => {
      await store();
      if (this.#life !== life || hub.isDead) return;
      one.isReceived = true;
      await keeper.release(this.#clientId, packetId);
      if (!hub.isDead) known.delete(packetId);
      if (this.#life !== life || hub.isDead) return;
      this.#open.delete(packetId);
      this.#sendMore(broker, life);
    };
    handshake().catch(() => {
      if (this.#life === life) this.lost();
    });
  }
}

function check(log: SimLog, clientId: string, count: number, where: string): void {
  const own = log.messages().filter((value) => value.startsWith(`${clientId}/`));
  const all = Array.from({ length: count }, (_, at) => `${clientId}/${at + 1}`);
  assert.deepEqual(own, all, where);
}

test("a hub that dies after any step of its devices' messages neither loses nor doubles one", async () => {
  for (const lands of [true, false]) {
    let wasReached = true;
    for (let at = 1; wasReached; at++) {
      const world = new World(firstSeed);
      await world.clock.advance(500);
      const device = new Device(world, "d", 8);
      let steps = 0;
      wasReached = false;
      world.log.stepped = ({ hubId, isDead }) => {
        if (isDead || hubId !== device.hub || ++steps !== at) return;
        wasReached = true;
        world.kill(hubId, lands);
        device.lost();
      };
      await world.run([device]);
      check(world.log, "d", 8, `killed after step ${at}, seed ${firstSeed}`);
    }
  }
});

test("devices that roam among hubs which die, lag and are held for dead have each message once, in order", async () => {
  for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
    const world = new World(seed);
    await world.clock.advance(500);
    const devices = ["a", "b", "c"].map((clientId) => new Device(world, clientId, 40));
    const step = (): void => {
      const kind = world.pick(60);
      const hubId = hubIds[world.pick(3)]!;
      if (kind === 0) world.kill(hubId, world.pick(2) === 0, 3_000 * world.chance());
      else if (kind === 1) world.cutOff(hubId);
      else if (kind === 2) world.log.compact();
      else if (kind === 3) devices[world.pick(3)]!.lost();
      else if (kind === 4) world.log.leaders = world.log.leaders.map(() => hubIds[world.pick(3)]!);
      else if (kind === 5) {
        world.log.alive.delete(hubId); // a wrong verdict
        world.clock.after(2_000 * world.chance(), () => void (world.brokers.has(hubId) && world.log.alive.add(hubId)));
      } else if (kind === 6) {
        world.log.leaderless.add("t");
        world.clock.after(4_000 * world.chance(), () => world.log.leaderless.delete("t"));
      }
    };
    await world.run(devices, step);
    await world.clock.advance(10_000);
    for (const clientId of ["a", "b", "c"]) check(world.log, clientId, 40, `seed ${seed}`);
  }
});
