// What a lone hub keeps of its MQTT clients: sessions, wills and QoS 2 ids, each client's in one partition.
import {
  type Clock,
  type HubClient,
  HubError,
  type InRecord,
  mqttSessionsTopic,
  type OutRecord,
  type Trace,
} from "../../hub/mod.ts";
import type { StoredSession, StoredWill } from "../session/record.ts";
import { Clients } from "./clients.ts";
import type { KeepingHub, KnownSession, SessionKeeper } from "./faces.ts";
import { KeptTopic } from "./kept_topic.ts";
import { type Owned, SessionWrites } from "./session_writes.ts";

export interface KeeperOptions {
  readonly hub: KeepingHub;
  /** Of the hub in this process. */
  readonly client: HubClient;
  readonly clock: Clock;
  readonly trace: Trace;
}

/** Nobody else writes, so that what is committed counts, and what is kept is read once. */
export class LoneSessionKeeper implements SessionKeeper {
  readonly isShared = false;
  readonly #trace: Trace;
  readonly #topic: KeptTopic;
  readonly #writes: SessionWrites;
  readonly #owned = new Map<string, Owned>();
  /** What the topic says, until `open` is done with it. */
  #clients = new Clients();

  constructor({ hub, client, clock, trace }: KeeperOptions) {
    this.#trace = trace;
    const apply = (record: InRecord): void => void applyTo(this.#clients, record, trace);
    this.#topic = new KeptTopic({ hub, client, topic: mqttSessionsTopic, clock, trace, isShared: false, apply });
    this.#writes = new SessionWrites({ hub, topic: this.#topic, trace, confirm: () => Promise.resolve() });
  }

  async open(): Promise<readonly KnownSession[]> {
    await this.#topic.open();
    const known: KnownSession[] = [];
    for (const [clientId, state] of this.#clients.all()) {
      this.#owned.set(clientId, this.#writes.own(clientId, 0, state));
      const found = knownOf(this.#clients, clientId, this.#trace);
      if (found !== null) known.push(found);
    }
    this.#clients = new Clients();
    return known;
  }

  claim(): ReturnType<SessionKeeper["claim"]> {
    return Promise.resolve({ past: null, epoch: 0 });
  }

  store(clientId: string, session: StoredSession): Promise<void> {
    return this.#writes.store(this.#of(clientId), session);
  }

  keepWill(clientId: string, will: StoredWill | null): void {
    const owned = will === null ? this.#owned.get(clientId) : this.#of(clientId);
    if (owned === undefined) return;
    this.#writes.keepWill(owned, will);
    this.#prune(owned);
  }

  async end(clientId: string): Promise<void> {
    const owned = this.#owned.get(clientId);
    if (owned === undefined) return;
    try {
      await this.#writes.end(owned);
    } finally {
      this.#prune(owned);
    }
  }

  storeOnce(clientId: string, packetId: number, topic: string, record: OutRecord): Promise<void> {
    return this.#writes.storeOnce(this.#of(clientId), packetId, topic, record);
  }

  async release(clientId: string, packetId: number): Promise<void> {
    const owned = this.#owned.get(clientId);
    if (owned === undefined) return;
    await this.#writes.release(owned, packetId);
    this.#prune(owned);
  }

  close(): Promise<void> {
    return this.#topic.close();
  }

  #of(clientId: string): Owned {
    let owned = this.#owned.get(clientId);
    if (owned === undefined) {
      owned = this.#writes.own(clientId, 0, undefined);
      this.#owned.set(clientId, owned);
    }
    return owned;
  }

  #prune(owned: Owned): void {
    if (this.#writes.isOver(owned)) this.#owned.delete(owned.clientId);
  }
}

/** A record that cannot be read is told, and stays where it is. */
export function applyTo(
  clients: Clients,
  record: InRecord,
  trace: Trace,
  about?: (clientId: string) => void,
): ReturnType<Clients["apply"]> {
  try {
    return clients.apply(record, about);
  } catch (error) {
    unreadable(trace, record.offset, error);
    return null;
  }
}

/** What is kept of a client, as far as it can be read; null: nothing. */
export function knownOf(clients: Clients, clientId: string, trace: Trace): KnownSession | null {
  try {
    const past = clients.pastOf(clientId);
    return past === null ? null : { clientId, past };
  } catch (error) {
    unreadable(trace, clientId, error);
    return null;
  }
}

function unreadable(trace: Trace, where: string | number, error: unknown): void {
  const why = error instanceof HubError ? error.message : String(error);
  trace.event("error", "mqtt_kept_unreadable", { topic: mqttSessionsTopic, where, why });
}
