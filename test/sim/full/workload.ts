// Clients as people write them, over the public client: producers, a consumer group, readers, somebody who looks at ends.
import type { Consumer, HubClient, PartitionOffset, Producer } from "../../../hub/client/faces.ts";
import { dial } from "../../../hub/client/connection.ts";
import type { History } from "./history.ts";
import { kafkaPort, type SimHub, type Stage } from "./stage.ts";
import type { Machine, World } from "./world.ts";

export interface TopicPlan {
  readonly name: string;
  readonly partitions: number;
  readonly factor: number;
  readonly m: number;
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array | null): string => (bytes === null ? "" : new TextDecoder().decode(bytes));

/** One client process at a time; a new one takes over when it ends. */
interface Person {
  readonly name: string;
  readonly live: (client: HubClient, machine: Machine, name: string) => Promise<void>;
  machine: Machine | null;
  client: HubClient | null;
  born: number;
}

export class Workload {
  readonly #world: World;
  readonly #stage: Stage;
  readonly #history: History;
  readonly #topics: readonly TopicPlan[];
  readonly #people: Person[] = [];
  readonly #chance: () => number;
  /** How slowly people work: events are the price of a seed. */
  readonly #leisure: number;
  /** Producers send no more. */
  quiet = false;
  readonly #pending = new Map<Machine, number>();

  constructor(stage: Stage, history: History, topics: readonly TopicPlan[]) {
    this.#world = stage.world;
    this.#stage = stage;
    this.#history = history;
    this.#topics = topics;
    this.#chance = stage.world.fork();
    this.#leisure = stage.world.pick([1, 2, 3, 4, 6]);
  }

  #int(max: number): number {
    return Math.floor(this.#chance() * max);
  }

  sleep(machine: Machine, ms: number): Promise<void> {
    return new Promise((resolve) => void this.#world.at(machine, ms, resolve));
  }

  /** Makes the topics, however often it must be asked for. */
  async makeTopics(): Promise<void> {
    const { client, machine } = this.#stage.client("maker");
    const admin = client.admin();
    for (const { name, partitions, factor, m } of this.#topics) {
      for (;;) {
        try {
          const configs = { "min.insync.replicas": String(m) };
          await admin.createTopic(name, { partitions, replicationFactor: factor, configs });
          break;
        } catch (error) {
          this.#world.say(`topic ${name}: ${String(error)}`);
          if ((error as { kind?: string }).kind === "TOPIC_ALREADY_EXISTS") break;
          await this.sleep(machine, 500);
        }
      }
    }
    await client.close();
  }

  start(): void {
    const add = (name: string, live: Person["live"]): void => {
      const person = { name, live, machine: null, client: null, born: 0 };
      this.#people.push(person);
      this.#begin(person);
    };
    add("alice", (client, machine, name) => this.#produce(client, machine, name, -1));
    add("bob", (client, machine, name) => this.#produce(client, machine, name, -1));
    add("carl", (client, machine, name) => this.#produce(client, machine, name, 1));
    add("dora", (client, machine, name) => this.#member(client, machine, name));
    add("emil", (client, machine, name) => this.#member(client, machine, name));
    add("fred", (client, machine, name) => this.#read(client, machine, name));
    add("gina", (client, machine) => this.#look(client, machine));
    add("harry", (client, machine) => this.#haunt(client, machine));
  }

  #begin(person: Person): void {
    person.born += 1;
    const name = `${person.name}${person.born}`;
    const { client, machine } = this.#stage.client(name, this.#shuffled());
    person.machine = machine;
    person.client = client;
    person.live(client, machine, name).catch((error: unknown) => {
      if (machine.running) this.#world.violated("client", `${name} ends: ${(error as Error).stack}`);
    });
  }

  #shuffled(): readonly SimHub[] {
    const { hubs } = this.#stage;
    const first = this.#int(hubs.length);
    return [...hubs.slice(first), ...hubs.slice(0, first)];
  }

  /** One client process ends without a word, another takes its place. */
  replace(): void {
    const person = this.#people[this.#int(this.#people.length)]!;
    this.#world.say(`${person.name}${person.born} is killed`);
    this.#stage.endClient(person.machine!);
    this.#begin(person);
  }

  /** Somebody moves a partition to these hubs, as many as it has replicas, or its leadership to the first of them. */
  administer(hubs: readonly number[], what: string): void {
    const { name: topic, partitions, factor } = this.#topics[this.#int(this.#topics.length)]!;
    const place = { topic, partition: this.#int(partitions) };
    const { client, machine } = this.#stage.client("admin", this.#shuffled());
    const cluster = client.admin().cluster();
    this.#world.say(`${what} of ${topic}-${place.partition}: ${hubs.slice(0, factor).join(",")}`);
    const asked: Promise<unknown> =
      what === "move"
        ? cluster.reassign([{ ...place, hubs: hubs.slice(0, factor) }])
        : cluster.elect("preferred", [place], hubs[0]!);
    const told = (error?: unknown): void => {
      this.#world.say(`${what} of ${topic}-${place.partition}: ${error === undefined ? "told" : String(error)}`);
      this.#stage.endClient(machine);
    };
    asked.then(() => told(), told);
  }

  /** Records taken by producers that run now and not answered yet. */
  get pending(): number {
    let sum = 0;
    for (const [machine, count] of this.#pending) if (machine.running) sum += count;
    return sum;
  }

  get machines(): Machine[] {
    return this.#people.map(({ machine }) => machine!);
  }

  async #produce(client: HubClient, machine: Machine, name: string, acks: -1 | 1): Promise<void> {
    let producer = client.producer({ acks });
    let count = 0;
    let session = 1;
    while (!this.quiet) {
      await this.sleep(machine, 20 + this.#int(this.#int(4) === 0 ? 1500 : 250 * this.#leisure));
      for (let i = this.#int(4); i >= 0; i -= 1) {
        this.#send(producer, machine, `${name}.${session}`, acks, (count += 1));
      }
      if (this.#int(50) === 0) {
        const old = producer;
        producer = client.producer({ acks }); // another session, while the old one may still be at work
        session += 1;
        void old.close().catch(() => {});
      }
    }
  }

  #send(producer: Producer, machine: Machine, name: string, acks: -1 | 1, count: number): void {
    const { name: topic, m } = this.#topics[this.#int(this.#topics.length)]!;
    const key = `${name}.${this.#int(4)}`;
    const value = `${key}:${count}:${acks}`;
    const { life } = machine;
    if (acks === -1) this.#history.idempotent.add(value);
    const note = (by: number): void => void this.#pending.set(machine, (this.#pending.get(machine) ?? 0) + by);
    note(1);
    producer.send(topic, { key: bytesOf(key), value: bytesOf(value) }, (error, offset, partition) => {
      if (machine.life !== life) return;
      note(-1);
      if (error !== null) {
        this.#history.refused += 1;
        return this.#world.say(`${name} is refused ${value}: ${String(error)}`);
      }
      if (acks === -1 && m >= 1) this.#history.sent(`${topic}-${partition}`, offset, value);
    });
  }

  #saw(
    consumer: string,
    batches: Awaited<ReturnType<Consumer["poll"]>>,
    each: (place: string, at: number) => void,
  ): void {
    for (const { topic, partition, records, highWatermark } of batches) {
      const place = `${topic}-${partition}`;
      if (records.length > 0) {
        const [first, last] = [records[0]!, records.at(-1)!];
        this.#world.say(`${consumer} reads ${place}@${first.offset}..${last.offset} ${textOf(last.value)}`);
      }
      for (const { offset, value } of records) {
        this.#history.saw(place, offset, textOf(value));
        if (offset >= highWatermark) {
          this.#world.violated(
            "I5 NoUncommittedRead",
            `${place}@${offset} was read, the watermark is ${highWatermark}`,
          );
        }
        each(place, offset);
      }
    }
  }

  async #member(client: HubClient, machine: Machine, name: string): Promise<void> {
    const topics = this.#topics.map(({ name: topic }) => topic);
    const fresh = new Set<string>();
    /** What was handled and not committed. */
    const done = new Map<string, PartitionOffset>();
    const open = async (): Promise<Consumer> => {
      const consumer = client.consumer({
        group: "g",
        from: "earliest",
        sessionTimeoutMs: 6000,
        onAssigned: (partitions) => {
          fresh.clear();
          done.clear();
          for (const { topic, partition } of partitions) fresh.add(`${topic}-${partition}`);
        },
      });
      await consumer.subscribe(topics);
      return consumer;
    };
    let consumer = await open();
    for (;;) {
      try {
        const batches = await consumer.poll(500);
        const first = new Set<string>();
        this.#saw(name, batches, (place, at) => {
          if (fresh.delete(place) && !first.has(place)) this.#history.resumed(place, at);
          first.add(place);
          this.#history.handle(place, at);
        });
        for (const { topic, partition, nextOffset } of batches) {
          done.set(`${topic}-${partition}`, { topic, partition, offset: nextOffset });
        }
        if (done.size === 0) continue;
        if (this.#int(4) === 0) await this.sleep(machine, this.#int(300));
        if (this.#int(2) === 0 && batches.length > 0) continue;
        const offsets = [...done.values()];
        await consumer.commit(offsets);
        done.clear();
        this.#history.commits += 1;
        for (const { topic, partition, offset } of offsets) {
          this.#world.say(`${name} committed ${topic}-${partition} ${offset}`);
          const place = `${topic}-${partition}`;
          this.#history.committed.set(place, Math.max(offset, this.#history.committed.get(place) ?? 0));
        }
      } catch (error) {
        this.#world.say(`${name}: ${String(error)}`);
        await this.sleep(machine, 200);
        if ((error as { kind?: string }).kind === "ILLEGAL_GENERATION") continue;
        void consumer.close().catch(() => {});
        consumer = await open();
      }
    }
  }

  async #read(client: HubClient, machine: Machine, name: string): Promise<void> {
    for (;;) {
      const consumer = client.consumer();
      const next = new Map<string, number>();
      try {
        await consumer.assign(this.#topics.map(({ name: topic }) => ({ topic, from: "earliest" as const })));
        for (let polls = 50 + this.#int(400); polls > 0; polls -= 1) {
          this.#saw(name, await consumer.poll(500), (place, at) => {
            if (at < (next.get(place) ?? 0) && !this.#history.isWeak(place))
              this.#world.violated("I6 read order", `${place}: ${at} after ${next.get(place)}`);
            next.set(place, at + 1);
          });
          if (this.#int(2) === 0) await this.sleep(machine, 50 * this.#leisure);
        }
      } catch (error) {
        this.#world.say(`${name}: ${String(error)}`);
        await this.sleep(machine, 200);
      }
      void consumer.close().catch(() => {});
    }
  }

  /** Asks for the ends of partitions, again and again, of whoever answers. */
  async #look(client: HubClient, machine: Machine): Promise<void> {
    const admin = client.admin();
    const partitions = this.#topics.flatMap(({ name, partitions: count }) => {
      return Array.from({ length: count }, (_, partition) => ({ topic: name, partition }));
    });
    for (;;) {
      await this.sleep(machine, 100 + this.#int(900));
      const before = new Map(this.#history.latest);
      try {
        for (const { topic, partition, offset } of await admin.offsets(partitions, "latest")) {
          const place = `${topic}-${partition}`;
          this.#history.told(place, offset, before.get(place) ?? 0);
        }
      } catch (error) {
        this.#world.say(`looker: ${String(error)}`);
      }
    }
  }

  /** A member of a group of its own; again and again somebody commits in its name and in an older generation. */
  async #haunt(client: HubClient, machine: Machine): Promise<void> {
    const { name: topic } = this.#topics[0]!;
    const admin = client.admin();
    for (;;) {
      const consumer = client.consumer({ group: "h", from: "latest", sessionTimeoutMs: 6000 });
      try {
        await consumer.subscribe([topic]);
        for (let polls = 20; polls > 0; polls -= 1) {
          await consumer.poll(1000);
          if (this.#int(2) === 0) await this.sleep(machine, 500 * this.#leisure);
          if (this.#int(4) > 0) continue;
          const { members } = await admin.describeGroup("h");
          for (const { memberId } of members) await this.#commitAsGhost(machine, topic, memberId);
        }
      } catch (error) {
        this.#world.say(`harry: ${String(error)}`);
        await this.sleep(machine, 500);
      }
      await consumer.close().catch(() => {});
    }
  }

  async #commitAsGhost(machine: Machine, topic: string, memberId: string): Promise<void> {
    const clock = this.#world.clockOf(machine);
    const net = this.#stage.net.portOf(machine);
    for (const hub of this.#stage.hubs) {
      const at = { net, clock, host: hub.machine.host, port: kafkaPort, clientId: "ghost", connectMsMax: 500 };
      const connection = await dial(at).catch(() => null);
      if (connection === null) continue;
      const partitions = [{ partitionIndex: 0, committedOffset: 1_000_000, committedMetadata: null }];
      const asked = { groupId: "h", generationIdOrMemberEpoch: 0, memberId, topics: [{ name: topic, partitions }] };
      const reply = await connection.call("offsetCommit", asked).catch(() => null);
      connection.close();
      for (const { errorCode } of reply?.topics.flatMap((one) => one.partitions) ?? []) {
        if (errorCode === 0) this.#world.violated("I12 OffsetsFenced", `generation 0 of ${memberId} may commit`);
      }
    }
  }
}
