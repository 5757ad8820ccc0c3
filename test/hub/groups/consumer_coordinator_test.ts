// Random life of a group of the server-side protocol, old and new members mixed, with the promises named and checked.
import assert from "node:assert/strict";
import test from "node:test";
import * as consumers from "../../../hub/groups/consumer_coordinator.ts";
import * as groups from "../../../hub/groups/coordinator.ts";
import { byId } from "../../../hub/groups/classic_members.ts";
import type { HeartbeatReply, SyncReply } from "../../../hub/groups/group.ts";
import type { TopicPartitions } from "../../../hub/groups/topic_partitions.ts";
import { countOf, noPartitions, without } from "../../../hub/groups/topic_partitions.ts";
import { ConsumerStage, embedded } from "./consumer_stage.ts";

/** mulberry32 */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A member as the Java client is one: it does what it was told a while later, and says what it owns when that changed. */
class Client {
  epoch = 0;
  owned: TopicPartitions = noPartitions;
  told: TopicPartitions | null = null;
  /** What it owns is not said yet. */
  owes = true;
  /** Its last answer was lost: it says everything anew. */
  unsure = false;
  readonly id: string;
  topics: string[];

  constructor(id: string, topics: string[]) {
    this.id = id;
    this.topics = topics;
  }
}

/** A classic consumer of a mixed group: eager ones let go of all before they join, cooperative ones of what they lose. */
class ClassicClient {
  memberId = "";
  generation = -1;
  owned: TopicPartitions = noPartitions;
  joins = true;
  readonly topics: string[];
  readonly eager: boolean;

  constructor(topics: string[], eager: boolean) {
    this.topics = topics;
    this.eager = eager;
  }
}

class Life {
  // Classic groups have a model of their own: this one stays what it is.
  readonly stage = new ConsumerStage({ migration: "upgrade" });
  classics: ClassicClient[] = [];
  readonly random: () => number;
  clients: Client[] = [];
  #names = 0;
  #highest = 0;
  beats = 0;
  stable = 0;

  constructor(seed: number) {
    this.random = randomOf(seed);
    this.stage.topic("t", 6);
    this.stage.topic("u", 4);
  }

  pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(this.random() * list.length)];
  }

  topics(): string[] {
    return this.pick([["t"], ["t", "u"], ["u"], ["t", "u", "v"]])!;
  }

  step(): void {
    const dice = this.random();
    const client = this.pick(this.clients);
    if (dice < 0.06 && this.clients.length < 8) {
      this.#names += 1;
      this.clients.push(new Client(`m${this.#names}`, this.topics()));
    } else if (dice < 0.08 && client !== undefined) this.leave(client);
    else if (dice < 0.09 && client !== undefined) {
      // killed: it stops everything at once
      this.clients = this.clients.filter((each) => each !== client);
    } else if (dice < 0.11) this.stage.topic(this.pick(["t", "u", "v"])!, 2 + Math.floor(this.random() * 9));
    else if (dice < 0.115) this.stage.topic("v", 0);
    else if (dice < 0.125 && client !== undefined) client.topics = this.topics();
    else if (dice < 0.13) this.stage.restart();
    else if (dice < 0.16) this.stage.wait(Math.floor(this.random() * 8_000));
    else if (client !== undefined && dice < 0.45) this.obey(client);
    else if (client !== undefined) this.beat(client);
    this.check();
  }

  /** One turn of a classic client. */
  turn(client: ClassicClient): void {
    const { stage } = this;
    if (!client.joins) {
      const claim = { memberId: client.memberId, generation: client.generation, instanceId: null };
      this.heed(client, groups.heartbeat(stage.coordinator, "g", claim, stage.now));
      return;
    }
    if (client.eager) client.owned = noPartitions;
    const owned = [...client.owned].map(([id, list]) => [stage.nameOf(id), list] as const);
    const protocols = [{ name: "p", metadata: embedded(client.topics, owned) }];
    const joined = stage.classicJoin({ memberId: client.memberId, protocols })!;
    this.heed(client, joined.error);
    if (joined.error !== "NONE") return;
    client.memberId = joined.memberId;
    client.generation = joined.generation;
    const synced = stage.classicSync(client.memberId, client.generation) as SyncReply;
    this.heed(client, synced.error);
    if (synced.error !== "NONE") return;
    const told = byId(stage.world.embedded.readAssignment(synced.assignment) ?? [], stage.world.topics);
    client.joins = without(client.owned, told).size > 0;
    client.owned = told;
  }

  heed(client: ClassicClient, error: string): void {
    if (error === "NONE") return;
    client.joins = true;
    if (error === "REBALANCE_IN_PROGRESS") return;
    assert.ok(["UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION"].includes(error), error);
    client.owned = noPartitions;
    if (error === "UNKNOWN_MEMBER_ID") client.memberId = "";
  }

  /** A step of a group of both kinds: there is always a member of the server-side protocol. */
  mixedStep(): void {
    if (this.clients.length === 0) this.clients.push(new Client(`p${this.beats}`, this.topics()));
    const classic = this.pick(this.classics);
    const dice = this.random();
    if (this.clients.every(({ epoch }) => epoch === 0)) this.beat(this.clients[0]!);
    else if (dice < 0.04 && this.classics.length < 4) {
      this.classics.push(new ClassicClient(this.topics(), this.random() < 0.5));
    } else if (dice < 0.05 && classic !== undefined) this.classics = this.classics.filter((each) => each !== classic);
    else if (dice < 0.4 && classic !== undefined) this.turn(classic);
    else this.step();
    this.check();
  }

  obey(client: Client): void {
    if (client.told === null) return;
    client.owned = client.told;
    client.told = null;
    client.owes = true;
  }

  beat(client: Client): void {
    this.beats += 1;
    const joins = client.epoch === 0;
    const lost = this.random() < 0.05;
    const reply = this.stage.beat({
      memberId: client.id,
      memberEpoch: client.epoch,
      rebalanceTimeoutMs: joins || client.unsure ? 20_000 : -1,
      topics: client.topics,
      owned: joins ? new Map() : client.owes || client.unsure ? client.owned : null,
    });
    assert.ok(reply !== undefined, "answered at once while stores succeed");
    client.unsure = lost;
    if (!lost) this.take(client, reply);
  }

  take(client: Client, reply: HeartbeatReply): void {
    if (reply.error === "NONE") {
      assert.ok(reply.memberEpoch >= client.epoch, "epochs monotonic: a member's");
      client.epoch = reply.memberEpoch;
      client.owes = false;
      if (reply.assignment !== null) client.told = reply.assignment;
      return;
    }
    assert.ok(["UNKNOWN_MEMBER_ID", "FENCED_MEMBER_EPOCH", "GROUP_ID_NOT_FOUND"].includes(reply.error), reply.error);
    client.epoch = 0;
    client.owned = noPartitions;
    client.told = null;
    client.owes = true;
  }

  leave(client: Client): void {
    if (client.epoch > 0) this.stage.beat({ memberId: client.id, memberEpoch: -1 });
    this.clients = this.clients.filter((each) => each !== client);
  }

  /** A client whose session ended does not know it yet: it is left out until it hears. */
  check(): void {
    const group = this.stage.coordinator.groups.get("g")?.consumer;
    if (!group) return;
    assert.ok(group.epoch >= this.#highest, "epochs monotonic: the group's");
    this.#highest = group.epoch;
    const owner = new Map<string, string>();
    for (const client of this.clients) {
      if (!group.members.has(client.id) || group.members.get(client.id)!.epoch < client.epoch) continue;
      // What it owns, and what it was told and may take at any moment.
      for (const [topicId, partitions] of [...client.owned, ...(client.told ?? [])]) {
        for (const partition of partitions) {
          const key = `${topicId}-${partition}`;
          const other = owner.get(key) ?? client.id;
          assert.equal(other, client.id, `no two owners: ${key}`);
          owner.set(key, client.id);
        }
      }
    }
    this.checkClassic(owner);
  }

  /** What classic members own is theirs alone, too. */
  checkClassic(owner: Map<string, string>): void {
    for (const { memberId, owned } of this.classics) {
      if (!this.stage.group().members.has(memberId)) continue;
      for (const [topicId, partitions] of owned) {
        for (const partition of partitions) {
          const key = `${topicId}-${partition}`;
          assert.equal(owner.get(key) ?? memberId, memberId, `no two owners: ${key}`);
          owner.set(key, memberId);
        }
      }
    }
  }

  /** Everybody beats and obeys until nothing moves. */
  calm(): void {
    for (const client of this.clients) if (client.epoch === 0) this.beat(client);
    for (let round = 0; round < 60; round += 1) {
      this.stage.wait(1_000);
      for (const client of this.clients) {
        this.obey(client);
        this.beat(client);
        this.check();
      }
      for (const client of this.classics) {
        this.turn(client);
        this.check();
      }
    }
    if (this.clients.length === 0) return;
    const found = consumers.describeConsumer(this.stage.coordinator, "g");
    assert.equal(found?.state, "Stable", "it comes to rest");
    this.stable += 1;
    const wanted = new Set<string>();
    for (const client of [...this.clients, ...this.classics]) {
      for (const name of client.topics) if (this.stage.topics.has(name)) wanted.add(name);
    }
    let partitions = 0;
    for (const name of wanted) partitions += this.stage.topics.get(name)!.partitions;
    const owned = [...this.clients, ...this.classics].reduce((sum, client) => sum + countOf(client.owned), 0);
    assert.equal(owned, partitions, "every partition assigned when stable");
    this.sticky();
  }

  /** A newcomer with the subscription of all others moves no more than its share. */
  sticky(): void {
    const { stage } = this;
    const alike = this.clients.every(({ topics }) => topics.join() === this.clients[0]!.topics.join());
    if (!alike || this.clients.length > 7 || this.classics.length > 0) return;
    const before = new Map(stage.group().target);
    const newcomer = new Client(`s${this.beats}`, [...this.clients[0]!.topics]);
    this.clients.push(newcomer);
    this.beat(newcomer);
    if (newcomer.epoch === 0) this.beat(newcomer);
    let moved = 0;
    for (const [id, partitions] of before)
      moved += countOf(without(partitions, stage.group().target.get(id) ?? noPartitions));
    const share = countOf(stage.group().target.get(newcomer.id)!);
    assert.equal(moved, share, "sticky: a join moves what the newcomer gets and nothing else");
  }
}

/** Runs the lives of many seeds, or of the one that is given. */
function live(step: (life: Life) => void): void {
  const given = process.env.SEED === undefined ? null : Number(process.env.SEED);
  let stable = 0;
  for (let seed = given ?? 1; seed <= (given ?? 25); seed += 1) {
    const life = new Life(seed);
    try {
      for (let i = 0; i < 400; i += 1) {
        step(life);
        if (i % 100 === 99) life.calm();
      }
    } catch (error) {
      throw new Error(`SEED=${seed}: ${(error as Error).message}`, { cause: error });
    }
    stable += life.stable;
  }
  if (given === null) assert.ok(stable > 40, `${stable} rests`);
}

test("consumer groups: random lives keep every promise", () => {
  live((life) => life.step());
});

test("consumer groups: random lives of old and new members together keep every promise", () => {
  live((life) => life.mixedStep());
});
