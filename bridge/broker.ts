// The broker: all sessions of a hub, the connections they have, and what is due for them.
import type { Duplex } from "node:stream";
import type { Access } from "./auth.ts";
import { type Clock, type HubClient, limits, type Trace } from "../hub/mod.ts";
import type { Deliveries } from "./deliver/faces.ts";
import type { KnownSession, RetainedKeeper, SessionKeeper, SessionKeeperEvents } from "./keep/faces.ts";
import type { Keepers } from "./rooms.ts";
import { Client, type ClientHost } from "./server/client.ts";
import { Deadlines } from "./server/deadlines.ts";
import type { Elsewhere } from "./server/detour.ts";
import { Entrance } from "./server/entrance.ts";
import { Figures, noCounts } from "./server/figures.ts";
import { Front } from "./server/front.ts";
import type { Connection } from "./server/connection.ts";
import { Presence } from "./server/presence.ts";
import { Publisher } from "./server/publisher.ts";
import type { Past, StoredSession } from "./session/record.ts";
import { Session, type SessionDeps } from "./session/session.ts";
import type { TopicMap } from "./topic_map.ts";

export interface BrokerOptions {
  readonly client: HubClient;
  readonly map: TopicMap;
  readonly access: Access;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly ackTimeoutMs: number;
  readonly deliveries: Deliveries;
  readonly keepers: (events: SessionKeeperEvents) => Keepers;
  /** Comings and goings become records of `mqtt.presence`. */
  readonly presence?: boolean;
  /** Other hubs that have room for clients; null: none is known. Never, when left out. */
  readonly elsewhere?: () => Elsewhere | null;
  /** Defaults: limits.ts. */
  readonly connectionsMax?: number;
  readonly connectMsMax?: number;
  readonly inFlightBytesMax?: number;
  readonly inFlightPerConnectionMax?: number;
}

export interface BrokerStats {
  readonly connections: number;
  readonly subscriptions: number;
  /** Sessions that are kept, with and without a connection. */
  readonly sessions: number;
  /** Payload bytes (and a fixed amount per message) accepted and not yet committed. */
  readonly inFlightBytes: number;
  /** Connections that are not read because the hub or the connection has too much in flight. */
  readonly paused: number;
  /** QoS 2 packet ids that wait for their PUBREL. */
  readonly qos2Open: number;
}

const figuresMs = 10_000;

export class Broker {
  readonly #options: BrokerOptions;
  readonly #clients = new Map<string, Client>();
  readonly #deadlines = new Deadlines<Client>();
  readonly #deps: SessionDeps;
  readonly #host: ClientHost;
  readonly #sessions: SessionKeeper;
  readonly #retained: RetainedKeeper;
  readonly #publisher: Publisher;
  readonly #front: Front;
  readonly #presence: Presence | null;
  readonly #figures = new Figures("Partidor");
  readonly #counts = noCounts();
  readonly #startedAt: number;
  #figuresAt = Number.NEGATIVE_INFINITY;
  #connected = 0;
  #tick: { cancel(): void } = { cancel() {} };

  constructor(options: BrokerOptions) {
    this.#options = options;
    const { clock, trace, deliveries } = options;
    this.#startedAt = clock.now();
    this.#deps = { budget: { used: 0, max: limits.mqttQueuedBytesMax }, tailOf: deliveries.tailOf };
    const { sessions, retained } = options.keepers({
      onTaken: (clientId) => this.#onTaken(clientId),
      isKnown: (clientId) => this.#clients.has(clientId),
      onInherited: (known) => this.#restore(known),
    });
    this.#sessions = sessions;
    this.#retained = retained;
    const deliver = (message: Parameters<Deliveries["publish"]>[0]): void => {
      deliveries.publish(message, clock.wall());
    };
    const stored = (topic: string): void => deliveries.stored(topic);
    this.#publisher = new Publisher({ ...options, sessions, retained, deliver, stored });
    this.#presence = options.presence === true ? new Presence(this.#publisher.producer(1), clock, trace) : null;
    this.#host = {
      ...{ clock, trace, deliveries, sessions, retained },
      publisher: this.#publisher,
      figures: this.#figures,
      schedule: (client) => this.#front.scheduleCommitted(client),
      onOpened: (client) => this.#onOpened(client),
      onLost: (client, connection, why) => this.#onLost(client, connection, why),
      onEnded: (client) => this.#onEnded(client),
    };
    const entrance = new Entrance({ ...options, sessions, roster: this.#roster() });
    this.#front = new Front({
      ...options,
      counts: this.#counts,
      publisher: this.#publisher,
      onConnect: (connection, packet) => entrance.connect(connection, packet),
      connectionsMax: options.connectionsMax ?? limits.mqttConnectionsMax,
      connectMsMax: options.connectMsMax ?? limits.mqttConnectMsMax,
    });
  }

  /** Reads what was kept; afterwards connections may come. */
  async start(): Promise<void> {
    await this.#retained.open();
    this.#restore(await this.#sessions.open());
    this.#updateFigures();
    this.#schedule();
  }

  /** Serves MQTT on a byte stream until it closes. */
  accept(stream: Duplex, remoteAddress: string): void {
    this.#front.accept(stream, remoteAddress);
  }

  /** There may be one more. */
  get hasRoom(): boolean {
    return this.#front.size < (this.#options.connectionsMax ?? limits.mqttConnectionsMax);
  }

  stats(): BrokerStats {
    let qos2Open = 0;
    for (const { session } of this.#clients.values()) qos2Open += session.inbound.openIds.length;
    return {
      connections: this.#front.size,
      subscriptions: this.#options.deliveries.subscriptions,
      sessions: this.#clients.size,
      inFlightBytes: this.#publisher.inFlightBytes,
      paused: this.#publisher.waiting,
      qos2Open,
    };
  }

  /** Reads nothing more; connections stay open for their acknowledgements. */
  quiesce(): void {
    this.#front.quiesce();
  }

  /** Resolves when nothing is in flight. */
  whenIdle(): Promise<void> {
    return this.#publisher.whenIdle();
  }

  /** Ends all connections, keeps what has to be kept. */
  async close(): Promise<void> {
    this.#tick.cancel();
    await this.#front.close();
    await this.#options.deliveries.close();
    await this.#publisher.whenIdle();
    await this.#publisher.close();
    await this.#sessions.close();
    await this.#retained.close();
  }

  #roster(): ConstructorParameters<typeof Entrance>[0]["roster"] {
    const clients = this.#clients;
    return {
      get: (clientId) => clients.get(clientId),
      get size() {
        return clients.size;
      },
      make: (clientId, past, epoch) => this.#make(clientId, past, epoch),
    };
  }

  #make(clientId: string, past: Past | null, epoch: number): Client {
    const session = new Session(clientId, this.#deps, this.#options.clock.wall(), past);
    session.epoch = Math.max(session.epoch, epoch);
    const client = new Client(session, this.#host);
    this.#clients.set(clientId, client);
    if (past !== null) {
      this.#options.deliveries.restore(client);
      this.#putDeadline(client);
    }
    return client;
  }

  #restore(known: readonly KnownSession[]): void {
    for (const { clientId, past } of known) {
      if (!this.#clients.has(clientId)) this.#make(clientId, past, past.session?.epoch ?? 0);
    }
  }

  /** Another hub serves the client now: it is told, and gets the session as it is. */
  #onTaken(clientId: string): StoredSession | null {
    const client = this.#clients.get(clientId);
    if (client === undefined) return null;
    client.leave();
    this.#forget(client);
    return client.session.isDurable ? client.session.snapshot() : null;
  }

  #onOpened(client: Client): void {
    this.#connected++;
    this.#tell("connected", client, client.connection);
    this.#options.deliveries.connected(client);
    this.#putDeadline(client);
    client.resume(); // it was not read until CONNACK left
  }

  #onLost(client: Client, connection: Connection, why: string): void {
    this.#connected--;
    this.#tell("disconnected", client, connection, why);
    this.#options.deliveries.disconnected(client);
    this.#deadlines.delete(client);
    this.#putDeadline(client);
  }

  #tell(event: "connected" | "disconnected", client: Client, connection: Connection | null, why?: string): void {
    if (connection === null || this.#presence === null) return;
    const protocol = connection.version === 5 ? "5" : "3.1.1";
    const rest = { client: client.clientId, address: connection.remoteAddress, protocol } as const;
    this.#presence.tell({ event, ...rest, ...(why === undefined ? {} : { why }) });
  }

  #onEnded(client: Client): void {
    const { trace } = this.#options;
    this.#forget(client);
    this.#sessions.end(client.clientId).catch((error: Error) => {
      trace.event("warn", "mqtt_session_not_removed", { client: client.clientId, reason: error.message });
    });
  }

  #forget(client: Client): void {
    this.#deadlines.delete(client);
    this.#options.deliveries.forget(client);
    if (this.#clients.get(client.clientId) === client) this.#clients.delete(client.clientId);
  }

  #putDeadline(client: Client): void {
    const { deadline } = client.session;
    if (deadline !== null && !client.session.isOver) this.#deadlines.put(client, deadline);
  }

  #schedule(): void {
    const { clock, ackTimeoutMs } = this.#options;
    const delayMs = Math.min(1_000, Math.max(20, ackTimeoutMs / 8));
    this.#tick = clock.after(delayMs, () => {
      this.#publisher.tick();
      this.#front.tick();
      for (const client of this.#deadlines.due(clock.wall())) {
        client.act((session, now) => session.tick(now, client));
        this.#putDeadline(client);
      }
      this.#updateFigures();
      this.#schedule();
    });
  }

  #updateFigures(): void {
    const { clock, deliveries } = this.#options;
    if (clock.now() - this.#figuresAt < figuresMs) return;
    this.#figuresAt = clock.now();
    const changed = this.#figures.update(this.#counts, {
      uptimeSeconds: Math.round((clock.now() - this.#startedAt) / 1_000),
      connected: this.#connected,
      sessions: this.#clients.size,
      subscriptions: deliveries.subscriptions,
      retained: this.#retained.count,
    });
    for (const message of changed) deliveries.publish(message, clock.wall());
  }
}
