// A hub in a few lines for tests of the bridge: keeps what was sent, answers when and as the test says.
import type { Delivered, HubClient, OutRecord, Producer, ProducerOptions } from "../../hub/client/faces.ts";
import type { Clock } from "../../hub/io/ports.ts";
import type { FactStore } from "../../hub/io/registry.ts";
import type { OnceStore } from "../../bridge/mod.ts";

export interface Sent {
  readonly topic: string;
  readonly key: string;
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly acks: number;
  readonly timestamp: number;
}

export interface StandInHub {
  readonly client: HubClient;
  readonly store: OnceStore;
  readonly sent: Sent[];
  /** Facts that are durable. */
  readonly facts: Map<string, Uint8Array>;
  /** true: answers wait for `release`. */
  hold: boolean;
  /** Answers every record with this error. */
  failure: Error | null;
  /** Nothing is remembered of records (for many of them). */
  forget: boolean;
  count: number;
  /** Answers what was held, oldest first; all when `count` is left out. */
  release(count?: number): void;
  /** Answers the newest of what was held. */
  releaseNewest(): void;
  readonly held: number;
  /** Resolves when `count` records were sent in all. */
  arrived(count: number): Promise<void>;
}

const text = (bytes: Uint8Array | null | undefined): string => (bytes ? new TextDecoder().decode(bytes) : "");

export function openStandInHub(facts = new Map<string, Uint8Array>()): StandInHub {
  const held: (() => void)[] = [];
  let waiting: { count: number; wake: () => void }[] = [];
  let scheduled: (() => void)[] = [];
  const later = (call: () => void): void => {
    if (hub.hold) {
      held.push(call);
      return;
    }
    scheduled.push(call);
    if (scheduled.length > 1) return;
    setImmediate(() => {
      const calls = scheduled;
      scheduled = [];
      for (const each of calls) each();
    });
  };
  const take = (topic: string, record: OutRecord, acks: number): void => {
    hub.count++;
    if (!hub.forget) {
      const headers = Object.fromEntries((record.headers ?? []).map((header) => [header.key, text(header.value)]));
      const { timestamp = 0 } = record;
      hub.sent.push({ topic, key: text(record.key), value: text(record.value), headers, acks, timestamp });
    }
    if (waiting.length === 0) return;
    const ready = waiting.filter((wait) => wait.count <= hub.count);
    waiting = waiting.filter((wait) => wait.count > hub.count);
    for (const wait of ready) wait.wake();
  };
  const producer = ({ acks = -1 }: ProducerOptions = {}): Producer => ({
    send(topic: string, record: OutRecord, delivered?: Delivered) {
      take(topic, record, acks);
      const { failure } = hub;
      const offset = hub.count;
      later(() => delivered?.(failure, failure === null ? offset : -1, 0));
    },
    publish: () => Promise.reject(new Error("not used here")),
    bufferedBytes: () => 0,
    whenDrained: () => Promise.resolve(),
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  });
  const factStore: FactStore = {
    get: (key) => facts.get(key),
    entries: (prefix) => [...facts].filter(([key]) => key.startsWith(prefix)),
    put: (changes) =>
      new Promise((resolve, reject) => {
        const { failure } = hub;
        later(() => {
          if (failure !== null) return reject(failure);
          for (const [key, value] of changes) {
            if (value === null) facts.delete(key);
            else facts.set(key, value);
          }
          resolve();
        });
      }),
  };
  const store: OnceStore = {
    facts: factStore,
    async storeOnce(topic, record, changes) {
      take(topic, record, -1);
      const offset = hub.count;
      await factStore.put(changes);
      return { partition: 0, offset };
    },
  };
  const never = (): never => {
    throw new Error("not used here");
  };
  const hub: StandInHub = {
    client: { producer, consumer: never, admin: never, close: () => Promise.resolve() },
    store,
    sent: [],
    facts,
    hold: false,
    failure: null,
    forget: false,
    count: 0,
    release(count = held.length) {
      for (const call of held.splice(0, count)) call();
    },
    releaseNewest: () => held.pop()?.(),
    get held() {
      return held.length;
    },
    arrived: (count) => (count <= hub.count ? Promise.resolve() : new Promise((wake) => waiting.push({ count, wake }))),
  };
  return hub;
}

/** The real clock in its smallest form. */
export const testClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  wallTrusted: () => true,
  after(delayMs, call) {
    const timer = setTimeout(call, delayMs);
    timer.unref?.();
    return { cancel: () => clearTimeout(timer) };
  },
  soon: (call) => void setImmediate(call),
};
