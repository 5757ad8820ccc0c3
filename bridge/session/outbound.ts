// What is sent to one client: its window, packet ids, acknowledgements, resending, and its cursors in the log. Pure.
import { limits } from "../../hub/mod.ts";
import { type Acknowledgement, MqttProblem, noProperties, Reason } from "../wire/packet.ts";
import {
  Cursors,
  giveBack,
  type HandOver,
  handOverOf,
  restoreFlights,
  settledOf,
  snapshotOf,
  type TailOf,
  wantsOf,
} from "./cursors.ts";
import type { Merged } from "../match/merged.ts";
import { deliveryUnder } from "./delivery.ts";
import type { DeliverySink, OutboundEffect, Sink } from "./effects.ts";
import {
  type Content,
  type Cursor,
  type Delivery,
  type Flight,
  noCounts,
  type StoredOutbound,
  type Tickets,
} from "./flight.ts";
import { Flights } from "./flights.ts";
import { hasExpired, type Message } from "./message.ts";
import { type OutboundOptions, Sender } from "./sender.ts";
import { type Budget, hasRoom, Queued, Waiting } from "./window.ts";

export class Outbound {
  readonly counts = noCounts();
  readonly cursors = new Cursors();
  readonly #flights = new Flights();
  /** Not in a log; outlives the connection as long as the hub does. */
  readonly #queued: Queued;
  #received = 0;
  /** Of a session that ended. */
  readonly #left = new Map<Cursor, HandOver>();
  /** Flights that wait for a store, and those whose store is under way. */
  #toStore: Flight[] = [];
  #inStore: Flight[] = [];
  /** Tickets are the session's; this is the last of ours. */
  readonly #tickets: Tickets;
  #ticket = 0;

  // what belongs to the connection
  #sender: Sender | null = null;
  readonly #pending = new Waiting();
  /** Flights whose PUBLISH is still to be sent on this connection, in order. */
  #unsent: Flight[] = [];
  /** The client's receive maximum, or ours. */
  #quota = 0;
  #isWritable = false;
  #isStarved = false;

  constructor(budget: Budget, stored: StoredOutbound | null = null, tickets: Tickets = { last: 0 }) {
    this.#queued = new Queued(budget);
    this.#tickets = tickets;
    if (stored === null) return;
    for (const flight of restoreFlights(stored, this.cursors)) {
      this.#flights.restore(flight);
      this.#received = Math.max(this.#received, flight.received);
    }
  }

  /** Packet ids in use. */
  get inFlight(): number {
    return this.#flights.size;
  }

  get queued(): number {
    return this.#queued.count;
  }

  /** A connection begins: what was not acknowledged is sent again, and only now ([MQTT-4.4.0-1]). */
  onConnected(options: OutboundOptions, tailOf: TailOf, now: number, effects: Sink<OutboundEffect>): void {
    this.#sender = new Sender(options);
    this.#isWritable = true;
    this.#isStarved = false;
    this.cursors.beLiveFrom(tailOf);
    this.#quota = Math.min(options.receiveMax, limits.mqttOutInFlightMax); // [MQTT-4.9.0-1]
    this.#unsent = [];
    const releases: Flight[] = [];
    for (const flight of this.#flights.list()) {
      // one whose PUBLISH the client has holds its place until PUBCOMP, too
      this.#flights.setLive(flight, flight.stage === "received" || flight.stage === "release");
      if (!flight.live) this.#unsent.push(flight);
      if (flight.stage === "release") releases.push(flight);
    }
    release(releases, effects);
    const wants = wantsOf(this.#unsent);
    if (wants.length > 0) effects.push({ kind: "fetch", wants });
    this.#pump(now, effects);
  }

  /** The connection ended. What the log holds is not kept in memory: it is read again when the client is back. */
  onDisconnected(tailOf: TailOf): void {
    this.#sender = null;
    this.#isWritable = false;
    this.#unsent = [];
    this.cursors.detachAll(tailOf);
    for (const delivery of this.#pending.drain()) {
      if (delivery.cursor === null) this.#keep(delivery);
      else giveBack(delivery.cursor, delivery.offset);
    }
    for (const flight of this.#flights.list()) {
      this.#flights.setLive(flight, false);
      if (flight.cursor === null) continue;
      this.#flights.forget(flight);
      if (flight.sent) continue;
      // the client never saw its id: it goes back to where it came from
      giveBack(flight.cursor, flight.offset);
      this.#flights.settle(flight);
    }
  }

  /** Whether the socket takes more. */
  onWritable(isWritable: boolean, now: number, effects: Sink<OutboundEffect>): void {
    this.#isWritable = isWritable && this.#sender !== null;
    this.#pump(now, effects);
  }

  /**
   * A delivery of the shared tail, or of no log. False: there is no room; the session is behind now, its cursor is
   * detached and stands at this record. QoS 0 is never refused: it is skipped when the socket is full.
   */
  offer(delivery: Delivery, now: number, effects: Sink<OutboundEffect>): boolean {
    if (delivery.cursor !== null && !delivery.cursor.attached) return false;
    return this.#take(delivery, now, effects);
  }

  /** `offer` of a record that matches; most are plain QoS 0, and cost no object for each client. */
  offerRecord(
    message: Message,
    merged: Merged,
    cursor: Cursor,
    offset: number,
    now: number,
    effects: DeliverySink,
  ): boolean {
    const { ids, qos, retainAsPublished } = merged;
    const isQos0 = (qos === 0 || message.qos === 0) && this.#isWritable && !hasExpired(message, now);
    if (!isQos0 || effects.plain === undefined || this.#sender?.isPlain(message, ids) !== true) {
      return this.offer(deliveryUnder(message, merged, cursor, offset), now, effects);
    }
    if (!cursor.attached) return false;
    if (offset >= cursor.liveFrom) effects.plain(message, retainAsPublished && message.retain);
    cursor.next = offset + 1;
    return true;
  }

  /** A delivery that the session, being behind, read by itself. False: there is no room; it goes on after `more`. */
  catchUp(delivery: Delivery, now: number, effects: Sink<OutboundEffect>): boolean {
    const { cursor, offset } = delivery;
    if (cursor === null || cursor.attached) throw new Error("only a cursor that is behind catches up");
    return offset < cursor.next || this.#take(delivery, now, effects);
  }

  /** A session that is behind has read up to `next`, and taken what matched. */
  advance(cursor: Delivery["cursor"], next: number): void {
    if (cursor !== null && !cursor.attached && next > cursor.next) cursor.next = next;
  }

  /** A message that is in no log: sent, or queued for a session that is behind or away; counted when it is dropped. */
  queue(delivery: Delivery, now: number, effects: Sink<OutboundEffect>): void {
    if (delivery.qos === 0) return this.#sendQos0(delivery, now, effects);
    this.#keep(delivery);
    this.#pump(now, effects);
  }

  /** PUBACK, PUBREC, PUBCOMP. @throws MqttProblem when it does not answer what was sent with its id. */
  onAcknowledged(packet: Acknowledgement, now: number, effects: Sink<OutboundEffect>): void {
    const { kind, packetId, code } = packet;
    const known = this.#flights.get(packetId);
    const flight = known?.sent ? known : undefined;
    if (kind === "pubrec") this.#onPubrec(packetId, flight, code, effects);
    else if (flight === undefined) this.counts.strays++;
    else if (kind === "puback" ? flight.qos === 1 : flight.stage === "release") {
      if (code >= 0x80 && kind === "puback") this.counts.refused++; // it is acknowledged all the same [MQTT-4.4.0-2]
      this.#flights.settle(flight);
    } else {
      throw new MqttProblem(Reason.protocolError, `${kind.toUpperCase()} ${packetId} answers nothing (MQTT5 4.3)`);
    }
    this.#pump(now, effects);
  }

  /** A store ended; what waited for it goes on. */
  onStored(ticket: number, now: number, effects: Sink<OutboundEffect>): void {
    if (ticket !== this.#ticket) return;
    const releases: Flight[] = [];
    for (const flight of this.#inStore) {
      if (flight.stage === "storing") flight.stage = "publish";
      else if (flight.stage === "received") {
        flight.stage = "release";
        releases.push(flight);
      }
    }
    this.#inStore = [];
    if (this.#sender !== null) release(releases, effects);
    this.#pump(now, effects);
  }

  /** The answer to one of `fetch`; null: the record is gone. */
  onFetched(packetId: number, content: Content | null, now: number, effects: Sink<OutboundEffect>): void {
    const flight = this.#flights.get(packetId);
    if (flight === undefined || this.#sender === null || flight.content !== null || flight.live) return;
    if (content === null) {
      this.counts.lost++;
      this.#flights.settle(flight);
    } else {
      this.#flights.give(flight, content);
    }
    this.#pump(now, effects);
  }

  /** The session's record: what is not settled. */
  snapshot(tailOf: TailOf): StoredOutbound {
    return snapshotOf(this.cursors, this.#flights.list(), this.#pending.list(), tailOf);
  }

  /** Everything of the cursor before this offset is settled: what a shared subscription commits for its group. */
  settled(cursor: Cursor, tailOf: TailOf): number {
    return settledOf(cursor, this.#flights.list(), this.#pending.list(), tailOf);
  }

  /** Another member of the group goes on where this session was: by its client's absence, or by a rebalance. */
  handOver(cursor: Cursor, tailOf: TailOf): HandOver {
    const left = this.#left.get(cursor);
    if (left !== undefined) return left;
    this.#pending.remove(cursor);
    const over = handOverOf(cursor, this.#flights.list(), this.#pending.list(), tailOf);
    for (const flight of this.#flights.list()) {
      if (flight.cursor === cursor && flight.qos === 1 && this.#sender === null) this.#flights.settle(flight);
    }
    this.cursors.close(cursor);
    return over;
  }

  /** The session ends: gives its share of the memory back. What it leaves to its groups can still be asked for. */
  clear(): void {
    for (const cursor of this.cursors.values()) {
      if (cursor.group === "") continue;
      const next = (of: Cursor): number => of.next; // nobody's tail is theirs
      this.#left.set(cursor, handOverOf(cursor, this.#flights.list(), this.#pending.list(), next));
    }
    this.#queued.clear();
    this.#pending.drain();
    this.#flights.clear();
    this.#toStore = [];
    this.#inStore = [];
    this.#unsent = [];
    this.cursors.clear();
  }

  #take(delivery: Delivery, now: number, effects: Sink<OutboundEffect>): boolean {
    const { cursor, offset, qos } = delivery;
    if (qos === 0) {
      if (cursor === null || offset >= cursor.liveFrom) this.#sendQos0(delivery, now, effects);
    } else if (this.#sender === null || this.#isStarved || !hasRoom(this.#pending)) {
      this.#isStarved = true;
      if (cursor !== null) giveBack(cursor, offset);
      return false;
    } else this.#pending.push(delivery);
    if (cursor !== null) cursor.next = offset + 1;
    if (qos > 0) this.#pump(now, effects);
    return true;
  }

  #onPubrec(packetId: number, flight: Flight | undefined, code: number, effects: Sink<OutboundEffect>): void {
    if (flight === undefined) {
      this.counts.strays++;
      const isTold = this.#sender?.options.version === 5;
      effects.push(pubrel(packetId, isTold ? Reason.packetIdNotFound : Reason.success));
      return;
    }
    if (flight.qos !== 2) throw new MqttProblem(Reason.protocolError, `PUBREC ${packetId} answers QoS 1 (MQTT5 4.3)`);
    if (flight.stage === "received") return;
    if (flight.stage === "release") return void effects.push(pubrel(packetId, Reason.success));
    if (code >= 0x80) {
      this.counts.refused++;
      return this.#flights.settle(flight); // [MQTT-4.3.3-4]
    }
    this.#flights.forget(flight); // it is never sent again [MQTT-4.3.3-6]
    flight.received = ++this.#received;
    this.#flights.setLive(flight, true);
    flight.stage = "received";
    if (this.#sender?.options.durable) this.#toStore.push(flight);
    else {
      flight.stage = "release";
      effects.push(pubrel(packetId, Reason.success));
    }
  }

  /** Takes what waits into flight, asks for a store when one is due, sends what may be sent. */
  #pump(now: number, effects: Sink<OutboundEffect>): void {
    const sender = this.#sender;
    do this.#fill(sender);
    while (sender !== null && this.#sendUnsent(sender, now, effects) && this.#hasWaiting());
    if (this.#toStore.length > 0 && this.#inStore.length === 0) {
      this.#inStore = this.#toStore; // one store at a time takes all that came up meanwhile
      this.#toStore = [];
      this.#ticket = ++this.#tickets.last;
      effects.push({ kind: "store", ticket: this.#ticket });
    }
    if (this.#isStarved && this.#pending.count * 2 <= limits.mqttOutPendingMax && hasRoom(this.#pending)) {
      this.#isStarved = false;
      effects.push({ kind: "more" });
    }
  }

  #fill(sender: Sender | null): void {
    while (sender !== null && this.#isWritable && this.#mayFly()) {
      const delivery = this.#queued.take() ?? this.#pending.shift();
      if (delivery === undefined) return;
      const flight = this.#flights.add(delivery, delivery.qos === 2 && sender.options.durable);
      this.#unsent.push(flight);
      if (flight.stage === "storing") this.#toStore.push(flight);
    }
  }

  /** Whether some of it was not sent but given up, so that there is room for more. */
  #sendUnsent(sender: Sender, now: number, effects: Sink<OutboundEffect>): boolean {
    let at = 0;
    let gaveUp = false;
    for (; at < this.#unsent.length && this.#isWritable; at++) {
      const flight = this.#unsent[at]!;
      if (this.#flights.get(flight.packetId) !== flight || flight.live) continue; // settled or acknowledged meanwhile
      if (flight.stage === "storing" || flight.content === null || this.#flights.live >= this.#quota) break;
      if (!this.#sendFlight(flight, flight.content, sender, now, effects)) gaveUp = true;
    }
    if (at > 0) this.#unsent.splice(0, at);
    return gaveUp;
  }

  #hasWaiting(): boolean {
    return this.#pending.count > 0 || this.#queued.count > 0;
  }

  /** Whether one more message may get a packet id ([MQTT-3.3.4-9]). */
  #mayFly(): boolean {
    if (this.#flights.size >= this.#quota) return false;
    return this.#flights.size === 0 || this.#flights.bytes < limits.mqttOutInFlightBytesMax;
  }

  /** False: it is settled without being sent. */
  #sendFlight(flight: Flight, content: Content, sender: Sender, now: number, effects: Sink<OutboundEffect>): boolean {
    const { packetId, qos, retain, sent } = flight;
    // a lifetime is over only for what was never begun [MQTT-4.3.3-7]
    const isOver = !sent && hasExpired(content.message, now);
    const terms = isOver ? null : sender.terms(content, { qos, retain, dup: sent, packetId }, now);
    if (terms === null) {
      this.counts[isOver ? "expired" : "tooLarge"]++;
      this.#flights.settle(flight); // too large: as if it had been sent [MQTT-3.1.2-25]
      return false;
    }
    effects.push({ kind: "publish", message: content.message, terms });
    flight.sent = true;
    this.#flights.setLive(flight, true);
    return true;
  }

  #sendQos0({ message, subscriptionIds, retain }: Delivery, now: number, effects: Sink<OutboundEffect>): void {
    if (this.#sender === null || !this.#isWritable) this.counts.skipped++;
    else if (hasExpired(message, now)) this.counts.expired++;
    else {
      const fields = { qos: 0, retain, dup: false, packetId: 0 } as const;
      const terms = this.#sender.terms({ message, subscriptionIds }, fields, now);
      if (terms === null) this.counts.tooLarge++;
      else effects.push({ kind: "publish", message, terms });
    }
  }

  #keep(delivery: Delivery): void {
    if (!this.#queued.keep(delivery)) this.counts.dropped++;
  }
}

/** PUBRELs leave in the order of their PUBRECs (MQTT5 section 4.6). */
function release(flights: Flight[], effects: Sink<OutboundEffect>): void {
  flights.sort((a, b) => a.received - b.received);
  for (const { packetId } of flights) effects.push(pubrel(packetId, Reason.success));
}

function pubrel(packetId: number, code: Acknowledgement["code"]): OutboundEffect {
  return { kind: "send", packet: { kind: "pubrel", packetId, code, properties: noProperties } };
}
