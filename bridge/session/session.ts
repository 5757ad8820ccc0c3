// The life of a session: its connections, keep alive, will and expiry, and what each packet of its client does. Pure.
import { limits } from "../../hub/mod.ts";
import { SparseMap } from "./sparse.ts";
import type { Both, Options } from "../match/merged.ts";
import {
  type Disconnect,
  MqttProblem,
  noProperties,
  type Packet,
  Reason,
  type ReasonCode,
  type Subscribe,
  type Unsubscribe,
} from "../wire/packet.ts";
import { type Admission, accept, type Connection, mayExplain } from "./connect.ts";
import type { TailOf } from "./cursors.ts";
import { deliveryOf, mergedFor } from "./delivery.ts";
import { type DeliverySink, pushAll, type SessionEffect, type Sink } from "./effects.ts";
import type { Cursor } from "./flight.ts";
import { type AnswerSink, type Committed, Inbound, type InboundEffect } from "./inbound.ts";
import { Lifetime } from "./lifetime.ts";
import type { Message } from "./message.ts";
import { Outbound } from "./outbound.ts";
import type { Past, StoredSession } from "./record.ts";
import { type MayRead, Subscriptions } from "./subscriptions.ts";
import type { Budget } from "./window.ts";

/** What a session is given. Functions that read, and nothing that acts. */
export interface SessionDeps {
  readonly budget: Budget;
  readonly tailOf: TailOf;
}

const second = 1_000;

export class Session {
  readonly clientId: string;
  readonly outbound: Outbound;
  readonly inbound: Inbound;
  readonly subscriptions: Subscriptions;
  /** Counts takeovers between hubs; the shell sets it. */
  epoch: number;
  readonly #deps: SessionDeps;
  readonly #tickets = { last: 0 };
  /** What leaves when a store of the session ended. */
  readonly #held = new SparseMap<number, SessionEffect[]>();
  #connection: Connection | null = null;
  readonly #life: Lifetime;
  #isOver = false;

  /** @param past the records of a session whose hub is gone. */
  constructor(clientId: string, deps: SessionDeps, now: number, past: Past | null = null) {
    const stored = past?.session ?? null;
    this.clientId = clientId;
    this.#deps = deps;
    this.subscriptions = new Subscriptions(stored?.subscriptions);
    this.inbound = new Inbound(clientId, past?.inboundIds);
    this.outbound = new Outbound(deps.budget, stored?.outbound ?? null, this.#tickets);
    const expirySeconds = stored?.expirySeconds ?? 0;
    const expiresAt = stored === null ? null : (stored.expiresAt ?? now + expirySeconds * second);
    this.#life = new Lifetime(clientId, expirySeconds, expiresAt);
    if (past?.will) this.#life.restoreWill(past.will, now);
    this.epoch = stored?.epoch ?? 0;
  }

  get isConnected(): boolean {
    return this.#connection !== null;
  }

  /** CONNACK was sent, so that deliveries may follow ([MQTT-3.2.0-1]). */
  get isOpen(): boolean {
    return this.#connection?.isOpen ?? false;
  }

  /** The session is over; a new one is to be made for its client id. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** It outlives its connection. */
  get isDurable(): boolean {
    return this.#life.expirySeconds > 0;
  }

  /** The socket should not be read for now. */
  get isFull(): boolean {
    return this.#connection !== null && (!this.#connection.isOpen || this.inbound.isFull);
  }

  /** When `tick` has something to do; null: never. */
  get deadline(): number | null {
    const { willAt, expiresAt } = this.#life;
    const due = [willAt, expiresAt, this.#keepAliveAt()].filter((at) => at !== null);
    return due.length === 0 ? null : Math.min(...due);
  }

  /** The record that `__mqtt_sessions` keeps. */
  snapshot(): StoredSession {
    return {
      epoch: this.epoch,
      expirySeconds: this.#life.expirySeconds,
      expiresAt: this.#life.expiresAt,
      subscriptions: this.subscriptions.list(),
      outbound: this.outbound.snapshot(this.#deps.tailOf),
    };
  }

  /** An admitted CONNECT; `isPresent`: the session was there before. */
  connect(admission: Admission, mayRead: MayRead, isPresent: boolean, now: number, effects: Sink<SessionEffect>): void {
    const { version, expirySeconds, outbound, will } = admission;
    this.#connection = { admission, mayRead, isOpen: false, early: [], lastPacketAt: now, beganAt: now };
    this.#life.connect(expirySeconds, will, effects);
    this.inbound.onConnected(version, outbound.durable, limits.mqttTopicAliasMax, limits.mqttReceiveMax);
    const connack: SessionEffect = { kind: "send", packet: accept(admission, isPresent) };
    if (outbound.durable) this.#store([connack], effects);
    else this.#open(connack, now, effects);
  }

  /** Packets of the client, in order. What comes after the end of the connection is not looked at. */
  receive(packets: readonly Packet[], now: number, effects: Sink<SessionEffect>): void {
    for (const packet of packets) {
      const connection = this.#connection;
      if (connection === null) return;
      connection.lastPacketAt = now;
      if (!connection.isOpen) connection.early.push(packet);
      else this.#handle(packet, connection, now, effects);
    }
  }

  /** The client may well be alive: its socket is not read. */
  touch(now: number): void {
    if (this.#connection !== null) this.#connection.lastPacketAt = now;
  }

  /** The socket is gone, or its bytes were none ([MQTT-3.1.2-8]). */
  connectionLost(now: number, effects: Sink<SessionEffect>): void {
    if (this.#connection !== null) this.#lose(now, effects);
  }

  /** Another connection of the same client id takes over ([MQTT-3.1.4-3]); `clean`: the session ends with that. */
  takeOver(clean: boolean, now: number, effects: Sink<SessionEffect>): void {
    if (this.#connection !== null) this.disconnect(Reason.sessionTakenOver, "", now, effects);
    if (clean) this.end(now, effects);
  }

  /** The hub ends the connection; `reference`: where to go instead (0x9c, 0x9d). 3.1.1 is closed without a word. */
  disconnect(code: ReasonCode, reference: string, now: number, effects: Sink<SessionEffect>, detail = ""): void {
    const connection = this.#connection;
    if (connection === null) return;
    if (connection.isOpen && connection.admission.version === 5) {
      // [MQTT-3.14.0-1]: not before CONNACK
      const properties = {
        ...(reference === "" ? {} : { serverReference: reference }),
        ...(detail === "" || !mayExplain(connection.admission, detail) ? {} : { reasonString: detail }),
      };
      effects.push({ kind: "send", packet: { kind: "disconnect", code, properties } });
    }
    effects.push({ kind: "close", code, by: "hub" });
    this.#lose(now, effects);
  }

  /** Ends the session: by expiry, by Clean Start, by an operator. A will that waits is published then. */
  end(now: number, effects: Sink<SessionEffect>): void {
    if (this.#connection !== null) this.disconnect(Reason.administrativeAction, "", now, effects);
    if (this.#isOver) return;
    this.#isOver = true;
    this.#life.publishWill(now, effects);
    for (const filter of this.subscriptions.clear()) effects.push({ kind: "unsubscribe", filter });
    this.outbound.clear();
    this.#held.clear();
    effects.push({ kind: "ended" });
  }

  /** Does what is due at `now`. */
  tick(now: number, effects: Sink<SessionEffect>): void {
    if (isDue(this.#keepAliveAt(), now)) {
      const detail = "nothing came for one and a half keep alive [MQTT-3.1.2-22]";
      this.disconnect(Reason.keepAliveTimeout, "", now, effects, detail);
    }
    if (isDue(this.#life.willAt, now)) this.#life.publishWill(now, effects);
    if (isDue(this.#life.expiresAt, now)) this.end(now, effects);
  }

  /** A store ended: what waited for it leaves. */
  onStored(ticket: number, now: number, effects: Sink<SessionEffect>): void {
    const held = this.#held.get(ticket);
    this.#held.delete(ticket);
    if (held === undefined) this.outbound.onStored(ticket, now, effects);
    else if (this.#connection !== null) {
      const [first] = held;
      if (first?.kind === "send" && first.packet.kind === "connack") this.#open(first, now, effects);
      else pushAll(held, effects);
    }
  }

  /** The subscriptions of a SUBSCRIBE are in force: it is stored if need be, then answered. */
  onReady(ticket: number, effects: Sink<SessionEffect>): void {
    const held = this.#held.get(ticket);
    this.#held.delete(ticket);
    if (held !== undefined && this.#connection !== null) this.#answer(held, true, effects);
  }

  /** A store failed: the session cannot keep its word. Its client comes back and finds what was stored before. */
  onStoreFailed(now: number, effects: Sink<SessionEffect>): void {
    this.disconnect(Reason.serverUnavailable, "", now, effects);
  }

  onCommitted(results: readonly Committed[], now: number, effects: Sink<SessionEffect>): void {
    // what is for a connection that is gone is not sent
    this.inbound.onCommitted(results, now, this.isOpen ? effects : []);
  }

  /** Slots of `inbound.begin` have got their codes. */
  settle(now: number, effects: AnswerSink): void {
    if (this.isOpen) this.inbound.settle(now, effects);
  }

  onReleased(packetId: number, effects: Sink<SessionEffect>): void {
    const answers: InboundEffect[] = [];
    this.inbound.onReleased(packetId, answers);
    if (this.isOpen) pushAll(answers, effects);
  }

  onWritable(isWritable: boolean, now: number, effects: Sink<SessionEffect>): void {
    this.outbound.onWritable(isWritable, now, effects);
  }

  /** A record of the shared tail that matches. False: the session is behind now, or was. */
  deliver(message: Message, both: Both, cursor: Cursor, offset: number, now: number, effects: DeliverySink): boolean {
    if (!this.isOpen) return false;
    const merged = mergedFor(message, both, this.clientId);
    return merged === null || this.outbound.offerRecord(message, merged, cursor, offset, now, effects);
  }

  /**
   * A record that the session reads by itself; `both`: what it means, null: nothing. For its own cursors that comes
   * from `subscriptions.match`, for a partition of a group it is the `single` of that subscription.
   * False: there is no room; stop, and go on after `more`.
   */
  catchUp(
    message: Message,
    both: Both | null,
    cursor: Cursor,
    offset: number,
    now: number,
    effects: Sink<SessionEffect>,
  ): boolean {
    if (!this.isOpen) return false;
    const delivery = both === null ? null : deliveryOf(message, both, this.clientId, cursor, offset);
    if (delivery !== null) return this.outbound.catchUp(delivery, now, effects);
    this.outbound.advance(cursor, offset + 1);
    return true;
  }

  /** A message that is in no log, and matches. */
  deliverUnlogged(message: Message, both: Both, now: number, effects: Sink<SessionEffect>): void {
    const delivery = deliveryOf(message, both, this.clientId, null, 0);
    if (delivery !== null && (delivery.qos > 0 || this.isOpen)) this.outbound.queue(delivery, now, effects);
  }

  /** A retained message for a subscription that was just made. False: no room; go on after `more`. */
  deliverRetained(message: Message, { qos, id }: Options, now: number, effects: Sink<SessionEffect>): boolean {
    if (!this.isOpen) return true;
    const subscriptionIds = id === 0 ? [] : [id];
    const lower = qos < message.qos ? qos : message.qos;
    const place = { cursor: null, offset: 0 };
    return this.outbound.offer({ message, qos: lower, retain: true, subscriptionIds, ...place }, now, effects);
  }

  /**
   * A record that was read again for a packet id; null: it is gone. `both` as for `catchUp`, but of whatever age: also
   * when no subscription matches any more, what was begun is completed ([MQTT-3.10.4-3]).
   */
  onFetched(
    packetId: number,
    message: Message | null,
    both: Both | null,
    now: number,
    effects: Sink<SessionEffect>,
  ): void {
    const content = message === null ? null : { message, subscriptionIds: both?.all.ids ?? [] };
    this.outbound.onFetched(packetId, content, now, effects);
  }

  #handle(packet: Packet, connection: Connection, now: number, effects: Sink<SessionEffect>): void {
    try {
      switch (packet.kind) {
        case "publish":
          return this.inbound.onPublish(packet, now, effects);
        case "pubrel":
          return this.inbound.onPubrel(packet.packetId, effects);
        case "puback":
        case "pubrec":
        case "pubcomp":
          return this.outbound.onAcknowledged(packet, now, effects);
        case "subscribe":
          return this.#subscribe(packet, connection, now, effects);
        case "unsubscribe":
          return this.#unsubscribe(packet, connection, effects);
        case "pingreq":
          return void effects.push({ kind: "send", packet: { kind: "pingresp" } }); // [MQTT-3.12.4-1]
        case "disconnect":
          return this.#onDisconnect(packet, connection, now, effects);
        default:
          // AUTH without a method in CONNECT [MQTT-4.12.0-7], a second CONNECT [MQTT-3.1.0-2], what only servers send
          throw new MqttProblem(Reason.protocolError, `${packet.kind.toUpperCase()} is out of place`);
      }
    } catch (error) {
      if (!(error instanceof MqttProblem)) throw error;
      this.disconnect(error.code, "", now, effects, error.message); // [MQTT-4.13.1-1]
    }
  }

  #subscribe(packet: Subscribe, connection: Connection, now: number, effects: Sink<SessionEffect>): void {
    const { mayRead, admission, beganAt } = connection;
    const { codes, changes } = this.subscriptions.subscribe(packet, admission.version, mayRead, now, beganAt);
    for (const change of changes) effects.push({ kind: "subscribe", ...change });
    const { packetId } = packet;
    const answer: SessionEffect[] = [
      { kind: "send", packet: { kind: "suback", packetId, codes, properties: noProperties } }, // [MQTT-3.8.4-2]
    ];
    for (const { wantsRetained, filter, options } of changes) {
      if (wantsRetained) answer.push({ kind: "retained", filter, options });
    }
    if (changes.length === 0) return pushAll(answer, effects);
    const ticket = ++this.#tickets.last;
    this.#held.set(ticket, answer);
    effects.push({ kind: "await", ticket });
  }

  #unsubscribe(packet: Unsubscribe, connection: Connection, effects: Sink<SessionEffect>): void {
    const { codes, gone } = this.subscriptions.unsubscribe(packet);
    for (const filter of gone) effects.push({ kind: "unsubscribe", filter });
    const told = connection.admission.version === 5 ? codes : [];
    const { packetId } = packet;
    const answer: SessionEffect = {
      kind: "send",
      packet: { kind: "unsuback", packetId, codes: told, properties: noProperties },
    };
    this.#answer([answer], gone.length > 0, effects);
  }

  #onDisconnect(packet: Disconnect, { admission }: Connection, now: number, effects: Sink<SessionEffect>): void {
    const { sessionExpiry } = packet.properties;
    if (admission.version === 5 && sessionExpiry !== undefined) this.#life.changeExpiry(sessionExpiry);
    if (packet.code === Reason.success) this.#life.discardWill(effects);
    effects.push({ kind: "close", code: packet.code as ReasonCode, by: "client" });
    this.#lose(now, effects);
  }

  #open(connack: SessionEffect, now: number, effects: Sink<SessionEffect>): void {
    const connection = this.#connection!;
    connection.isOpen = true;
    effects.push(connack);
    this.outbound.onConnected(connection.admission.outbound, this.#deps.tailOf, now, effects);
    const { early } = connection;
    connection.early = [];
    for (const packet of early) {
      if (this.#connection === connection) this.#handle(packet, connection, now, effects);
    }
  }
  #lose(now: number, effects: Sink<SessionEffect>): void {
    this.#connection = null;
    this.#held.clear();
    this.outbound.onDisconnected(this.#deps.tailOf);
    if (this.#life.lose(now, effects)) this.end(now, effects);
    else this.#store([], effects);
  }

  /** What changed a session that lasts is told when it is stored. */
  #answer(answer: SessionEffect[], hasChanged: boolean, effects: Sink<SessionEffect>): void {
    if (hasChanged && this.isDurable) this.#store(answer, effects);
    else pushAll(answer, effects);
  }

  #store(held: SessionEffect[], effects: Sink<SessionEffect>): void {
    const ticket = ++this.#tickets.last;
    this.#held.set(ticket, held);
    effects.push({ kind: "store", ticket });
  }

  /** [MQTT-3.1.2-22] */
  #keepAliveAt(): number | null {
    const connection = this.#connection;
    if (connection === null || connection.admission.keepAliveSeconds === 0) return null;
    return connection.lastPacketAt + 1.5 * second * connection.admission.keepAliveSeconds;
  }
}

function isDue(at: number | null, now: number): boolean {
  return at !== null && at <= now;
}
