// Reads parts of the logs for single sessions: what one that is behind missed, and records that are wanted again.
import {
  type Clock,
  type Consumer,
  type HubClient,
  type InBatch,
  type InRecord,
  limits,
  type Trace,
} from "../../hub/mod.ts";
import { type Both, type Options, single } from "../match/merged.ts";
import type { Want } from "../session/cursors.ts";
import type { Message } from "../session/message.ts";
import type { Session } from "../session/session.ts";
import { isStream } from "../session/stream.ts";
import type { CatchUp } from "./catch_up.ts";
import type { Feed, Member } from "./feed.ts";
import { messageIn, replayIn, topicIn } from "./reading.ts";

export interface ReaderDeps {
  readonly client: HubClient;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly catchUp: () => CatchUp;
  /** Of the shared subscription whose group id this is. */
  readonly optionsOf: (session: Session, group: string, topic: string) => Options | null;
  /** The partition, when there is one; asks if need be. */
  readonly feedOf: (topic: string, partition: number) => Promise<Feed | null>;
}

/** Records of one session that are to be read again, by partition. */
interface Again {
  readonly member: Member;
  wants: Want[];
}

type Job = { readonly kind: "behind"; readonly member: Member } | { readonly kind: "again"; readonly again: Again };

interface Meaning {
  readonly message: Message;
  readonly both: Both | null;
}

const noOptions: Options = { qos: 2, noLocal: false, retainAsPublished: false, id: 0 };

/** A consumer that serves one job after the other. */
interface Desk {
  readonly consumer: Consumer;
  onMoved: (topic: string, partition: number, next: number) => void;
}

const placeOf = (topic: string, partition: number): string => `${topic}/${partition}`;

export class Readers {
  readonly #deps: ReaderDeps;
  readonly #desks = new Set<Desk>();
  #idle: Desk[] = [];
  #jobs: Job[] = [];
  #closed = false;

  constructor(deps: ReaderDeps) {
    this.#deps = deps;
  }

  /** Reads on for a session that is behind. */
  behind(member: Member): void {
    this.#jobs.push({ kind: "behind", member });
    this.#pump();
  }

  /** Reads these again; each is answered by `onFetched`, unless the connection ends before. */
  again(member: Member, wants: readonly Want[]): void {
    this.#jobs.push({ kind: "again", again: { member, wants: [...wants] } });
    this.#pump();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#jobs = [];
    await Promise.all([...this.#desks].map(({ consumer }) => consumer.close().catch(() => {})));
  }

  #pump(): void {
    while (!this.#closed && this.#jobs.length > 0) {
      const desk = this.#idle.pop() ?? this.#openDesk();
      if (desk === null) return;
      const job = this.#jobs.shift()!;
      void this.#work(desk, job).then(() => this.#pump());
    }
  }

  #openDesk(): Desk | null {
    if (this.#desks.size >= limits.mqttCatchUpReadersMax) return null;
    const { client, trace } = this.#deps;
    const consumer = client.consumer({
      from: "earliest",
      isolation: "read_committed",
      fetchBytesMax: limits.mqttCatchUpFetchBytes,
      onMoved: ({ topic, partition }, _wanted, next) => desk.onMoved(topic, partition, next),
      onBroken: () => trace.count("mqtt_deliver_broken_batches_total"),
    });
    const desk: Desk = { consumer, onMoved: () => {} };
    this.#desks.add(desk);
    return desk;
  }

  async #work(desk: Desk, job: Job): Promise<void> {
    try {
      if (job.kind === "behind") await this.#readOn(desk, job.member);
      else await this.#readAgain(desk, job.again);
      desk.consumer.remove(desk.consumer.assignment());
      desk.onMoved = () => {};
      this.#idle.push(desk);
    } catch (error) {
      this.#desks.delete(desk);
      if (this.#closed) return;
      this.#deps.trace.event("debug", "mqtt_deliver_retries", { error: String(error) });
      await desk.consumer.close().catch(() => {});
      await new Promise<void>((resolve) => void this.#deps.clock.after(limits.mqttDeliverRetryMs, resolve));
    }
    if (job.kind === "behind") this.#deps.catchUp().add(free(job.member));
    else if (job.again.wants.length > 0 && job.again.member.isThere) this.#jobs.push(job);
  }

  /** A few batches for a session, as far as it has room. */
  async #readOn(desk: Desk, member: Member): Promise<void> {
    const { clock } = this.#deps;
    const open = new Map<string, Feed>();
    for (const feed of member.behind) {
      if (open.size === limits.mqttCatchUpPartitionsMax) break;
      open.set(placeOf(feed.topic, feed.partition), feed);
    }
    desk.onMoved = (topic, partition, next) => this.#moved(member, open.get(placeOf(topic, partition)), next);
    desk.consumer.add(
      [...open.values()].flatMap((feed) => {
        const cursor = feed.cursors.get(member);
        return cursor === undefined ? [] : [{ topic: feed.topic, partition: feed.partition, offset: cursor.next }];
      }),
    );
    const until = clock.now() + limits.mqttCatchUpWaitMs;
    while (open.size > 0 && member.isThere && !member.isStarved && clock.now() < until) {
      for (const batch of await desk.consumer.poll(until - clock.now())) {
        const place = placeOf(batch.topic, batch.partition);
        const feed = open.get(place);
        open.delete(place);
        desk.consumer.remove([batch]);
        if (feed !== undefined) await this.#takeAll(member, feed, batch);
      }
    }
  }

  async #takeAll(member: Member, feed: Feed, batch: InBatch): Promise<void> {
    const { clock } = this.#deps;
    const catchUp = this.#deps.catchUp();
    for (;;) {
      const cursor = feed.cursors.get(member);
      if (!member.isThere || member.isStarved || cursor === undefined || cursor.attached) return;
      catchUp.refill();
      const taken = catchUp.take(member, feed, cursor, batch.records, batch.nextOffset);
      catchUp.join(member, feed, cursor);
      member.subscriber.perform();
      if (taken !== "pause") break;
      await new Promise<void>((resolve) => clock.soon(resolve));
    }
    // the others are next
    if (member.behind.delete(feed)) member.behind.add(feed);
  }

  /** What a session was to read is not there (any more). */
  #moved(member: Member, feed: Feed | undefined, next: number): void {
    const cursor = feed?.cursors.get(member);
    if (cursor === undefined || cursor.attached) return;
    if (next > cursor.next) this.#deps.trace.count("mqtt_deliver_gone_total", next - cursor.next);
    cursor.next = next;
  }

  async #readAgain(desk: Desk, again: Again): Promise<void> {
    for (const [place, wants] of byPlace(again.wants)) {
      if (!again.member.isThere) return;
      const left = await this.#readPlace(desk, again.member, wants);
      again.wants = again.wants.filter((want) => placeOf(want.topic, want.partition) !== place || left.has(want));
    }
  }

  #meaning(session: Session, feed: Feed, { group }: Want, record: InRecord): Meaning | null {
    if (isStream(group)) {
      // what was begun is completed, whether or not there still is such a subscription
      const options = session.subscriptions.list().find(({ filter }) => filter === group)?.options;
      const stream = { topic: feed.topic, filter: null, name: group, options: options ?? noOptions };
      const message = replayIn(feed, stream, record);
      return message === null ? null : { message, both: single(stream.options) };
    }
    const topic = topicIn(feed, record);
    if (topic === null) return null;
    const options = group === "" ? null : this.#deps.optionsOf(session, group, topic);
    const own = group === "" ? session.subscriptions.match(topic, Number.POSITIVE_INFINITY) : null;
    return { message: messageIn(feed, topic, record), both: options === null ? own : single(options) };
  }

  /** Those that are still wanted: their leader did not answer in time. */
  async #readPlace(desk: Desk, member: Member, wants: readonly Want[]): Promise<ReadonlySet<Want>> {
    const { clock, feedOf } = this.#deps;
    const open = new Set(wants);
    const { topic, partition } = wants[0]!;
    const feed = await feedOf(topic, partition);
    const give = (batch: InBatch | null, before: number): void => {
      const now = clock.wall();
      const records = new Map(batch?.records.map((record) => [record.offset, record]));
      for (const want of [...open].filter(({ offset }) => offset < before)) {
        open.delete(want);
        const record = records.get(want.offset);
        const { session, sink } = member.subscriber;
        const read = record === undefined || feed === null ? null : this.#meaning(session, feed, want, record);
        session.onFetched(want.packetId, read?.message ?? null, read?.both ?? null, now, sink);
      }
      member.subscriber.perform();
    };
    if (feed === null) give(null, Number.POSITIVE_INFINITY);
    // a log that was cut has none of those behind its end either
    desk.onMoved = (_topic, _partition, next) => give(null, next > lowest(open) ? next : Number.POSITIVE_INFINITY);
    for (let at = -1; open.size > 0 && member.isThere; ) {
      const next = lowest(open);
      if (at === -1 || next > at + limits.mqttCatchUpSkipMax) desk.consumer.add([{ topic, partition, offset: next }]);
      const [batch] = await desk.consumer.poll(limits.mqttCatchUpWaitMs);
      if (batch === undefined && open.size > 0) break;
      if (batch === undefined) continue;
      give(batch, batch.nextOffset);
      at = batch.nextOffset;
    }
    desk.consumer.remove([{ topic, partition }]);
    return open;
  }
}

/** It is in no line any more. */
function free(member: Member): Member {
  member.isWaiting = false;
  return member;
}

function lowest(wants: Iterable<Want>): number {
  let least = Number.POSITIVE_INFINITY;
  for (const { offset } of wants) if (offset < least) least = offset;
  return least;
}

function byPlace(wants: readonly Want[]): Map<string, Want[]> {
  const places = new Map<string, Want[]>();
  for (const want of wants) {
    const place = placeOf(want.topic, want.partition);
    const known = places.get(place);
    if (known === undefined) places.set(place, [want]);
    else known.push(want);
  }
  return places;
}
