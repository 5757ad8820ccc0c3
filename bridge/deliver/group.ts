// One shared subscription on this hub: a member of its consumer group, whose partitions its sessions share.
import {
  type Admin,
  type Clock,
  type Consumer,
  type HubClient,
  type InBatch,
  limits,
  type PartitionOffset,
  type TopicPartition,
  type Trace,
} from "../../hub/mod.ts";
import { filterMatches } from "../match/filter.ts";
import { type Options, single } from "../match/merged.ts";
import type { Cursor } from "../session/flight.ts";
import { firstFrom } from "./catch_up.ts";
import type { Feed, Member } from "./feed.ts";
import { messageIn, topicIn } from "./reading.ts";
import { decodeTaken, encodeTaken } from "./share.ts";

export interface GroupDeps {
  readonly client: HubClient;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly skewMs: number;
  readonly admin: () => Admin;
  /** The partitions its filter reaches, as they are known now. */
  readonly feeds: () => ReadonlySet<Feed>;
  readonly feedOf: (topic: string, partition: number) => Feed | undefined;
}

/** A partition that the group gave to this hub. */
interface Part extends TopicPartition {
  /** Where the next owner begins. */
  next: number;
  /** Offsets from there on that a client has at QoS 2 ([MQTT-4.8.2-5]). */
  readonly taken: Set<number>;
  owner: Member | null;
  cursor: Cursor | null;
  /** Gets it once what the owner has in flight is settled, or at `until`. */
  heir: Member | null;
  until: number;
  /** Read and not handed out. */
  batch: InBatch | null;
  /** It is to be read from `next` again. */
  isMoved: boolean;
  committed: string;
}

const tailOf = ({ next }: Cursor): number => next;
const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`;

export class Group {
  readonly id: string;
  readonly filter: string;
  readonly members = new Map<Member, Options>();
  readonly #deps: GroupDeps;
  readonly #parts = new Map<string, Part>();
  #topics: readonly string[] = [];
  #consumer: Consumer | null = null;
  #begun: Promise<void> | null = null;
  #running: Promise<void> = Promise.resolve();
  #committedAt = 0;
  /** By the wall clock, with some doubt about other hubs'. */
  readonly #begunAt: number;
  /** Nothing is handed out: what is in flight is to be settled. */
  #isHeld = false;
  #closed = false;

  constructor(id: string, filter: string, deps: GroupDeps) {
    this.id = id;
    this.filter = filter;
    this.#deps = deps;
    this.#begunAt = Math.max(0, deps.clock.wall() - deps.skewMs);
  }

  /** Resolves when what is acknowledged from then on will reach a member of the group. */
  async join(member: Member, options: Options): Promise<void> {
    this.members.set(member, options);
    this.#share();
    this.#begun ??= this.#begin();
    await this.#begun;
  }

  /** Its connection is gone, or its subscription: others go on where it was. */
  leave(member: Member): void {
    if (!this.members.delete(member)) return;
    for (const part of this.#parts.values()) {
      if (part.heir === member) part.heir = null;
      if (part.owner === member) this.#release(part);
    }
    this.#share();
  }

  /** Topics were made or are gone. */
  refresh(): void {
    const topics = this.#topicsNow();
    if (topics.join() === this.#topics.join()) return;
    this.#topics = topics;
    if (topics.length > 0) void this.#consumer?.subscribe(topics).catch(() => {});
  }

  /** There is room again. */
  more(member: Member): void {
    for (const part of this.#parts.values()) if (part.owner === member) this.#drain(part);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#isHeld = true;
    for (const part of this.#parts.values()) this.#release(part);
    await this.#commit();
    await this.#consumer?.close().catch(() => {});
    await this.#running;
  }

  #topicsNow(): string[] {
    return [...new Set([...this.#deps.feeds()].map(({ topic }) => topic))].sort();
  }

  /** Where a group begins that nobody committed for is fixed before it is joined: joining may take its time. */
  async #begin(): Promise<void> {
    const { admin, feeds } = this.#deps;
    await this.#persist(async () => {
      const committed = new Set((await admin().groupOffsets(this.id)).map(keyOf));
      const fresh = [...feeds()].filter((feed) => feed.isLed && !committed.has(keyOf(feed)));
      if (fresh.length === 0) return;
      const places = fresh.map(({ topic, partition }) => ({ topic, partition }));
      const ends = await admin().offsets(places, "latest");
      await admin()
        .setGroupOffsets(
          this.id,
          ends.map(({ topic, partition, offset }) => ({ topic, partition, offset })),
        )
        .catch((error: { kind?: string }) => {
          if (error.kind !== "NON_EMPTY_GROUP") throw error; // else a member elsewhere sees to it
        });
    });
    if (!this.#closed) this.#running = this.#run();
  }

  async #persist(attempt: () => Promise<void>): Promise<void> {
    const { clock, trace } = this.#deps;
    while (!this.#closed) {
      try {
        return await attempt();
      } catch (error) {
        if (this.#closed) return;
        trace.event("debug", "mqtt_deliver_retries", { error: String(error), group: this.id });
        await new Promise<void>((resolve) => void clock.after(limits.mqttDeliverRetryMs, resolve));
      }
    }
  }

  async #run(): Promise<void> {
    this.#topics = this.#topicsNow();
    while (!this.#closed) {
      await this.#persist(() => this.#read());
      await this.#consumer?.close().catch(() => {});
      this.#consumer = null;
      for (const part of this.#parts.values()) this.#release(part);
      this.#parts.clear();
    }
  }

  async #read(): Promise<void> {
    const { client, clock, trace } = this.#deps;
    this.#consumer = client.consumer({
      group: this.id,
      isolation: "read_committed",
      sessionTimeoutMs: limits.mqttGroupSessionMs,
      fetchBytesMax: limits.mqttCatchUpFetchBytes,
      onAssigned: (places) => this.#assigned(places),
      onRevoked: () => this.#revoked(),
      onMoved: (at, wanted, next) => {
        if (next > wanted) trace.count("mqtt_deliver_gone_total", next - wanted);
        const cursor = this.#parts.get(keyOf(at))?.cursor;
        if (cursor) cursor.next = next;
      },
      onBroken: () => trace.count("mqtt_deliver_broken_batches_total"),
    });
    if (this.#topics.length > 0) await this.#consumer.subscribe(this.#topics);
    while (!this.#closed) {
      for (const part of this.#parts.values()) {
        this.#inherit(part);
        if (!part.isMoved) continue;
        part.isMoved = false;
        await this.#consumer.seek(part, { offset: part.next });
        this.#consumer.resume([part]);
      }
      for (const batch of await this.#consumer.poll(limits.mqttGroupPollMs)) {
        const part = this.#parts.get(keyOf(batch));
        if (part === undefined || part.isMoved) continue;
        part.batch = batch;
        this.#consumer.pause([part]);
      }
      for (const part of this.#parts.values()) this.#drain(part);
      if (clock.now() - this.#committedAt >= limits.mqttGroupCommitMs) await this.#commit();
    }
  }

  async #assigned(places: readonly TopicPartition[]): Promise<void> {
    const { admin } = this.#deps;
    const committed = new Map((await admin().groupOffsets(this.id)).map((place) => [keyOf(place), place]));
    const fresh = places.filter((place) => !committed.has(keyOf(place)));
    const starts = new Map((await this.#since(fresh)).map((place) => [keyOf(place), place.offset]));
    for (const { topic, partition } of places) {
      const key = keyOf({ topic, partition });
      const known = committed.get(key);
      const next = known?.offset ?? starts.get(key) ?? 0;
      const taken = new Set(decodeTaken(next, known?.metadata ?? ""));
      const none = { owner: null, cursor: null, heir: null, until: 0, batch: null };
      this.#parts.set(key, { topic, partition, next, taken, ...none, isMoved: known === undefined, committed: "" });
    }
    this.#isHeld = false;
    this.#share();
    await this.#commit();
  }

  /** What nobody committed for was made, or had no leader, when the group began: from what came since. */
  async #since(places: readonly TopicPartition[]): Promise<readonly PartitionOffset[]> {
    if (places.length === 0) return [];
    const { admin } = this.#deps;
    const found = await admin().offsets(places, { time: this.#begunAt });
    const ends = await admin().offsets(places, "latest");
    return found.map((place, at) => (place.offset < 0 ? ends[at]! : place));
  }

  /** The group is shared out anew: what is in flight gets a moment, then all goes back with the offsets. */
  async #revoked(): Promise<void> {
    const { clock } = this.#deps;
    this.#isHeld = true;
    const until = clock.now() + limits.mqttGroupSettleMs;
    while (clock.now() < until && [...this.#parts.values()].some((part) => !isSettled(part))) {
      await new Promise<void>((resolve) => void clock.after(limits.mqttGroupPollMs / 4, resolve));
    }
    for (const part of this.#parts.values()) this.#release(part);
    await this.#commit();
    this.#parts.clear();
  }

  async #commit(): Promise<void> {
    this.#committedAt = this.#deps.clock.now();
    const offsets = [];
    for (const part of this.#parts.values()) {
      const { topic, partition, owner, cursor } = part;
      const offset = owner === null ? part.next : owner.subscriber.session.outbound.settled(cursor!, tailOf);
      for (const each of part.taken) if (each < offset) part.taken.delete(each);
      const metadata = encodeTaken(offset, [...part.taken]);
      const said = `${offset} ${metadata}`;
      if (said === part.committed) continue;
      part.committed = said;
      offsets.push({ topic, partition, offset, metadata });
    }
    if (offsets.length === 0) return;
    await this.#consumer?.commit(offsets).catch(() => {
      for (const part of this.#parts.values()) part.committed = ""; // it is tried again, or another has them
    });
  }

  /** Each partition has one owner; members have as many as the others, give or take one. */
  #share(): void {
    if (this.members.size === 0 || this.#isHeld) return;
    const loads = new Map<Member, number>([...this.members.keys()].map((member) => [member, 0]));
    for (const { owner, heir } of this.#parts.values()) {
      const member = heir ?? owner;
      if (member !== null) loads.set(member, (loads.get(member) ?? 0) + 1);
    }
    for (const part of this.#parts.values()) {
      if (part.owner !== null) continue;
      const member = least(loads);
      if (this.#give(part, member)) loads.set(member, loads.get(member)! + 1);
    }
    for (const part of this.#parts.values()) {
      const { owner } = part;
      const member = least(loads);
      if (owner === null || part.heir !== null || loads.get(owner)! - loads.get(member)! < 2) continue;
      loads.set(owner, loads.get(owner)! - 1);
      loads.set(member, loads.get(member)! + 1);
      part.heir = member;
      part.until = this.#deps.clock.now() + limits.mqttGroupSettleMs;
      this.#inherit(part);
    }
  }

  #inherit(part: Part): void {
    const { heir } = part;
    if (heir === null || (!isSettled(part) && this.#deps.clock.now() < part.until)) return;
    part.heir = null;
    this.#release(part);
    this.#give(part, heir);
  }

  #give(part: Part, member: Member): boolean {
    const { cursors } = member.subscriber.session.outbound;
    const cursor = cursors.open(part.topic, part.partition, part.next, this.id);
    if (cursor === null) return false;
    part.owner = member;
    part.cursor = cursor;
    return true;
  }

  #release(part: Part): void {
    const { owner, cursor } = part;
    if (owner === null || cursor === null) return;
    const { next, taken } = owner.subscriber.session.outbound.handOver(cursor, tailOf);
    for (const offset of taken) part.taken.add(offset);
    part.next = next;
    part.owner = null;
    part.cursor = null;
    part.batch = null;
    part.isMoved = true;
  }

  #drain(part: Part): void {
    const { owner, cursor, batch, heir } = part;
    if (owner === null || cursor === null || batch === null || heir !== null || this.#isHeld) return;
    if (owner.isStarved || !owner.isThere) return;
    const isAll = this.#take(part, owner, cursor, batch);
    owner.subscriber.perform();
    if (part.batch !== batch || part.cursor !== cursor) return;
    if (isAll) {
      part.batch = null;
      this.#consumer?.resume([part]);
    } else if (!owner.isStarved && owner.subscriber.session.isOpen) this.#deps.clock.soon(() => this.#drain(part));
  }

  /** False: there is more, for later. */
  #take(part: Part, owner: Member, cursor: Cursor, { records, nextOffset }: InBatch): boolean {
    const { session, sink } = owner.subscriber;
    const both = single(this.members.get(owner)!);
    const now = this.#deps.clock.wall();
    const feed = this.#deps.feedOf(part.topic, part.partition) ?? { downlink: null };
    let left: number = limits.mqttDeliveriesPerTurnMax;
    for (let at = firstFrom(records, cursor.next); at < records.length; at++) {
      const record = records[at]!;
      const { offset } = record;
      if (left-- <= 0) {
        session.outbound.advance(cursor, offset);
        return false;
      }
      if (part.taken.has(offset)) continue;
      const topic = topicIn(feed, record);
      if (topic === null || !filterMatches(this.filter, topic)) continue;
      if (session.catchUp(messageIn(feed, topic, record), both, cursor, offset, now, sink)) continue;
      if (session.isOpen) owner.isStarved = true;
      return false;
    }
    session.outbound.advance(cursor, nextOffset);
    return true;
  }
}

function isSettled({ owner, cursor }: Part): boolean {
  if (owner === null || cursor === null) return true;
  return owner.subscriber.session.outbound.settled(cursor, tailOf) >= cursor.next;
}

function least(loads: ReadonlyMap<Member, number>): Member {
  let found: Member | null = null;
  for (const [member, load] of loads) if (found === null || load < loads.get(found)!) found = member;
  return found!;
}
