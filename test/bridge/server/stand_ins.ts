// What outlives the broker, in memory, and deliveries of what is in no log: for tests of the broker's own parts.
import type { Deliveries, Subscriber } from "../../../bridge/deliver/faces.ts";
import type { KnownSession, RetainedKeeper, SessionKeeper } from "../../../bridge/keep/faces.ts";
import { FilterTree } from "../../../bridge/match/filter_tree.ts";
import { Retained } from "../../../bridge/match/retained.ts";
import { decodeSession, encodeSession, type StoredSession, type StoredWill } from "../../../bridge/session/record.ts";
import type { Message } from "../../../bridge/session/message.ts";
import { messageOfRecord } from "../../../bridge/deliver/headers.ts";
import type { InRecord, OutRecord } from "../../../hub/mod.ts";

/** What outlives a bridge. */
export interface Kept {
  readonly records: Map<string, Uint8Array>;
  readonly wills: Map<string, StoredWill>;
  readonly ids: Map<string, Set<number>>;
  readonly retained: Retained<Message>;
}

export function openKept(): Kept {
  return { records: new Map(), wills: new Map(), ids: new Map(), retained: new Retained() };
}

export class SessionsInMemory implements SessionKeeper {
  readonly isShared: boolean = false;
  readonly #kept: Kept;
  readonly #append: (topic: string, record: OutRecord) => Promise<void>;
  readonly #settle: () => Promise<void>;

  constructor(
    kept: Kept,
    append: (topic: string, record: OutRecord) => Promise<void>,
    settle: () => Promise<void> = () => Promise.resolve(),
  ) {
    this.#kept = kept;
    this.#append = append;
    this.#settle = settle;
  }

  async open(): Promise<readonly KnownSession[]> {
    const { records, wills, ids } = this.#kept;
    return [...new Set([...records.keys(), ...wills.keys(), ...ids.keys()])].map((clientId) => ({
      clientId,
      past: {
        session: records.has(clientId) ? decodeSession(records.get(clientId)!) : null,
        inboundIds: [...(ids.get(clientId) ?? [])],
        will: wills.get(clientId) ?? null,
      },
    }));
  }

  claim(): Promise<never> {
    throw new Error("there is one hub");
  }

  /** At once: what tests hold up is the records of devices and their ids. */
  async store(clientId: string, session: StoredSession): Promise<void> {
    this.#kept.records.set(clientId, encodeSession(session));
  }

  keepWill(clientId: string, will: StoredWill | null): void {
    if (will === null) this.#kept.wills.delete(clientId);
    else this.#kept.wills.set(clientId, will);
  }

  async end(clientId: string): Promise<void> {
    const { records, wills, ids } = this.#kept;
    for (const map of [records, wills, ids]) map.delete(clientId);
  }

  async storeOnce(clientId: string, packetId: number, topic: string, record: OutRecord): Promise<void> {
    await this.#append(topic, record);
    const { ids } = this.#kept;
    ids.set(clientId, (ids.get(clientId) ?? new Set()).add(packetId));
  }

  async release(clientId: string, packetId: number): Promise<void> {
    await this.#settle();
    const ids = this.#kept.ids.get(clientId);
    ids?.delete(packetId);
    if (ids?.size === 0) this.#kept.ids.delete(clientId);
  }

  async close(): Promise<void> {}
}

export class RetainedInMemory implements RetainedKeeper {
  readonly #kept: Retained<Message>;

  constructor({ retained }: Kept) {
    this.#kept = retained;
  }

  async open(): Promise<void> {}

  get count(): number {
    return this.#kept.count;
  }

  async set(message: Message): Promise<0 | 0x97> {
    if (message.payload.length === 0) this.#kept.delete(message.topic);
    else if (!this.#kept.set(message.topic, message, message.payload.length, message.expiresAt)) return 0x97;
    return 0;
  }

  match(filter: string, now: number): readonly Message[] {
    return this.#kept.match(filter, now);
  }

  async close(): Promise<void> {}
}

/** There are no logs: what is committed is told to `committed`, and goes to who is there at that moment. */
export function openDeliveriesInMemory(): { deliveries: Deliveries; committed: (record: OutRecord) => void } {
  const tree = new FilterTree<Subscriber>();
  const publish = (message: Message, now: number): void => {
    for (const match of tree.match(message.topic).subscribers) {
      match.subscriber.session.deliverUnlogged(message, match, now, match.subscriber.sink);
      match.subscriber.perform();
    }
  };
  const deliveries: Deliveries = {
    tailOf: () => 0,
    get subscriptions() {
      return tree.size;
    },
    async subscribe(subscriber, { filter, options }) {
      tree.set(filter, subscriber, options);
    },
    unsubscribe: (subscriber, filter) => void tree.remove(filter, subscriber),
    restore(subscriber) {
      for (const { filter, options } of subscriber.session.subscriptions.list()) tree.set(filter, subscriber, options);
    },
    connected() {},
    disconnected() {},
    forget(subscriber) {
      for (const { filter } of subscriber.session.subscriptions.list()) tree.remove(filter, subscriber);
    },
    more() {},
    fetch() {},
    stored() {},
    publish,
    async close() {},
  };
  const committed = (record: OutRecord): void => {
    const place = { topic: "", partition: 0, offset: 0, timestamp: 0 };
    const message = messageOfRecord({ ...place, headers: [], ...record } as InRecord);
    if (message !== null) publish(message, Date.now());
  };
  return { deliveries, committed };
}
