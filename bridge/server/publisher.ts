// Messages into the hub's log: routed, bounded, and told when they are committed.
import type { Access } from "../auth.ts";
import { type Clock, type HubClient, limits, type Producer, type Trace } from "../../hub/mod.ts";
import { propertyHeaders } from "../deliver/headers.ts";
import type { RetainedKeeper, SessionKeeper } from "../keep/faces.ts";
import type { Message } from "../session/message.ts";
import { Reason, type ReasonCode } from "../wire/packet.ts";
import { CollisionWatch, type TopicMap } from "../topic_map.ts";
import { type Flight, Flights } from "./flight.ts";
import { type Author, type Memo, memoOf, recordOf } from "./memo.ts";

export interface PublisherOptions {
  readonly client: HubClient;
  readonly map: TopicMap;
  readonly access: Access;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly sessions: SessionKeeper;
  readonly retained: RetainedKeeper;
  /** Told of the hub topics that records of a connection have gone to. */
  readonly stored: (topic: string) => void;
  /** Where messages go that are in no log. */
  readonly deliver: (message: Message) => void;
  /** Defaults: limits.ts. */
  readonly inFlightBytesMax?: number;
  readonly inFlightPerConnectionMax?: number;
}

/** Warnings a second; the rest is only counted. */
const warningsMax = 20;

/** Shared by all connections. */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #collisions = new CollisionWatch();
  readonly #producers = new Map<number, Producer>();
  readonly #flights = new Flights();
  readonly inFlightBytesMax: number;
  readonly inFlightPerConnectionMax: number;
  #bytes = 0;
  readonly #waiting = new Set<Author>();
  #isResuming = false;
  #warnings = warningsMax;
  #idle: (() => void)[] = [];

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.inFlightBytesMax = options.inFlightBytesMax ?? limits.mqttInFlightBytesMax;
    this.inFlightPerConnectionMax = options.inFlightPerConnectionMax ?? limits.mqttInFlightPerConnectionMax;
  }

  /** Bytes accepted and not yet answered, all connections together. */
  get inFlightBytes(): number {
    return this.#bytes;
  }

  /** Connections that are not read because something is full. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** False when this author's connection must not be read now; `Author.resume` follows. */
  mayRead(author: Author): boolean {
    if (author.inFlight < this.inFlightPerConnectionMax && this.#bytes < this.inFlightBytesMax) return true;
    this.#waiting.add(author);
    return false;
  }

  forget(author: Author): void {
    this.#waiting.delete(author);
  }

  /**
   * Appends before it returns, in the order of the calls. `Author.committed` is called once with the ticket, later,
   * unless that is 0; for a message that is to be stored and is not, too.
   * @param packetId above 0: stored in the same commit (QoS 2).
   */
  append(author: Author, message: Message, ticket: number, packetId: number): void {
    const memo = this.memo(author, message.topic);
    const { routed } = memo;
    if (routed.kind === "refused") return author.committed(ticket, this.refused(author, memo, message.topic));
    const flight = this.#flights.take(author, ticket, message.payload.length);
    flight.settled = this.#settled;
    this.hold(author, flight.bytes);
    if (message.retain) this.#retain(flight, message);
    if (routed.kind === "mqtt-only") this.#options.deliver(message);
    else {
      flight.parts++;
      flight.news = this.newsOf(memo);
      const record = recordOf(memo, author, message, propertyHeaders(message), this.#options.clock.wall());
      if (packetId === 0) this.producer(routed.acks).send(routed.topic, record, flight.delivered);
      else {
        this.#options.sessions.storeOnce(author.clientId, packetId, routed.topic, record).then(
          () => flight.done(Reason.success),
          (error: Error) => flight.failed(error),
        );
      }
    }
    flight.done(Reason.success);
  }

  /** The decision for a topic, remembered for this connection. */
  memo(author: Author, topic: string): Memo {
    const known = author.memos.get(topic);
    if (known !== undefined) {
      author.lastMemo = known;
      return known;
    }
    const { map, access } = this.#options;
    const memo = memoOf(map, access, author, topic);
    if (memo.routed.kind === "store") {
      const other = this.#collisions.note(memo.routed);
      if (other !== null) {
        const { topic: name, rawTopic } = memo.routed;
        this.#options.trace.count("mqtt_topic_collisions_total");
        this.#warn("mqtt_topic_collision", { topic: name, name: rawTopic, other, client: author.clientId });
      }
    }
    // after it none of them is reached by `next` either: it leads on to new ones
    if (author.memos.size >= limits.mqttRouteMemoMax) author.memos.clear();
    author.memos.set(topic, memo);
    author.lastMemo = memo;
    return memo;
  }

  /** The hub topic of a memo that is used for the first time; `told` is to be called with it after the commit. */
  newsOf(memo: Memo): string | null {
    if (memo.isUsed || memo.routed.kind !== "store") return null;
    memo.isUsed = true;
    return memo.routed.topic;
  }

  told(news: string): void {
    this.#options.stored(news);
  }

  /** Counts and logs a refusal, once per topic and connection; why. */
  refused(author: Author, memo: Memo, topic: string): ReasonCode {
    const reason = memo.routed.kind === "refused" ? memo.routed.reason : "";
    this.#options.trace.count("mqtt_publish_refused_total");
    if (!memo.isReported) this.#warn("mqtt_publish_refused", { client: author.clientId, topic, reason });
    memo.isReported = true;
    return memo.isAllowed ? Reason.topicNameInvalid : Reason.notAuthorized;
  }

  /** One producer per ack level. */
  producer(acks: -1 | 1 | 0): Producer {
    let producer = this.#producers.get(acks);
    if (producer === undefined) {
      producer = this.#options.client.producer({ acks });
      this.#producers.set(acks, producer);
    }
    return producer;
  }

  /** Called about once a second. */
  tick(): void {
    this.#warnings = warningsMax;
    this.#options.trace.gauge("mqtt_in_flight_bytes", this.#bytes);
    this.#options.trace.gauge("mqtt_connections_paused", this.#waiting.size);
  }

  /** Resolves when nothing is in flight. */
  whenIdle(): Promise<void> {
    if (this.#bytes === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  async close(): Promise<void> {
    const producers = [...this.#producers.values()];
    this.#producers.clear();
    await Promise.all(producers.map((producer) => producer.close()));
  }

  #retain(flight: Flight, message: Message): void {
    flight.parts++;
    this.#options.retained.set(message).then(
      (code) => {
        // published it is all the same: a refusal would say that it is not
        if (code >= 0x80) this.#notRetained(message);
        flight.done(Reason.success);
      },
      (error: Error) => flight.failed(error),
    );
  }

  #notRetained({ topic, publisher }: Message): void {
    this.#options.trace.count("mqtt_retained_dropped_total");
    this.#warn("mqtt_retained_dropped", { client: publisher, topic, reason: "too many retained messages, or bytes" });
  }

  /** Counts a message in; every `hold` is followed by one `release`. */
  hold(author: Author, bytes: number): void {
    author.inFlight++;
    this.#bytes += bytes;
  }

  release(author: Author, bytes: number): void {
    this.#bytes -= bytes;
    author.inFlight--;
    if (this.#waiting.size > 0) this.#scheduleResume(author);
    if (this.#bytes === 0 && this.#idle.length > 0) for (const wake of this.#idle.splice(0)) wake();
  }

  /** Counts and logs a record that the hub did not take. */
  failed(author: Author, error: Error): void {
    this.#options.trace.count("mqtt_publish_failed_total");
    this.#warn("mqtt_publish_failed", { client: author.clientId, reason: error.message });
  }

  readonly #settled = (flight: Flight): void => {
    const { author, ticket, bytes, code, error, news } = flight;
    this.#flights.give(flight);
    if (news !== null) this.told(news);
    if (error !== null) this.failed(author!, error);
    if (ticket !== 0) author!.committed(ticket, code);
    this.release(author!, bytes);
  };

  /** Lets waiting connections read again, first come first served, as far as there is room. */
  #scheduleResume(author: Author): void {
    const hasSlack = this.#bytes <= this.inFlightBytesMax / 2 || author.inFlight === this.inFlightPerConnectionMax >> 1;
    if (this.#isResuming || !hasSlack) return;
    this.#isResuming = true;
    this.#options.clock.soon(() => {
      this.#isResuming = false;
      for (const waiting of [...this.#waiting]) {
        if (this.#bytes >= this.inFlightBytesMax) return;
        if (waiting.inFlight > this.inFlightPerConnectionMax / 2) continue;
        this.#waiting.delete(waiting);
        waiting.resume();
      }
    });
  }

  /** One line for the operator, a bounded number a second. */
  #warn(event: string, fields: Readonly<Record<string, string | number>>): void {
    if (this.#warnings <= 0) return;
    this.#warnings--;
    this.#options.trace.event("warn", event, fields);
  }
}
