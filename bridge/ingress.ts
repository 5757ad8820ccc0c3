// PUBLISH -> record -> producer, for all connections: what is in flight is bounded, and sockets wait for room.
import type { Access } from "./auth.ts";
import { type Clock, type HubClient, limits, type Producer, type Trace } from "../hub/mod.ts";
import { Flight, Intake, type Peer, type Shared } from "./intake.ts";
import { CollisionWatch, type TopicMap } from "./topic_map.ts";

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

const flightsPooledMax = 4_096;
/** Warnings a second; the rest is only counted. */
const warningsMax = 20;

/** Shared by all connections: producers, in-flight bytes, who waits for room. */
export class Ingress implements Shared {
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
    flight.clear();
    if (this.#pool.length < flightsPooledMax) this.#pool.push(flight);
  }

  /** One line for the operator, at most `warningsMax` a second. */
  warn(event: string, fields: Readonly<Record<string, string | number>>): void {
    if (this.#warnings <= 0) return;
    this.#warnings--;
    this.options.trace.event("warn", event, fields);
  }

  /** Called every second, or more often with a short ack timeout. */
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
