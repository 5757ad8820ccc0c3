// Hubs that take clients over from each other, on a simulated log: never two owners whose writes are acknowledged, and
// whoever comes next finds what was acknowledged last. `SEED=` and `ROUNDS=` choose the lives.
import assert from "node:assert/strict";
import test from "node:test";
import type { KnownSession } from "../../../bridge/keep/faces.ts";
import { Kind, readKey } from "../../../bridge/keep/keys.ts";
import { SharedSessionKeeper } from "../../../bridge/keep/shared_keeper.ts";
import type { Past } from "../../../bridge/session/record.ts";
import { silentTrace } from "../../../hub/mod.ts";
import { seeded, SimClock } from "../../sim/clock.ts";
import { SimHub, SimLog } from "./sim_log.ts";
import { record, session } from "./stage.ts";

const rounds = Number(process.env["ROUNDS"] ?? 50);
const firstSeed = Number(process.env["SEED"] ?? 1);
const hubIds = [1, 2, 3];
const clientIds = ["a", "b", "c"];

/** A state that a hub gave a client; 0: it ended. In the order of the log: by epoch, then by `order`. */
interface Issued {
  readonly number: number;
  readonly epoch: number;
  readonly order: number;
  isAcknowledged: boolean;
}

/** What a hub found when it began to look after a client. */
interface Found {
  readonly epoch: number;
  readonly number: number;
  /** States issued until then: a hub that starts anew goes on in its epoch. */
  readonly issued: number;
  readonly ids: readonly number[];
  /** QoS 2 ids that were acknowledged before, and not released by anybody. */
  readonly open: readonly number[];
  /** Ids whose release was acknowledged. */
  readonly freed: ReadonlySet<number>;
}

interface Client {
  readonly issued: Issued[];
  readonly found: Found[];
  /** Ids that were acknowledged, or whose release was, with the epoch of the owner that did it. */
  readonly open: Map<number, number>;
  readonly freed: Map<number, number>;
  lastId: number;
  ends: number;
}

/** The broker's part of one hub: which clients it has, in which epoch. */
interface Broker {
  readonly life: SimHub;
  readonly keeper: SharedSessionKeeper;
  readonly epochs: Map<string, number>;
  /** The last state it gave each. */
  readonly last: Map<string, number>;
  isOpen: boolean;
}

class World {
  readonly seed: number;
  readonly chance: () => number;
  readonly clock = new SimClock();
  readonly log: SimLog;
  readonly brokers = new Map<number, Broker>();
  readonly clients = new Map<string, Client>();
  number = 0;

  constructor(seed: number) {
    this.seed = seed;
    this.chance = seeded(seed);
    this.log = new SimLog(this.clock, this.chance);
    for (const id of clientIds)
      this.clients.set(id, { issued: [], found: [], open: new Map(), freed: new Map(), lastId: 0, ends: 0 });
    for (const id of hubIds) this.start(id);
  }

  pick(max: number): number {
    return Math.floor(this.chance() * max);
  }

  start(hubId: number): void {
    const life = new SimHub(hubId);
    const epochs = new Map<string, number>();
    const last = new Map<string, number>();
    const keeper = new SharedSessionKeeper(
      { hub: this.log.hub(life), client: this.log.client(life), clock: this.clock, trace: silentTrace },
      {
        onTaken: (clientId) => {
          const number = last.get(clientId) ?? 0;
          const epoch = epochs.get(clientId);
          epochs.delete(clientId);
          if (number === 0 || epoch === undefined || this.chance() < 0.3) return null;
          return session(this.issue(clientId, epoch, ++this.number).number);
        },
        isKnown: (clientId) => epochs.has(clientId),
        onInherited: (known) => this.inherited(broker, known),
      },
    );
    const broker: Broker = { life, keeper, epochs, last, isOpen: false };
    this.brokers.set(hubId, broker);
    this.log.alive.add(hubId);
    void keeper.open().then((known) => {
      broker.isOpen = true;
      this.inherited(broker, known);
    });
  }

  kill(hubId: number): void {
    const broker = this.brokers.get(hubId)!;
    this.log.kill(broker.life);
    this.brokers.delete(hubId);
    const seenMs = this.chance() * 3_000;
    this.clock.after(seenMs, () => {
      if (!this.brokers.has(hubId)) this.log.alive.delete(hubId);
    });
    this.clock.after(seenMs + this.chance() * 6_000, () => {
      if (!this.brokers.has(hubId)) this.start(hubId);
    });
  }

  /** Its epoch as the log says: that of its newest claim. */
  inherited(broker: Broker, known: readonly KnownSession[]): void {
    for (const { clientId, past } of known) {
      if (broker.epochs.has(clientId)) continue;
      const epoch = Math.max(...[Kind.claim, Kind.heir].map((kind) => this.newest(clientId, kind)));
      this.began(broker, clientId, past, epoch);
    }
  }

  newest(clientId: string, kind: Kind): number {
    const found = this.log.partitions.flat().filter(({ key, value }) => {
      const about = readKey(key);
      return about?.kind === kind && about.clientId === clientId && value !== null;
    });
    return (found.at(-1)?.offset ?? -1) + 1;
  }

  began(broker: Broker, clientId: string, past: Past | null, epoch: number): void {
    const client = this.clients.get(clientId)!;
    const number = past?.session?.expirySeconds ?? 0;
    client.found.push({
      epoch,
      number,
      issued: client.issued.length,
      ids: past?.inboundIds ?? [],
      // who does not know yet that it lost the client may find what was before
      open: [...client.open].filter(([, by]) => by <= epoch).map(([id]) => id),
      freed: new Set([...client.freed].filter(([, by]) => by <= epoch).map(([id]) => id)),
    });
    broker.epochs.set(clientId, epoch);
    broker.last.set(clientId, number);
  }

  issue(clientId: string, epoch: number, number: number): Issued {
    const { issued } = this.clients.get(clientId)!;
    const one = { number, epoch, order: issued.length, isAcknowledged: false };
    issued.push(one);
    return one;
  }

  async claim(broker: Broker, clientId: string): Promise<void> {
    try {
      const { past, epoch } = await broker.keeper.claim(clientId);
      if (broker.life.isDead) return; // its timers still run, and nobody hears of it
      // a session that the broker has goes before what is kept of it
      if (broker.epochs.has(clientId)) broker.epochs.set(clientId, epoch);
      else this.began(broker, clientId, past, epoch);
    } catch (error) {
      assert.equal((error as { kind?: string }).kind, "PRODUCER_FENCED", `seed ${this.seed}: ${String(error)}`);
    }
  }

  /** A write of a client that the hub has. */
  async act(broker: Broker, clientId: string): Promise<void> {
    const epoch = broker.epochs.get(clientId);
    if (epoch === undefined) return;
    const client = this.clients.get(clientId)!;
    const kind = this.pick(8);
    try {
      if (kind < 4) {
        const one = this.issue(clientId, epoch, ++this.number);
        broker.last.set(clientId, one.number);
        await broker.keeper.store(clientId, session(one.number));
        one.isAcknowledged = !broker.life.isDead;
      } else if (kind < 6) {
        const id = ++client.lastId;
        const { ends } = client;
        const value = `${clientId}/${id}`;
        await broker.keeper.storeOnce(clientId, id, "t", record(value));
        assert.ok(this.log.messages().includes(value), `seed ${this.seed}: ${value} is acknowledged, and nowhere`);
        if (!broker.life.isDead && client.ends === ends) client.open.set(id, epoch);
      } else if (kind === 6 && client.open.size > 0) {
        const [id] = client.open.keys() as unknown as [number];
        client.open.delete(id);
        await broker.keeper.release(clientId, id);
        if (!broker.life.isDead) client.freed.set(id, epoch);
      } else if (this.pick(4) === 0) {
        const one = this.issue(clientId, epoch, 0);
        broker.last.set(clientId, 0);
        client.open.clear();
        client.ends++;
        await broker.keeper.end(clientId);
        one.isAcknowledged = !broker.life.isDead;
      }
    } catch (error) {
      const { kind } = error as { kind?: string };
      // nobody knows: it stays with the keeper
      if (kind !== "NETWORK_EXCEPTION") assert.equal(kind, "PRODUCER_FENCED", `seed ${this.seed}: ${String(error)}`);
    }
  }

  step(): void {
    const open = [...this.brokers.values()].filter(({ isOpen }) => isOpen);
    const broker = open[this.pick(Math.max(1, open.length))];
    const clientId = clientIds[this.pick(clientIds.length)]!;
    const kind = this.pick(40);
    if (kind === 0 && this.brokers.size > 1) this.kill([...this.brokers.keys()][this.pick(this.brokers.size)]!);
    else if (kind === 1) this.log.leaders = this.log.leaders.map(() => hubIds[this.pick(3)]!);
    else if (kind === 2) this.log.compact();
    else if (kind === 3) {
      // a wrong verdict
      const hubId = hubIds[this.pick(3)]!;
      this.log.alive.delete(hubId);
      this.clock.after(this.chance() * 3_000, () => void (this.brokers.has(hubId) && this.log.alive.add(hubId)));
    } else if (broker !== undefined && kind < 10) void this.claim(broker, clientId).catch((error) => this.fail(error));
    else if (broker !== undefined) void this.act(broker, clientId).catch((error) => this.fail(error));
  }

  failure: unknown = null;

  fail(error: unknown): void {
    this.failure ??= error;
  }

  async live(): Promise<void> {
    for (let steps = 0; steps < 200; steps++) {
      this.step();
      await this.clock.advance(this.chance() < 0.1 ? 2_000 : 30 * this.chance());
      if (this.failure !== null) throw this.failure;
    }
    for (const id of hubIds) if (!this.brokers.has(id)) this.start(id);
    await this.clock.advance(30_000);
    for (const clientId of clientIds)
      await this.clock.settle(this.claim(this.brokers.get(1 + this.pick(3))!, clientId));
    if (this.failure !== null) throw this.failure;
    for (const [clientId, client] of this.clients) this.check(clientId, client);
    const messages = this.log.messages();
    assert.equal(new Set(messages).size, messages.length, `seed ${this.seed}: a message is there twice`);
  }

  check(clientId: string, { issued, found }: Client): void {
    const place = new Map(issued.map((one) => [one.number, one]));
    for (const { epoch, number, issued: until, ids, open, freed } of found) {
      const isEarlier = (one: Issued): boolean => one.epoch < epoch || (one.epoch === epoch && one.order < until);
      const where = `seed ${this.seed}, client ${clientId}, epoch ${epoch}`;
      const is = number === 0 ? null : place.get(number);
      assert.ok(is !== undefined, `${where}: ${number} was never written`);
      for (const one of issued.filter((each) => isEarlier(each) && each.isAcknowledged)) {
        const ended = issued.some((each) => each.number === 0 && isEarlier(each) && !isBefore(each, one));
        if (is === null) assert.ok(ended, `${where}: nothing was found, ${one.number} was acknowledged`);
        else assert.ok(!isBefore(is, one), `${where}: ${number} was found, ${one.number} was acknowledged`);
      }
      if (is !== null) assert.ok(isEarlier(is), `${where}: ${number} is of epoch ${is.epoch}`);
      for (const id of open) assert.ok(ids.includes(id), `${where}: id ${id} was acknowledged, ${ids} found`);
      for (const id of ids) assert.ok(!freed.has(id), `${where}: id ${id} was released`);
    }
  }
}

function isBefore(a: Issued, b: Issued): boolean {
  return a.epoch < b.epoch || (a.epoch === b.epoch && a.order < b.order);
}

test("whoever looks after a client next finds what was acknowledged last, through deaths and compaction", async () => {
  for (let seed = firstSeed; seed < firstSeed + rounds; seed++) await new World(seed).live();
});
