// PUBLISH -> record -> producer; the acknowledgement leaves when the record is committed. Bounds what is in flight.
import type { Access } from "./auth.ts";
import { type Clock, type Delivered, type Header, type HubClient, limits, type OutRecord } from "./hub_door.ts";
import type { Producer, Trace } from "./hub_door.ts";
import { CollisionWatch, type Routed, type StoreRouted, type TopicMap } from "./topic_map.ts";

/** What ingress needs of a PUBLISH; the broker's own packet has it. */
export interface Publish {
  readonly topic: string;
  readonly payload: Uint8Array | string;
  readonly qos: number;
  readonly retain: boolean;
  readonly messageId?: number | undefined;
}

/** The connection that an intake serves. */
export interface Peer {
  /** Writes bytes to the client. */
  write(bytes: Uint8Array): void;
  /** Reading may go on: called after `mayRead` answered false. */
  resume(): void;
  /** Ends the connection; `reason` is for the log. */
  close(reason: string): void;
}

export interface IngressOptions {
  readonly client: HubClient;
  readonly map: TopicMap;
  readonly access: Access;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly ackTimeoutMs: number;
  /** Defaults: limits.ts. */
  readonly inFlightBytesMax?: number;
  readonly inFlightPerConnectionMax?: number;
}

/** Outcome of a PUBLISH once it is known. `mqtt-only` and `stored` go on to MQTT subscribers. */
export type Outcome = "stored" | "mqtt-only" | "dropped";
export type Settled = (outcome: Outcome) => void;

/** A remembered decision for one topic of one connection. */
interface Memo {
  readonly routed: Routed;
  readonly topicBytes: Uint8Array;
  readonly key: Uint8Array | null;
  /** By qos * 2 + retain; made when first needed. */
  readonly headers: (readonly Header[] | undefined)[];
  reported: boolean;
}

/** What one record costs beside its payload, in bytes: objects, headers, the batch's own framing. */
const overheadBytes = 512;
const flightsPooledMax = 4_096;
/** Warnings a second; the rest is only counted. */
const warningsMax = 20;
const encoder = new TextEncoder();
const zero = encoder.encode("0");
const digits = [zero, encoder.encode("1"), encoder.encode("2")];

const State = { Waiting: 0, Done: 1, Failed: 2 } as const;
type State = (typeof State)[keyof typeof State];

/** One PUBLISH on its way; pooled, so that a message costs no closure of ours. */
class Flight {
  intake: Intake | null = null;
  settled: Settled | null = null;
  messageId = 0;
  qos = 0;
  bytes = 0;
  at = 0;
  state: State = State.Waiting;
  outcome: Outcome = "stored";
  readonly delivered: Delivered = (error) => this.intake?.onDelivered(this, error);
}

/** Shared by all connections: producers, in-flight bytes, who waits for room. */
export class Ingress {
  readonly options: IngressOptions;
  readonly collisions = new CollisionWatch();
  readonly inFlightBytesMax: number;
  readonly inFlightPerConnectionMax: number;
  #producers = new Map<number, Producer>();
  #pool: Flight[] = [];
  #bytes = 0;
  #waiting = new Set<Intake>();
  #resuming = false;
  #ackers: Intake[] = [];
  #warnings = warningsMax;
  #idle: (() => void)[] = [];

  constructor(options: IngressOptions) {
    this.options = options;
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

  open(clientId: string, principal: string, peer: Peer): Intake {
    return new Intake(this, clientId, principal, peer);
  }

  /** One producer per ack level. */
  producer(acks: -1 | 1 | 0): Producer {
    let producer = this.#producers.get(acks);
    if (producer === undefined) {
      producer = this.options.client.producer({ acks });
      this.#producers.set(acks, producer);
    }
    return producer;
  }

  hasRoom(): boolean {
    return this.#bytes < this.inFlightBytesMax;
  }

  /** Counts bytes in; every `hold` is followed by one `release`. */
  hold(bytes: number): void {
    this.#bytes += bytes;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#waiting.size > 0 && this.#bytes <= this.inFlightBytesMax / 2) this.scheduleResume();
    if (this.#bytes === 0 && this.#idle.length > 0) {
      for (const wake of this.#idle.splice(0)) wake();
    }
  }

  wait(intake: Intake): void {
    this.#waiting.add(intake);
  }

  forget(intake: Intake): void {
    this.#waiting.delete(intake);
  }

  /** Lets waiting connections read again, first come first served, as far as there is room. */
  scheduleResume(): void {
    if (this.#resuming) return;
    this.#resuming = true;
    this.options.clock.soon(() => {
      this.#resuming = false;
      for (const intake of [...this.#waiting]) {
        if (!this.hasRoom()) return;
        if (!intake.hasRoom()) continue;
        this.#waiting.delete(intake);
        intake.peer.resume();
      }
    });
  }

  /** PUBACKs of one turn leave in one write per connection. */
  scheduleAcks(intake: Intake): void {
    this.#ackers.push(intake);
    if (this.#ackers.length > 1) return;
    this.options.clock.soon(() => {
      const ackers = this.#ackers;
      this.#ackers = [];
      for (const acker of ackers) acker.flush();
    });
  }

  takeFlight(): Flight {
    return this.#pool.pop() ?? new Flight();
  }

  giveFlight(flight: Flight): void {
    flight.intake = null;
    flight.settled = null;
    flight.state = State.Waiting;
    if (this.#pool.length < flightsPooledMax) this.#pool.push(flight);
  }

  /** One line for the operator, at most `warningsMax` a second. */
  warn(event: string, fields: Readonly<Record<string, string | number>>): void {
    if (this.#warnings <= 0) return;
    this.#warnings--;
    this.options.trace.event("warn", event, fields);
  }

  /** Called every second. */
  tick(): void {
    this.#warnings = warningsMax;
    this.options.trace.gauge("mqtt_in_flight_bytes", this.#bytes);
    this.options.trace.gauge("mqtt_connections_paused", this.#waiting.size);
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
}

/** One connection's side of ingress. Messages are appended in the order of `publish` calls, before it returns. */
export class Intake {
  readonly peer: Peer;
  readonly clientId: string;
  readonly principal: string;
  #ingress: Ingress;
  #clientBytes: Uint8Array;
  #memos = new Map<string, Memo>();
  /** In order of arrival from #first on; PUBACKs leave in this order (MQTT 4.6). */
  #flights: Flight[] = [];
  #first = 0;
  #inFlight = 0;
  /** When the earliest PUBLISH arrived that will never be acknowledged; null while there is none. */
  #failedAt: number | null = null;
  #acks: number[] = [];
  #closed = false;

  constructor(ingress: Ingress, clientId: string, principal: string, peer: Peer) {
    this.#ingress = ingress;
    this.clientId = clientId;
    this.principal = principal;
    this.peer = peer;
    this.#clientBytes = encoder.encode(clientId);
  }

  /** False when this connection must not be read now; `Peer.resume` follows. */
  mayRead(): boolean {
    if (this.#inFlight < this.#ingress.inFlightPerConnectionMax && this.#ingress.hasRoom()) return true;
    this.#ingress.wait(this);
    return false;
  }

  hasRoom(): boolean {
    return this.#inFlight <= this.#ingress.inFlightPerConnectionMax / 2;
  }

  /**
   * Takes a PUBLISH of QoS 0 or 1. `settled` is called once, in the order of arrival, when the record is committed,
   * or at once when it is not to be stored; for QoS 1 the PUBACK is on its way then. A QoS 1 message that cannot be
   * stored is never settled: the connection is closed after the ack timeout.
   */
  publish(packet: Publish, settled: Settled): void {
    const memo = this.memo(packet.topic);
    const flight = this.#ingress.takeFlight();
    flight.intake = this;
    flight.settled = settled;
    flight.qos = packet.qos;
    flight.messageId = packet.messageId ?? 0;
    flight.at = this.#ingress.options.clock.now();
    flight.bytes = packet.payload.length + overheadBytes;
    flight.outcome = memo.routed.kind === "store" ? "stored" : "mqtt-only";
    this.#flights.push(flight);
    this.hold(flight.bytes);
    if (memo.routed.kind === "store") {
      const { topic, acks } = memo.routed;
      this.#ingress.producer(acks).send(topic, this.record(memo, packet), flight.delivered);
    } else {
      this.#settle(flight, memo.routed.kind === "refused" ? this.refused(memo, packet.topic) : null);
    }
  }

  /** The decision for a topic, remembered for this connection. */
  memo(topic: string): Memo {
    const known = this.#memos.get(topic);
    if (known !== undefined) return known;
    const { map, access } = this.#ingress.options;
    const allowed = access.publish(this.principal, topic);
    const routed: Routed = allowed
      ? map.route(topic, this.clientId)
      : { kind: "refused", match: null, reason: "publishing to this topic is not authorised" };
    if (routed.kind === "store") this.#reportCollision(routed);
    const key = routed.kind === "store" ? encoder.encode(routed.key) : null;
    const memo: Memo = { routed, topicBytes: encoder.encode(topic), key, headers: [], reported: false };
    if (this.#memos.size >= limits.mqttRouteMemoMax) this.#memos.clear();
    this.#memos.set(topic, memo);
    return memo;
  }

  record(memo: Memo, packet: Publish): OutRecord {
    const { payload } = packet;
    const slot = packet.qos * 2 + (packet.retain ? 1 : 0);
    const headers = memo.headers[slot] ?? this.#headers(memo, slot);
    const value = typeof payload === "string" ? encoder.encode(payload) : payload;
    return { key: memo.key, value, headers, timestamp: this.#ingress.options.clock.wall() };
  }

  /** Counts and logs a refusal, once per topic and connection; answers the error to settle with. */
  refused(memo: Memo, topic: string): Error {
    const reason = memo.routed.kind === "refused" ? memo.routed.reason : "";
    this.#ingress.options.trace.count("mqtt_publish_refused_total");
    if (!memo.reported) this.#ingress.warn("mqtt_publish_refused", { client: this.clientId, topic, reason });
    memo.reported = true;
    return new Error(reason);
  }

  onDelivered(flight: Flight, error: Error | null): void {
    if (error !== null) this.failed(error);
    this.#settle(flight, error);
  }

  /** Counts and logs a record that the hub did not take. */
  failed(error: Error): void {
    this.#ingress.options.trace.count("mqtt_publish_failed_total");
    this.#ingress.warn("mqtt_publish_failed", { client: this.clientId, reason: error.message });
  }

  hold(bytes: number): void {
    this.#inFlight++;
    this.#ingress.hold(bytes);
  }

  release(bytes: number): void {
    this.#inFlight--;
    this.#ingress.release(bytes);
    if (this.#inFlight === this.#ingress.inFlightPerConnectionMax >> 1) this.#ingress.scheduleResume();
  }

  /** A PUBLISH that arrived at `at` will not be acknowledged: the connection is closed when its time is over. */
  withhold(at: number): void {
    if (this.#failedAt === null || at < this.#failedAt) this.#failedAt = at;
  }

  /** Whether a PUBLISH has waited for its acknowledgement longer than the ack timeout. */
  overdue(now: number): boolean {
    const oldest = this.#flights[this.#first]?.at ?? now;
    const since = this.#failedAt === null ? oldest : Math.min(oldest, this.#failedAt);
    return now - since > this.#ingress.options.ackTimeoutMs;
  }

  /** Writes the PUBACKs collected in this turn. */
  flush(): void {
    const count = this.#acks.length;
    const bytes = Buffer.allocUnsafe(count * 4);
    for (let at = 0; at < count; at++) bytes.writeUInt32BE(0x40020000 + this.#acks[at]!, at * 4);
    this.#acks.length = 0;
    if (!this.#closed) this.peer.write(bytes);
  }

  /** The connection is gone. Records under way are stored all the same. */
  close(): void {
    this.#closed = true;
    this.#memos.clear();
    this.#ingress.forget(this);
  }

  #settle(flight: Flight, error: Error | null): void {
    flight.state = error === null ? State.Done : State.Failed;
    this.release(flight.bytes);
    // each settled callback may read and publish more: the queue is looked at afresh every time
    while (this.#first < this.#flights.length) {
      const head = this.#flights[this.#first]!;
      if (head.state === State.Waiting) return;
      this.#shift();
      const { settled, state, outcome, qos, messageId, at } = head;
      this.#ingress.giveFlight(head);
      if (state === State.Done) {
        if (qos === 1 && messageId > 0) this.#acknowledge(messageId);
        settled?.(outcome);
      } else if (qos === 0 || messageId === 0) {
        settled?.("dropped");
      } else {
        this.withhold(at);
      }
    }
  }

  #shift(): void {
    this.#first++;
    if (this.#first === this.#flights.length) {
      this.#flights.length = 0;
      this.#first = 0;
    } else if (this.#first >= 1_024) {
      this.#flights.splice(0, this.#first);
      this.#first = 0;
    }
  }

  #acknowledge(messageId: number): void {
    this.#acks.push(messageId);
    if (this.#acks.length === 1) this.#ingress.scheduleAcks(this);
  }

  #headers(memo: Memo, slot: number): readonly Header[] {
    const headers: readonly Header[] = [
      { key: "mqtt.topic", value: memo.topicBytes },
      { key: "mqtt.qos", value: digits[slot >> 1] ?? zero },
      { key: "mqtt.retain", value: digits[slot & 1] ?? zero },
      { key: "mqtt.client", value: this.#clientBytes },
    ];
    memo.headers[slot] = headers;
    return headers;
  }

  #reportCollision(routed: StoreRouted): void {
    const other = this.#ingress.collisions.note(routed);
    if (other === null) return;
    this.#ingress.options.trace.count("mqtt_topic_collisions_total");
    const { topic, rawTopic } = routed;
    this.#ingress.warn("mqtt_topic_collision", { topic, name: rawTopic, other, client: this.clientId });
  }
}
