// A hub reduced to what sessions need of it (a log, stores that end later, a tree), with crashes; drives real sessions.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { FilterTree } from "../../../bridge/match/filter_tree.ts";
import { admit } from "../../../bridge/session/admit.ts";
import { checkConnect } from "../../../bridge/session/connect.ts";
import type { SessionEffect } from "../../../bridge/session/effects.ts";
import type { Cursor } from "../../../bridge/session/flight.ts";
import { type Message, outgoing } from "../../../bridge/session/message.ts";
import { decodeSession, encodeSession } from "../../../bridge/session/record.ts";
import type { Terms } from "../../../bridge/session/sender.ts";
import { Session } from "../../../bridge/session/session.ts";
import { decodePacket } from "../../../bridge/wire/decode.ts";
import { FrameBatch } from "../../../bridge/wire/outgoing.ts";
import type { Packet, Qos, Version } from "../../../bridge/wire/packet.ts";
import type { ModelClient } from "./model_client.ts";

export const partitions = 3;

export interface Entry {
  readonly message: Message;
  readonly arrivedAt: number;
  readonly ticket: number;
  readonly packetId: number;
  readonly session: Session;
}

interface Line {
  readonly client: ModelClient;
  /** Packets on their way; lost when the line is cut. */
  readonly up: Packet[];
  readonly down: Packet[];
  readonly aliases: Map<number, string>;
  session: Session | null;
  /** The hub closes it when `down` is read. */
  closing: boolean;
  early: boolean;
}

type Pending =
  | { readonly kind: "store"; readonly session: Session; readonly ticket: number; readonly bytes: Uint8Array }
  | { readonly kind: "release"; readonly session: Session; readonly packetId: number };

export class World {
  readonly random: () => number;
  readonly clients: ModelClient[];
  now = 1;
  /** Records by partition; those before `committed` are readable and stay. */
  readonly logs: Entry[][] = Array.from({ length: partitions }, () => []);
  readonly committed: number[] = Array(partitions).fill(0);
  readonly counts = { crashes: 0, cuts: 0, refetched: 0, behind: 0, resent: 0 };
  readonly #tails: number[] = Array(partitions).fill(0);
  readonly #lines = new Map<string, Line>();
  readonly #sessions = new Map<string, Session>();
  #tree = new FilterTree<Session>();
  /** What outlives a crash. */
  readonly #records = new Map<string, Uint8Array>();
  readonly #ids = new Map<string, Set<number>>();
  #pending: Pending[] = [];
  #fetches: { session: Session; packetId: number; partition: number; offset: number; line: Line }[] = [];

  constructor(random: () => number, clients: ModelClient[]) {
    this.random = random;
    this.clients = clients;
  }

  int(below: number): number {
    return Math.floor(this.random() * below);
  }

  isUp(client: ModelClient): boolean {
    return this.#lines.has(client.id) && client.isAdmitted;
  }

  /** Connected, or about to be. */
  hasLine(client: ModelClient): boolean {
    return this.#lines.has(client.id);
  }

  send(client: ModelClient, packet: Packet): void {
    this.#lines.get(client.id)!.up.push(packet);
  }

  connect(client: ModelClient): void {
    const before = this.#lines.get(client.id);
    const line: Line = { client, up: [], down: [], aliases: new Map(), session: null, closing: false, early: true };
    const checked = checkConnect(client.connect(1 + this.int(6)), "fresh");
    assert.ok(checked.kind === "admit");
    const existing = this.#sessions.get(client.id) ?? this.#restore(client.id);
    const make = () => new Session(client.id, this.#deps(), this.now);
    const admitted = admit(
      existing,
      checked.admission,
      () => true,
      make,
      this.now,
      (due) => {
        this.#run(existing!, before ?? null, due);
      },
    );
    line.session = admitted.session;
    this.#sessions.set(client.id, admitted.session);
    this.#lines.set(client.id, line); // what was on its way in the old line is lost
    this.#run(admitted.session, line, admitted.effects);
  }

  cut(client: ModelClient): void {
    const line = this.#lines.get(client.id);
    if (line === undefined) return;
    this.counts.cuts++;
    this.#lines.delete(client.id);
    client.isAdmitted = false;
    this.#on(line.session!, line, (session, effects) => session.connectionLost(this.now, effects));
  }

  crash(): void {
    this.counts.crashes++;
    if (process.env.TRACE) console.log(this.now, "CRASH");
    for (const { client } of this.#lines.values()) client.isAdmitted = false;
    this.#lines.clear();
    this.#sessions.clear();
    this.#pending = [];
    this.#fetches = [];
    this.#tree = new FilterTree();
    for (const [at, log] of this.logs.entries()) {
      log.splice(this.committed[at]!);
      this.#tails[at] = this.committed[at]!;
    }
    for (const client of this.clients) this.#restore(client.id);
  }

  /** Packets of the client arrive. */
  up(client: ModelClient, count: number): void {
    const line = this.#lines.get(client.id);
    if (line === undefined || line.session!.isFull) return;
    const packets = line.up.splice(0, count);
    this.#on(line.session!, line, (session, effects) => session.receive(packets, this.now, effects));
  }

  /** Packets of the hub arrive at the client, which may answer later. */
  down(client: ModelClient, count: number): void {
    const line = this.#lines.get(client.id);
    if (line === undefined) return;
    for (const packet of line.down.splice(0, count)) {
      if (packet.kind === "publish" && packet.dup) this.counts.resent++;
      line.up.push(...client.receive(packet, line.aliases));
    }
    line.up.push(...client.takeAnswers(count));
    if (line.closing && line.down.length === 0) this.#lines.delete(client.id);
  }

  /** Records are committed: known to the sessions, readable for all. */
  commit(partition: number, count: number): void {
    const log = this.logs[partition]!;
    const end = Math.min(log.length, this.committed[partition]! + count);
    const entries = log.slice(this.committed[partition], end);
    this.committed[partition] = end;
    for (const { session, packetId } of entries) {
      if (packetId > 0) this.#idsOf(session.clientId).add(packetId); // in one commit with the record
    }
    const bySession = new Map<Session, { ticket: number; code: 0 }[]>();
    for (const { session, ticket } of entries) {
      if (ticket > 0) bySession.set(session, [...(bySession.get(session) ?? []), { ticket, code: 0 }]);
    }
    for (const [session, results] of bySession) {
      if (this.#sessions.get(session.clientId) !== session) continue;
      this.#on(session, this.#lineOf(session), (one, effects) => one.onCommitted(results, this.now, effects));
    }
  }

  /** Records of somebody who speaks no MQTT. */
  produce(topic: string, names: readonly string[], qos: Qos): void {
    for (const name of names) {
      const payload = new TextEncoder().encode(name);
      const message = { topic, payload, qos, retain: false, properties: {}, publisher: "", expiresAt: null };
      const session = new Session("nobody", this.#deps(), this.now);
      this.logs[partitionOf(topic)]!.push({ message, arrivedAt: this.now, ticket: 0, packetId: 0, session });
    }
  }

  /** The hub's one reader of a partition. */
  tail(partition: number, count: number): void {
    const end = Math.min(this.committed[partition]!, this.#tails[partition]! + count);
    for (let offset = this.#tails[partition]!; offset < end; offset++) {
      const { message } = this.logs[partition]![offset]!;
      for (const { subscriber: session, all, own } of this.#tree.match(message.topic).subscribers) {
        const cursor = session.outbound.cursors.get("h", partition);
        if (cursor === undefined || !cursor.attached) continue;
        this.#on(session, this.#lineOf(session), (one, effects) => {
          if (!one.deliver(message, { all, own }, cursor, offset, this.now, effects)) this.counts.behind++;
        });
      }
      this.#tails[partition] = offset + 1;
    }
  }

  /** A session that is behind reads by itself; at the tail it joins the others. */
  catchUp(client: ModelClient, count: number): void {
    const session = this.#sessions.get(client.id);
    if (session === undefined || !session.isOpen) return;
    for (const cursor of session.outbound.cursors.values()) this.#catchUp(session, cursor, count);
  }

  writable(client: ModelClient, isWritable: boolean): void {
    const session = this.#sessions.get(client.id);
    if (session === undefined || !session.isOpen) return;
    this.#on(session, this.#lineOf(session), (one, effects) => one.onWritable(isWritable, this.now, effects));
  }

  /** The oldest store or release ends. */
  store(): void {
    const done = this.#pending.shift();
    if (done === undefined) return;
    const { session } = done;
    if (process.env.TRACE === session.clientId)
      console.log(this.now, "stored", JSON.stringify({ ...done, session: 0, bytes: 0 }));
    if (done.kind === "store") this.#records.set(session.clientId, done.bytes);
    else this.#idsOf(session.clientId).delete(done.packetId);
    this.#on(session, this.#lineOf(session), (one, effects) => {
      if (done.kind === "store") one.onStored(done.ticket, this.now, effects);
      else one.onReleased(done.packetId, effects);
    });
  }

  fetch(): void {
    const want = this.#fetches.splice(this.int(this.#fetches.length), 1)[0];
    if (want === undefined || this.#lines.get(want.session.clientId) !== want.line) return;
    this.counts.refetched++;
    const { message } = this.logs[want.partition]![want.offset]!;
    this.#on(want.session, want.line, (one, effects) =>
      one.onFetched(want.packetId, message, one.subscriptions.match(message.topic, this.now), this.now, effects),
    );
  }

  get isQuiet(): boolean {
    const lines = [...this.#lines.values()];
    const read = this.logs.every((log, at) => log.length === this.committed[at] && log.length === this.#tails[at]);
    const sent = lines.every(({ up, down, session }) => up.length + down.length + session!.outbound.inFlight === 0);
    const caughtUp = [...this.#sessions.values()].every(({ outbound }) =>
      [...outbound.cursors.values()].every((one) => one.attached),
    );
    return read && sent && caughtUp && this.#pending.length === 0 && this.clients.every((client) => client.isIdle);
  }

  /** What is under way, for a failure's text. */
  shown(): string {
    const logs = this.logs.map((log, at) => `${log.length}/${this.committed[at]}/${this.#tails[at]}`);
    const lines = [...this.#lines.values()].map(({ client, up, down, session }) => {
      const { inFlight, queued, cursors } = session!.outbound;
      const behind = [...cursors.values()]
        .filter((one) => !one.attached)
        .map(({ partition, next }) => `${partition}@${next}`);
      return `${client.id} up ${up.length} down ${down.length} flights ${inFlight} queued ${queued} behind ${behind} idle ${client.isIdle}`;
    });
    return [...logs, ...lines, `stores ${this.#pending.length} fetches ${this.#fetches.length}`].join("; ");
  }

  #deps() {
    const tailOf = ({ partition }: Cursor): number => this.#tails[partition]!;
    return { budget: { used: 0, max: 1e6 }, tailOf };
  }

  #restore(clientId: string): Session | null {
    const bytes = this.#records.get(clientId);
    if (bytes === undefined) return null;
    const past = { session: decodeSession(bytes), inboundIds: [...this.#idsOf(clientId)], will: null };
    const session = new Session(clientId, this.#deps(), this.now, past);
    this.#sessions.set(clientId, session);
    for (const { filter, options } of session.subscriptions.list()) this.#tree.set(filter, session, options);
    return session;
  }

  #idsOf(clientId: string): Set<number> {
    const known = this.#ids.get(clientId) ?? new Set();
    this.#ids.set(clientId, known);
    return known;
  }

  #lineOf(session: Session): Line | null {
    const line = this.#lines.get(session.clientId);
    return line?.session === session ? line : null;
  }

  #catchUp(session: Session, cursor: Cursor, count: number): void {
    const { partition } = cursor;
    for (let read = 0; read < count && !cursor.attached; read++) {
      if (session.outbound.cursors.attach(cursor, this.#tails[partition]!)) return;
      const entry = this.logs[partition]![cursor.next]!;
      let goesOn = true;
      this.#on(session, this.#lineOf(session), (one, effects) => {
        const both = one.subscriptions.match(entry.message.topic, entry.arrivedAt);
        goesOn = one.catchUp(entry.message, both, cursor, cursor.next, this.now, effects);
      });
      if (!goesOn) return;
    }
  }

  #on(session: Session, line: Line | null, call: (session: Session, effects: SessionEffect[]) => void): void {
    const effects: SessionEffect[] = [];
    call(session, effects);
    this.#run(session, line, effects);
  }

  #run(session: Session, line: Line | null, effects: readonly SessionEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case "send":
          if (line !== null && !line.closing) line.down.push(effect.packet);
          break;
        case "publish":
          if (line !== null && !line.closing)
            line.down.push(throughTheWire(effect.message, effect.terms, line.client.version));
          break;
        case "close":
          if (line !== null) line.closing = true;
          break;
        case "store": {
          const bytes = encodeSession(session.snapshot());
          this.#pending.push({ kind: "store", session, ticket: effect.ticket, bytes });
          break;
        }
        case "release":
          this.#pending.push({ kind: "release", session, packetId: effect.packetId });
          break;
        case "append": {
          const { ticket, message, packetId } = effect;
          const partition = partitionOf(message.topic);
          this.logs[partition]!.push({ message, arrivedAt: this.now, ticket, packetId, session });
          break;
        }
        case "fetch":
          for (const want of effect.wants) this.#fetches.push({ ...want, session, line: line! });
          break;
        case "subscribe":
          this.#tree.set(effect.filter, session, effect.options);
          for (let at = 0; at < partitions; at++) {
            const cursor = session.outbound.cursors.open("h", at, this.#tails[at]!)!;
            if (effect.isNew) session.outbound.cursors.attach(cursor, this.#tails[at]!);
          }
          break;
        case "unsubscribe":
          this.#tree.remove(effect.filter, session);
          break;
        case "await":
          this.#on(session, line, (one, more) => one.onReady(effect.ticket, more));
          break;
        case "more": // catchUp tries at every step
        case "retained":
          break;
        default:
          assert.fail(`nobody should ask for ${effect.kind}`);
      }
    }
  }
}

export function partitionOf(topic: string): number {
  return topic.charCodeAt(topic.length - 1) % partitions;
}

/** The packet as the client reads it from the bytes. */
function throughTheWire(message: Message, terms: Terms, version: Version): Packet {
  const batch = new FrameBatch();
  assert.ok(batch.publish(outgoing(message), version, terms));
  const bytes = Buffer.concat(batch.take());
  const body = bytes[1]! < 0x80 ? 2 : 3; // the model's packets are small
  return decodePacket(bytes[0]! >> 4, bytes[0]! & 15, bytes, body, bytes.length, version, "server");
}
