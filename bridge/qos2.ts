// QoS 2: a PUBLISH is stored together with its packet id, once, until PUBREL; across reconnect and restart.
import { type FactStore, limits, type OutRecord } from "../hub/mod.ts";

/** What the hub gives for QoS 2: a record and facts in one journal group. */
export interface OnceStore {
  storeOnce(
    topic: string,
    record: OutRecord,
    facts: readonly (readonly [string, Uint8Array | null])[],
  ): Promise<{ readonly partition: number; readonly offset: number }>;
  readonly facts: FactStore;
}

const prefix = "mqtt/qos2/";
/** The fact's value: its version. That the key is there says everything. */
const present = Uint8Array.of(1);
const kept: Promise<void> = Promise.resolve();

interface Session {
  /** Packet id -> resolves when its record is committed. Never rejects: an id whose store failed is removed. */
  readonly ids: Map<number, Promise<void>>;
  /** Ids that are (becoming) facts. */
  readonly facts: Set<number>;
  /** PUBRECs leave in the order of their PUBLISHes (MQTT 4.6). */
  last: Promise<void>;
  connections: number;
}

/** Open packet ids per client id. */
export class Qos2 {
  readonly #store: OnceStore;
  readonly #sessions = new Map<string, Session>();
  #size = 0;

  constructor(store: OnceStore) {
    this.#store = store;
    for (const [key] of store.facts.entries(prefix)) {
      const at = key.lastIndexOf("/");
      const id = Number(key.slice(at + 1));
      if (at <= prefix.length || !(id >= 1 && id <= 65_535)) continue;
      const session = this.#session(decodeURIComponent(key.slice(prefix.length, at)));
      session.ids.set(id, kept);
      session.facts.add(id);
      this.#size++;
    }
  }

  /** Packet ids not yet released, all clients together. */
  get size(): number {
    return this.#size;
  }

  connected(clientId: string): void {
    this.#session(clientId).connections++;
  }

  disconnected(clientId: string): void {
    const session = this.#sessions.get(clientId);
    if (session === undefined) return;
    session.connections--;
    this.#prune(clientId, session);
  }

  /** Whether an id waits for its PUBREL (its record may still be on the way to the disk). */
  has(clientId: string, id: number): boolean {
    return this.#sessions.get(clientId)?.ids.has(id) ?? false;
  }

  holdsState(clientId: string): boolean {
    return (this.#sessions.get(clientId)?.ids.size ?? 0) > 0;
  }

  /** Resolves when the record of the id is committed and all earlier ones of the client are; rejects if unknown. */
  async committed(clientId: string, id: number): Promise<void> {
    const pending = this.#sessions.get(clientId)?.ids.get(id);
    if (pending === undefined) throw new Error(`packet id ${id} is not stored`);
    await pending;
  }

  /**
   * Whether one more id of this client is within the bounds. When all sessions together are at theirs, the ids of a
   * session that is away are forgotten (`dropped` is told whose).
   */
  hasRoom(clientId: string, dropped: (clientId: string) => void): boolean {
    if ((this.#sessions.get(clientId)?.ids.size ?? 0) >= limits.mqttQos2PerClientMax) return false;
    if (this.#size < limits.mqttQos2IdsMax) return true;
    for (const [other, session] of this.#sessions) {
      if (session.connections > 0 || session.ids.size === 0) continue;
      // in memory at once; a fact that stays behind after a failed write is found again at the next start
      this.clear(other).catch(() => {});
      dropped(other);
      return true;
    }
    return false;
  }

  /** A message that is not stored: the id is remembered in memory alone. */
  note(clientId: string, id: number): void {
    const session = this.#session(clientId);
    if (!session.ids.has(id)) this.#size++;
    session.ids.set(id, session.last);
  }

  /**
   * Stores the record with its packet id. The append begins before this returns.
   * @param persistent whether the session outlives the connection: only then the id must.
   * @param failed called instead of resolving when the hub does not take it; the id is forgotten then.
   */
  store(
    clientId: string,
    id: number,
    persistent: boolean,
    topic: string,
    record: OutRecord,
    settled: (error: Error | null) => void,
  ): void {
    const session = this.#session(clientId);
    const facts: [string, Uint8Array][] = persistent ? [[keyOf(clientId, id), present]] : [];
    if (persistent) session.facts.add(id);
    this.#size++;
    const stored = this.#store.storeOnce(topic, record, facts);
    const before = session.last;
    const pending = new Promise<void>((resolve) => {
      stored.then(
        () => {
          settled(null);
          void before.then(resolve);
        },
        (error: unknown) => {
          if (session.ids.get(id) === pending) this.#remove(clientId, session, id);
          settled(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
    session.ids.set(id, pending);
    // a failed store must not hold back the PUBRECs behind it
    session.last = stored.then(
      () => before,
      () => before,
    );
  }

  /** PUBREL: forgets the id. Resolves when that is durable: only then may the client use the id anew. */
  async release(clientId: string, id: number): Promise<void> {
    const session = this.#sessions.get(clientId);
    if (session === undefined || !session.ids.has(id)) return;
    await session.ids.get(id);
    const isFact = session.facts.has(id);
    if (isFact) await this.#store.facts.put([[keyOf(clientId, id), null]]);
    this.#remove(clientId, session, id);
  }

  /** The session ended (clean session): forgets all its ids; resolves when that is durable. */
  async clear(clientId: string): Promise<void> {
    const session = this.#sessions.get(clientId);
    if (session === undefined || session.ids.size === 0) return;
    const facts = [...session.facts].map((id) => [keyOf(clientId, id), null] as const);
    this.#size -= session.ids.size;
    session.ids.clear();
    session.facts.clear();
    session.last = kept;
    this.#prune(clientId, session);
    if (facts.length > 0) await this.#store.facts.put(facts);
  }

  #session(clientId: string): Session {
    let session = this.#sessions.get(clientId);
    if (session === undefined) {
      session = { ids: new Map(), facts: new Set(), last: kept, connections: 0 };
      this.#sessions.set(clientId, session);
    }
    return session;
  }

  #remove(clientId: string, session: Session, id: number): void {
    session.facts.delete(id);
    if (session.ids.delete(id)) this.#size--;
    this.#prune(clientId, session);
  }

  #prune(clientId: string, session: Session): void {
    if (session.connections <= 0 && session.ids.size === 0 && this.#sessions.get(clientId) === session) {
      this.#sessions.delete(clientId);
    }
  }
}

function keyOf(clientId: string, id: number): string {
  return `${prefix}${encodeURIComponent(clientId)}/${id}`;
}
