// A session with the connection it has at the moment: carries out what the session asks for.
import type { Clock, Trace } from "../../hub/mod.ts";
import type { Deliveries, Subscriber } from "../deliver/faces.ts";
import type { RetainedKeeper, SessionKeeper } from "../keep/faces.ts";
import type { Options } from "../match/merged.ts";
import type { DeliverySink, SessionEffect, Sink } from "../session/effects.ts";
import { SparseMap } from "../session/sparse.ts";
import type { Committed } from "../session/inbound.ts";
import { type Message, outgoing } from "../session/message.ts";
import type { OutboundCounts } from "../session/flight.ts";
import type { Session } from "../session/session.ts";
import { plainDelivery, plainRetained } from "../wire/outgoing.ts";
import { Reason, type ReasonCode } from "../wire/packet.ts";
import type { Connection } from "./connection.ts";
import type { Author, Memo } from "./memo.ts";
import type { Publisher } from "./publisher.ts";

/** What all clients share. */
export interface ClientHost {
  readonly clock: Clock;
  readonly trace: Trace;
  readonly publisher: Publisher;
  readonly deliveries: Deliveries;
  readonly sessions: SessionKeeper;
  readonly retained: RetainedKeeper;
  /** Retained messages of the hub itself, below `$SYS`. */
  readonly figures: { match(filter: string): readonly Message[] };
  /** `Client.flush` is called once at the end of the turn. */
  schedule(client: Client): void;
  /** Its CONNACK left. */
  onOpened(client: Client): void;
  /** A connection that was opened ended, by either side; the session knows already. */
  onLost(client: Client, connection: Connection, why: string): void;
  /** The session is over. */
  onEnded(client: Client): void;
}

const encoder = new TextEncoder();
const counted: readonly (readonly [keyof OutboundCounts, string])[] = [
  ["skipped", "mqtt_deliveries_skipped_total"],
  ["dropped", "mqtt_deliveries_dropped_total"],
  ["expired", "mqtt_deliveries_expired_total"],
  ["tooLarge", "mqtt_deliveries_too_large_total"],
  ["refused", "mqtt_deliveries_refused_total"],
  ["lost", "mqtt_deliveries_lost_total"],
];

export class Client implements Subscriber, Author, DeliverySink {
  readonly session: Session;
  readonly clientId: string;
  readonly clientBytes: Uint8Array;
  readonly memos = new SparseMap<string, Memo>();
  lastMemo: Memo | null = null;
  principal = "";
  inFlight = 0;
  connection: Connection | null = null;
  readonly #host: ClientHost;
  /** What is to be carried out, in order; packets are not among it, they go to the connection at once. */
  #todo: SessionEffect[] = [];
  #isPerforming = false;
  #isOpening = false;
  #isOpen = false;
  #isScheduled = false;
  #committed: Committed[] = [];
  #hasSettled = false;
  /** Counts that are in the metrics already, as `counted` lists them. */
  #reported: number[] = [];
  /** Subscriptions that are not in force yet. */
  #joining: Promise<void>[] = [];
  /** Retained messages that found no room yet. */
  #retained: { readonly message: Message; readonly options: Options }[] = [];

  constructor(session: Session, host: ClientHost) {
    this.session = session;
    this.clientId = session.clientId;
    this.clientBytes = encoder.encode(session.clientId);
    this.#host = host;
  }

  get sink(): DeliverySink {
    return this;
  }

  /** Milliseconds since the epoch, as sessions count. */
  get now(): number {
    return this.#host.clock.wall();
  }

  push(effect: SessionEffect): void {
    switch (effect.kind) {
      case "send":
        if (effect.packet.kind === "connack") this.#isOpening = true;
        this.connection?.send(effect.packet);
        return;
      case "publish":
        this.connection?.publish(outgoing(effect.message), effect.terms);
        return;
      default:
        this.#todo.push(effect);
    }
  }

  plain(message: Message, retain: boolean): void {
    this.connection?.publish(outgoing(message), retain ? plainRetained : plainDelivery);
  }

  /** Calls the session and carries out what it asks for. */
  act(call: (session: Session, now: number, effects: Sink<SessionEffect>) => void): void {
    call(this.session, this.now, this);
    this.perform();
  }

  perform(): void {
    if (this.#isPerforming || (this.#todo.length === 0 && !this.#isOpening)) return;
    this.#isPerforming = true;
    try {
      // what is carried out may ask for more
      for (let at = 0; this.#isOpening || at < this.#todo.length; ) {
        if (!this.#isOpening) this.#carryOut(this.#todo[at++]!);
        else {
          this.#isOpening = false;
          this.#isOpen = true;
          this.#host.onOpened(this);
        }
      }
    } finally {
      this.#todo = [];
      this.#isPerforming = false;
    }
  }

  committed(ticket: number, code: ReasonCode): void {
    if (ticket === 0) return;
    this.#committed.push({ ticket, code });
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#host.schedule(this);
  }

  /** A message of the fast lane was committed. */
  settled(): void {
    this.#hasSettled = true;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#host.schedule(this);
  }

  puback(packetId: number): void {
    this.connection?.puback(packetId);
  }

  /** Tells the session what was committed in this turn: its acknowledgements leave in one write. */
  flush(): void {
    this.#isScheduled = false;
    if (this.#committed.length > 0) {
      const committed = this.#committed;
      this.#committed = [];
      this.session.onCommitted(committed, this.now, this);
      this.perform();
    }
    if (this.#hasSettled) {
      this.#hasSettled = false;
      this.session.settle(this.now, this);
    }
    const { connection } = this;
    if (connection === null) return;
    connection.flush();
    if (connection.isPaused) connection.resume();
  }

  resume(): void {
    this.connection?.resume();
  }

  /** Adds to the hub's metrics what became of deliveries since the last call. */
  report(): void {
    const { counts } = this.session.outbound;
    for (const [at, [kind, name]] of counted.entries()) {
      const more = counts[kind] - (this.#reported[at] ?? 0);
      if (more === 0) continue;
      this.#reported[at] = counts[kind];
      this.#host.trace.count(name, more);
    }
  }

  #carryOut(effect: SessionEffect): void {
    const { publisher, deliveries, sessions } = this.#host;
    switch (effect.kind) {
      case "append":
        return publisher.append(this, effect.message, effect.ticket, effect.packetId);
      case "release":
        return this.#release(effect.packetId);
      case "store":
        return this.#settle(sessions.store(this.clientId, this.session.snapshot()), (session, now) => {
          session.onStored(effect.ticket, now, this);
        });
      case "subscribe":
        this.#joining.push(deliveries.subscribe(this, effect));
        return;
      case "await":
        this.#settle(Promise.all(this.#joining), (session) => session.onReady(effect.ticket, this));
        this.#joining = [];
        return;
      case "unsubscribe":
        return deliveries.unsubscribe(this, effect.filter);
      case "retained":
        return this.#sendRetained(effect.filter, effect.options);
      case "fetch":
        return deliveries.fetch(this, effect.wants);
      case "more":
        if (this.#sendMoreRetained()) deliveries.more(this);
        return;
      default:
        return this.#carryOutLife(effect);
    }
  }

  #release(packetId: number): void {
    const released = this.#host.sessions.release(this.clientId, packetId).catch((error: unknown) => {
      this.session.inbound.onReleaseFailed(packetId);
      throw error;
    });
    this.#settle(released, (session) => session.onReleased(packetId, this));
  }

  #carryOutLife(effect: SessionEffect): void {
    const { publisher, sessions } = this.#host;
    switch (effect.kind) {
      case "close":
        return this.#close(effect.by === "client" ? "goodbye" : endOf(effect.code));
      case "keepWill":
        return sessions.keepWill(this.clientId, { will: effect.will, dueAt: effect.dueAt });
      case "dropWill":
        return sessions.keepWill(this.clientId, null);
      case "publishWill":
        return publisher.append(this, effect.message, 0, 0);
      case "ended":
        return this.#host.onEnded(this);
      default:
        throw new Error(`${effect.kind} is not carried out here`);
    }
  }

  #close(why: string): void {
    const { connection } = this;
    if (connection === null) return;
    this.detach(why);
    connection.end();
  }

  /** Another hub goes on with the session: its client is told, a will is published, and nothing is stored here. */
  leave(): void {
    const effects: SessionEffect[] = [];
    this.session.takeOver(false, this.now, effects);
    for (const effect of effects) {
      if (effect.kind === "send" || effect.kind === "close" || effect.kind === "publishWill") this.push(effect);
    }
    this.perform();
  }

  /** The connection is not this session's any more. @param why for people, and for `mqtt.presence`. */
  detach(why: string): void {
    const { connection } = this;
    if (connection === null) return;
    this.report();
    connection.client = null;
    this.connection = null;
    this.#retained = [];
    this.memos.clear();
    this.lastMemo = null;
    this.#host.publisher.forget(this);
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#host.onLost(this, connection, why);
  }

  /** What the hub keeps for the session failed: it cannot keep its word, and its client comes back. */
  #settle(kept: Promise<unknown>, then: (session: Session, now: number) => void): void {
    kept.then(
      () => {
        then(this.session, this.now);
        this.perform();
      },
      (error: Error) => {
        this.#host.trace.count("mqtt_session_store_failed_total");
        const fields = { client: this.clientId, reason: error.message };
        this.#host.trace.event("warn", "mqtt_session_not_stored", fields);
        this.act((session, now) => session.onStoreFailed(now, this));
      },
    );
  }

  #sendRetained(filter: string, options: Options): void {
    const found = this.#host.retained.match(filter, this.now);
    const figures = this.#host.figures.match(filter);
    if (!(found instanceof Promise)) return this.#takeRetained([...found, ...figures], options);
    const { connection } = this;
    found.then(
      (messages) => {
        if (this.connection !== connection) return;
        this.#takeRetained([...messages, ...figures], options);
        this.perform();
      },
      (error: Error) => {
        const fields = { client: this.clientId, reason: error.message };
        this.#host.trace.event("warn", "mqtt_retained_not_sent", fields);
      },
    );
  }

  #takeRetained(messages: readonly Message[], options: Options): void {
    for (const message of messages) this.#retained.push({ message, options });
    this.#sendMoreRetained();
  }

  /** True when none is left. */
  #sendMoreRetained(): boolean {
    let sent = 0;
    for (const { message, options } of this.#retained) {
      if (!this.session.deliverRetained(message, options, this.now, this)) break;
      sent++;
    }
    this.#retained.splice(0, sent);
    return this.#retained.length === 0;
  }
}

const names = new Map<number, string>(Object.entries(Reason).map(([name, code]) => [code, name]));

/** Why the hub ended a connection, as one word. */
function endOf(code: ReasonCode): string {
  return names.get(code) ?? `0x${code.toString(16)}`;
}
