// One connection's side of ingress: its order, its memory of routes, its PUBACKs.
import type { Access } from "./auth.ts";
import {
  type Clock,
  type Delivered,
  type Header,
  limits,
  type OutRecord,
  type Producer,
  type Trace,
} from "../hub/mod.ts";
import type { CollisionWatch, Routed, StoreRouted, TopicMap } from "./topic_map.ts";

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

/** Outcome of a PUBLISH once it is known. `mqtt-only` and `stored` go on to MQTT subscribers. */
export type Outcome = "stored" | "mqtt-only" | "dropped";
export type Settled = (outcome: Outcome) => void;

/** A remembered decision for one topic of one connection. */
export interface Memo {
  readonly routed: Routed;
  readonly topicBytes: Uint8Array;
  readonly key: Uint8Array | null;
  /** By qos * 2 + retain; made when first needed. */
  readonly headers: (readonly Header[] | undefined)[];
  reported: boolean;
}

/** What one record costs beside its payload, in bytes: objects, headers, the batch's own framing. */
const overheadBytes = 1_536;
const encoder = new TextEncoder();
const zero = encoder.encode("0");
const digits = [zero, encoder.encode("1"), encoder.encode("2")];

const State = { Waiting: 0, Done: 1, Failed: 2 } as const;
type State = (typeof State)[keyof typeof State];

/** One PUBLISH on its way; pooled, so that a message costs no closure of ours. */
export class Flight {
  intake: Intake | null = null;
  settled: Settled | null = null;
  messageId = 0;
  qos = 0;
  bytes = 0;
  at = 0;
  state: State = State.Waiting;
  outcome: Outcome = "stored";
  readonly delivered: Delivered = (error) => this.intake?.onDelivered(this, error);

  /** Makes it ready for the next PUBLISH. */
  clear(): void {
    this.intake = null;
    this.settled = null;
    this.state = State.Waiting;
  }
}

/** What all connections share. */
export interface Shared {
  readonly options: {
    readonly map: TopicMap;
    readonly access: Access;
    readonly clock: Clock;
    readonly trace: Trace;
    readonly ackTimeoutMs: number;
  };
  readonly collisions: CollisionWatch;
  readonly inFlightPerConnectionMax: number;
  /** One producer per ack level. */
  producer(acks: -1 | 1 | 0): Producer;
  /** Whether more may be taken in, as far as all connections together go. */
  hasRoom(): boolean;
  /** Counts bytes in; every `hold` is followed by one `release`. */
  hold(bytes: number): void;
  release(bytes: number): void;
  /** Puts a connection in the line of those that want to read again. */
  wait(intake: Intake): void;
  forget(intake: Intake): void;
  scheduleResume(): void;
  /** `Intake.flush` is called once at the end of the turn. */
  scheduleAcks(intake: Intake): void;
  takeFlight(): Flight;
  giveFlight(flight: Flight): void;
  /** One line for the operator, a bounded number a second. */
  warn(event: string, fields: Readonly<Record<string, string | number>>): void;
}

/** One connection's side of ingress. Messages are appended in the order of `publish` calls, before it returns. */
export class Intake {
  readonly peer: Peer;
  readonly clientId: string;
  readonly principal: string;
  #shared: Shared;
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

  constructor(shared: Shared, clientId: string, principal: string, peer: Peer) {
    this.#shared = shared;
    this.clientId = clientId;
    this.principal = principal;
    this.peer = peer;
    this.#clientBytes = encoder.encode(clientId);
  }

  /** False when this connection must not be read now; `Peer.resume` follows. */
  mayRead(): boolean {
    if (this.#inFlight < this.#shared.inFlightPerConnectionMax && this.#shared.hasRoom()) return true;
    this.#shared.wait(this);
    return false;
  }

  /** Whether anything waits for its commit; meanwhile the connection may not be read. */
  get busy(): boolean {
    return this.#inFlight > 0;
  }

  hasRoom(): boolean {
    return this.#inFlight <= this.#shared.inFlightPerConnectionMax / 2;
  }

  /**
   * Takes a PUBLISH of QoS 0 or 1. `settled` is called once, in the order of arrival, when the record is committed,
   * or at once when it is not to be stored; for QoS 1 the PUBACK is on its way then. A QoS 1 message that cannot be
   * stored is never settled: the connection is closed after the ack timeout.
   */
  publish(packet: Publish, settled: Settled): void {
    const memo = this.memo(packet.topic);
    const flight = this.#shared.takeFlight();
    flight.intake = this;
    flight.settled = settled;
    flight.qos = packet.qos;
    flight.messageId = packet.messageId ?? 0;
    flight.at = this.#shared.options.clock.now();
    flight.bytes = packet.payload.length + overheadBytes;
    flight.outcome = memo.routed.kind === "store" ? "stored" : "mqtt-only";
    this.#flights.push(flight);
    this.hold(flight.bytes);
    if (memo.routed.kind === "store") {
      const { topic, acks } = memo.routed;
      this.#shared.producer(acks).send(topic, this.record(memo, packet), flight.delivered);
    } else {
      this.#settle(flight, memo.routed.kind === "refused" ? this.refused(memo, packet.topic) : null);
    }
  }

  /** The decision for a topic, remembered for this connection. */
  memo(topic: string): Memo {
    const known = this.#memos.get(topic);
    if (known !== undefined) return known;
    const { map, access } = this.#shared.options;
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
    return { key: memo.key, value, headers, timestamp: this.#shared.options.clock.wall() };
  }

  /** Counts and logs a refusal, once per topic and connection; answers the error to settle with. */
  refused(memo: Memo, topic: string): Error {
    const reason = memo.routed.kind === "refused" ? memo.routed.reason : "";
    this.#shared.options.trace.count("mqtt_publish_refused_total");
    if (!memo.reported) this.#shared.warn("mqtt_publish_refused", { client: this.clientId, topic, reason });
    memo.reported = true;
    return new Error(reason);
  }

  onDelivered(flight: Flight, error: Error | null): void {
    if (error !== null) this.failed(error);
    this.#settle(flight, error);
  }

  /** Counts and logs a record that the hub did not take. */
  failed(error: Error): void {
    this.#shared.options.trace.count("mqtt_publish_failed_total");
    this.#shared.warn("mqtt_publish_failed", { client: this.clientId, reason: error.message });
  }

  hold(bytes: number): void {
    this.#inFlight++;
    this.#shared.hold(bytes);
  }

  release(bytes: number): void {
    this.#inFlight--;
    this.#shared.release(bytes);
    if (this.#inFlight === this.#shared.inFlightPerConnectionMax >> 1) this.#shared.scheduleResume();
  }

  /** A PUBLISH that arrived at `at` will not be acknowledged: the connection is closed when its time is over. */
  withhold(at: number): void {
    if (this.#failedAt === null || at < this.#failedAt) this.#failedAt = at;
  }

  /** Whether a PUBLISH has waited for its acknowledgement longer than the ack timeout. */
  overdue(now: number): boolean {
    const oldest = this.#flights[this.#first]?.at ?? now;
    const since = this.#failedAt === null ? oldest : Math.min(oldest, this.#failedAt);
    return now - since > this.#shared.options.ackTimeoutMs;
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
    this.#shared.forget(this);
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
      this.#shared.giveFlight(head);
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
    if (this.#acks.length === 1) this.#shared.scheduleAcks(this);
  }

  #headers(memo: Memo, slot: number): readonly Header[] {
    const headers: readonly Header[] = [
      { key: "mqtt.topic", value: memo.topicBytes },
      { key: "mqtt.qos", value: digits[slot >> 1] ?? zero },
      { key: "mqtt.retain", value: digits[slot & 1] ?? zero },
      { key: "mqtt.client", value: this.#clientBytes },
    ];
    memo.headers[slot] = Object.freeze(headers); // encoded once
    return headers;
  }

  #reportCollision(routed: StoreRouted): void {
    const other = this.#shared.collisions.note(routed);
    if (other === null) return;
    this.#shared.options.trace.count("mqtt_topic_collisions_total");
    const { topic, rawTopic } = routed;
    this.#shared.warn("mqtt_topic_collision", { topic, name: rawTopic, other, client: this.clientId });
  }
}
