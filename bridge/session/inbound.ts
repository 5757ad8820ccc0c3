// What one client publishes: aliases, quota, acknowledgements in order, QoS 2 ids that outlive connections. Pure.
import { limits } from "../../hub/mod.ts";
import { PacketIdSet } from "./packet_ids.ts";
import { SparseMap } from "./sparse.ts";
import { hasWildcard, isTopic } from "../match/filter.ts";
import {
  type Acknowledgement,
  MqttProblem,
  noProperties,
  type Publish,
  Reason,
  type ReasonCode,
  type Version,
} from "../wire/packet.ts";
import type { Sink } from "./effects.ts";
import { type Message, messageOf } from "./message.ts";

export type InboundEffect =
  /**
   * Commit the message, then tell `onCommitted` with the ticket (0: QoS 0, nobody waits). With a packet id the id is
   * to be stored in the same commit (QoS 2 of a session that outlives its connection).
   */
  | { readonly kind: "append"; readonly ticket: number; readonly message: Message; readonly packetId: number }
  /** Store that the id is free, then tell `onReleased`. Only for ids that were stored. */
  | { readonly kind: "release"; readonly packetId: number }
  | { readonly kind: "send"; readonly packet: Acknowledgement };

/** A commit that ended: `code` is success or why it was refused. */
export interface Committed {
  readonly ticket: number;
  readonly code: ReasonCode;
}

/** A QoS 1 or 2 PUBLISH of this connection that waits for its PUBACK or PUBREC. */
export interface Slot {
  readonly packetId: number;
  readonly qos: 1 | 2;
  /** When it came. */
  readonly at: number;
  /** Null while its commit is under way. */
  code: ReasonCode | null;
  /** Nobody knows what becomes of it: neither word would be true, and its client is to send it again. */
  isUnknown?: boolean;
  /** Called when it is not needed any more, if it was brought by `begin`. */
  left?(): void;
}

/** A sink that takes a plain PUBACK as its number: most of what a hub answers is that. */
export interface AnswerSink extends Sink<InboundEffect> {
  puback?(packetId: number): void;
}

/** A QoS 2 id: its message is being stored, is stored, or the id is being released. */
interface Open {
  stage: "storing" | "stored" | "releasing";
  readonly ticket: number;
  /** Whether the id itself is stored, so that its release must be, too. */
  readonly durable: boolean;
}

export class Inbound {
  readonly #clientId: string;
  /** QoS 2 ids not released yet: the part that belongs to the session. */
  readonly #ids = new SparseMap<number, Open>();
  /** Ticket -> packet id of QoS 2 commits under way, of this connection and of earlier ones. */
  readonly #storing = new SparseMap<number, number>();
  #tickets = 0;

  // what belongs to the connection
  #version: Version = 5;
  #durable = false;
  readonly #aliases = new SparseMap<number, string>(); // [MQTT-3.3.2-7]
  #aliasMax = 0;
  #receiveMax: number = limits.mqttReceiveMax;
  /** Acknowledgements leave from the front. */
  #slots: Slot[] = [];
  readonly #bySlotTicket = new SparseMap<number, Slot>();
  /** Ids that count against the receive maximum. */
  readonly #quota = new PacketIdSet();
  #withheldAt: number | null = null;
  /** PUBLISHes that were sent again while their commit was under way. */
  repeated = 0;

  /** @param storedIds QoS 2 ids of a session that comes from its record. */
  constructor(clientId: string, storedIds: readonly number[] = []) {
    this.#clientId = clientId;
    for (const id of storedIds) this.#ids.set(id, { stage: "stored", ticket: 0, durable: true });
  }

  /**
   * A connection begins; what belonged to the one before is forgotten, except QoS 2 ids.
   * @param durable whether the session outlives this connection.
   */
  onConnected(version: Version, durable: boolean, aliasMax: number, receiveMax: number): void {
    this.#version = version;
    this.#durable = durable;
    this.#aliases.clear();
    this.#aliasMax = version === 5 ? aliasMax : 0;
    this.#receiveMax = receiveMax;
    this.#slots = [];
    this.#bySlotTicket.clear();
    this.#quota.clear();
    this.#withheldAt = null;
  }

  /** QoS 2 ids to be kept with the session. */
  get openIds(): readonly number[] {
    return [...this.#ids.keys()];
  }

  /** PUBLISHes of this connection whose commit has not ended. */
  get uncommitted(): number {
    return this.#bySlotTicket.size;
  }

  /** Whether the connection's socket should not be read for now. 3.1.1 has no receive maximum. */
  get isFull(): boolean {
    return this.uncommitted >= limits.mqttInFlightPerConnectionMax;
  }

  /** When the PUBLISH came whose acknowledgement is next, or was withheld; null: none waits. */
  get oldestAt(): number | null {
    return this.#withheldAt ?? this.#slots[0]?.at ?? null;
  }

  /** @throws MqttProblem when a packet breaks the standard; what came before it has taken place. */
  onPublish(packet: Publish, now: number, effects: Sink<InboundEffect>): void {
    const topic = this.#topicOf(packet);
    checkProperties(packet);
    if (packet.qos === 0) {
      if (isTopic(topic)) this.#append(packet, topic, 0, 0, now, effects);
      return;
    }
    const { packetId, qos } = packet;
    const open = this.#ids.get(packetId);
    if (qos === 2 && open !== undefined) return this.#again(packet, open, now, effects);
    // an id of an earlier connection that is still open as QoS 2 is not in the way of a client that lost its memory
    if (this.#quota.has(packetId)) {
      // some clients of 3.1.1 send again on a timer: the acknowledgement that is on its way answers both
      if (packet.dup && qos === 1 && open === undefined) {
        this.repeated++;
        return;
      }
      throw new MqttProblem(Reason.protocolError, `packet id ${packetId} is in use [MQTT-2.2.1-3]`);
    }
    this.#take(packetId);
    const refusal = this.#refusal(topic, qos);
    const slot: Slot = { packetId, qos, at: now, code: refusal };
    this.#slots.push(slot);
    if (refusal !== null) return this.#flush(now, effects);
    const ticket = ++this.#tickets;
    this.#bySlotTicket.set(ticket, slot);
    const stored = qos === 2 && this.#durable ? packetId : 0;
    if (qos === 2) {
      this.#ids.set(packetId, { stage: "storing", ticket, durable: stored !== 0 });
      this.#storing.set(ticket, packetId);
    }
    this.#append(packet, topic, ticket, stored, now, effects);
  }

  /**
   * The short way for QoS 1 without anything special: the caller commits the message itself, sets the slot's code, then
   * calls `settle`. False: it is not plain; `onPublish` says what it is.
   */
  begin(slot: Slot): boolean {
    const quota = this.#quota;
    const { packetId } = slot;
    if (quota.has(packetId) || (this.#ids.size > 0 && this.#ids.has(packetId))) return false;
    if (this.#version === 5 && quota.size >= this.#receiveMax) return false;
    quota.add(packetId);
    this.#slots.push(slot);
    return true;
  }

  /** Slots of `begin` have got their codes: acknowledgements leave as far as their order allows. */
  settle(now: number, effects: AnswerSink): void {
    this.#flush(now, effects);
  }

  /** Commits end in any order; acknowledgements leave in the order of their PUBLISHes ([MQTT-4.6.0-2], -3). */
  onCommitted(results: readonly Committed[], now: number, effects: AnswerSink): void {
    for (const { ticket, code } of results) {
      const slot = this.#bySlotTicket.get(ticket);
      this.#bySlotTicket.delete(ticket);
      if (slot !== undefined) slot.code = code;
      const packetId = this.#storing.get(ticket);
      if (packetId === undefined) continue;
      this.#storing.delete(ticket);
      const open = this.#ids.get(packetId);
      if (open?.ticket !== ticket) continue;
      if (code < 0x80) open.stage = "stored";
      else this.#ids.delete(packetId); // [MQTT-4.3.3-9]
      if (slot !== undefined && open.durable && code === Reason.unspecified) slot.isUnknown = true;
    }
    this.#flush(now, effects);
  }

  /** PUBREL. The answer to an id that is not known is 0x92, which is no error (MQTT5 section 3.7.2.1). */
  onPubrel(packetId: number, effects: Sink<InboundEffect>): void {
    const open = this.#ids.get(packetId);
    if (open === undefined) {
      const code = this.#version === 5 ? Reason.packetIdNotFound : Reason.success;
      effects.push(answer("pubcomp", packetId, code));
      return;
    }
    if (open.stage === "storing") {
      throw new MqttProblem(Reason.protocolError, `PUBREL ${packetId} comes before its PUBREC [MQTT-4.3.3-4]`);
    }
    if (open.stage === "releasing") return; // sent again after a reconnect: the PUBCOMP is on its way
    open.stage = "releasing";
    if (open.durable) effects.push({ kind: "release", packetId });
    else this.onReleased(packetId, effects);
  }

  /** The release could not be stored: the client sends PUBREL again, on another connection. */
  onReleaseFailed(packetId: number): void {
    const open = this.#ids.get(packetId);
    if (open?.stage === "releasing") open.stage = "stored";
  }

  /** The release is stored: only now the client may use the id for another message ([MQTT-4.3.3-12]). */
  onReleased(packetId: number, effects: Sink<InboundEffect>): void {
    if (this.#ids.get(packetId)?.stage !== "releasing") return;
    this.#ids.delete(packetId);
    this.#quota.delete(packetId);
    effects.push(answer("pubcomp", packetId, Reason.success));
  }

  /** A QoS 2 PUBLISH whose id is known: it is acknowledged and not delivered again ([MQTT-4.3.3-10]). */
  #again(packet: Publish, open: Open, now: number, effects: Sink<InboundEffect>): void {
    const { packetId } = packet;
    if (open.stage === "releasing") {
      throw new MqttProblem(Reason.protocolError, `packet id ${packetId} has no PUBCOMP yet [MQTT-2.2.1-3]`);
    }
    this.repeated++;
    const waiting = this.#bySlotTicket.get(open.ticket);
    if (open.stage === "storing" && waiting !== undefined) return; // its PUBREC is on its way
    if (!this.#quota.has(packetId)) this.#take(packetId);
    const slot: Slot = { packetId, qos: 2, at: now, code: open.stage === "stored" ? Reason.success : null };
    this.#slots.push(slot);
    if (slot.code === null)
      this.#bySlotTicket.set(open.ticket, slot); // begun on an earlier connection
    else this.#flush(now, effects);
  }

  /** Counts a PUBLISH ([MQTT-3.3.4-7]); 3.1.1 has no such bound. */
  #take(packetId: number): void {
    if (this.#version === 5 && this.#quota.size >= this.#receiveMax) {
      const detail = `over ${this.#receiveMax} PUBLISHes are unacknowledged [MQTT-3.3.4-7]`;
      throw new MqttProblem(Reason.receiveMaximumExceeded, detail);
    }
    this.#quota.add(packetId);
  }

  #refusal(topic: string, qos: 1 | 2): ReasonCode | null {
    if (!isTopic(topic)) return Reason.topicNameInvalid;
    return qos === 2 && this.#ids.size >= limits.mqttQos2PerClientMax ? Reason.quotaExceeded : null;
  }

  #append(
    packet: Publish,
    topic: string,
    ticket: number,
    packetId: number,
    now: number,
    effects: Sink<InboundEffect>,
  ): void {
    effects.push({ kind: "append", ticket, message: messageOf(packet, topic, this.#clientId, now), packetId });
  }

  #flush(now: number, effects: AnswerSink): void {
    let count = 0;
    for (const slot of this.#slots) {
      const { code, qos, packetId, isUnknown = false } = slot;
      if (code === null) break;
      count++;
      if (qos === 1 || code >= 0x80) this.#quota.delete(packetId);
      if (code === Reason.success && qos === 1 && effects.puback !== undefined) effects.puback(packetId);
      // 3.1.1 has no way to refuse: the acknowledgement is withheld, and the client is closed a while later
      else if (isUnknown || (code >= 0x80 && this.#version === 4)) this.#withheldAt ??= now;
      else effects.push(answer(qos === 1 ? "puback" : "pubrec", packetId, code));
      slot.left?.();
    }
    if (count === this.#slots.length) this.#slots.length = 0;
    else if (count > 0) this.#slots.splice(0, count);
  }

  /** The topic of a PUBLISH, by its alias if it has one (MQTT5 section 3.3.2.3.4). */
  #topicOf({ topic, properties: { topicAlias } }: Publish): string {
    if (hasWildcard(topic)) throw new MqttProblem(Reason.topicNameInvalid, "a wildcard in a topic [MQTT-3.3.2-2]");
    if (topicAlias === undefined) {
      if (topic === "") throw new MqttProblem(Reason.protocolError, "no topic and no alias (MQTT5 3.3.2.1)");
      return topic;
    }
    if (topicAlias === 0 || topicAlias > this.#aliasMax) {
      throw new MqttProblem(Reason.topicAliasInvalid, `topic alias ${topicAlias} [MQTT-3.3.2-8], [MQTT-3.3.2-9]`);
    }
    if (topic !== "") {
      // a topic beyond our bounds is refused for itself, and not remembered at that length
      if (topic.length <= limits.mqttTopicLengthMax) this.#aliases.set(topicAlias, topic);
      else this.#aliases.delete(topicAlias);
      return topic;
    }
    const known = this.#aliases.get(topicAlias);
    if (known === undefined) {
      throw new MqttProblem(Reason.protocolError, `topic alias ${topicAlias} has no topic (MQTT5 3.3.2.3.4)`);
    }
    return known;
  }
}

function checkProperties({ properties: { subscriptionIds, responseTopic } }: Publish): void {
  if (subscriptionIds !== undefined && subscriptionIds.length > 0) {
    throw new MqttProblem(Reason.protocolError, "a client's PUBLISH has a subscription identifier [MQTT-3.3.4-6]");
  }
  if (responseTopic !== undefined && hasWildcard(responseTopic)) {
    throw new MqttProblem(Reason.protocolError, "a wildcard in the response topic [MQTT-3.3.2-14]");
  }
}

function answer(kind: Acknowledgement["kind"], packetId: number, code: ReasonCode): InboundEffect {
  return { kind: "send", packet: { kind, packetId, code, properties: noProperties } };
}
