// A hub in a few lines for tests of the bridge: keeps what was sent, answers when and as the test says.
import type { Delivered, Header, HubClient, OutRecord, Producer, ProducerOptions } from "../../hub/client/faces.ts";
import type { Clock } from "../../hub/io/ports.ts";
import { type Kept, openDeliveriesInMemory, openKept, RetainedInMemory, SessionsInMemory } from "./server/stand_ins.ts";
import type { KeepingHub, Rooms } from "../../bridge/mod.ts";

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
  /** What a bridge has behind its broker: records that were committed are delivered, kept things are in `kept`. */
  readonly rooms: () => Rooms;
  readonly face: KeepingHub;
  readonly sent: Sent[];
  /** What outlives a bridge. */
  readonly kept: Kept;
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

export function openStandInHub(kept = openKept()): StandInHub {
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
  const listeners = new Set<(record: OutRecord) => void>();
  const send = (topic: string, record: OutRecord, acks: number, delivered: Delivered): void => {
    const value = record.value === null ? null : new Uint8Array(record.value); // a read buffer is used again
    const kept = { ...record, value };
    take(topic, kept, acks);
    const { failure } = hub;
    const offset = hub.count;
    later(() => {
      if (failure === null) for (const listener of listeners) listener(kept);
      delivered(failure, failure === null ? offset : -1, 0);
    });
  };
  const producer = ({ acks = -1 }: ProducerOptions = {}): Producer => ({
    send: (topic, record, delivered) => send(topic, record, acks, delivered ?? (() => {})),
    prepare: (topic, key, headers) => ({ topic, key, headers }),
    sendPrepared(prepared, bytes, start, end, delivered) {
      const { topic, key, headers } = prepared as { topic: string; key: Uint8Array; headers: readonly Header[] };
      send(topic, { key, headers, value: bytes.subarray(start, end), timestamp: Date.now() }, acks, delivered);
    },
    publish: () => Promise.reject(new Error("not used here")),
    bufferedBytes: () => 0,
    whenDrained: () => Promise.resolve(),
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  });
  /** As the hub commits: now, or when the test says. */
  const settle = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const { failure } = hub;
      later(() => (failure === null ? resolve() : reject(failure)));
    });
  const append = (topic: string, record: OutRecord): Promise<void> =>
    new Promise((resolve, reject) => {
      send(topic, record, -1, (error) => (error === null ? resolve() : reject(error)));
    });
  const rooms = (): Rooms => {
    const { deliveries, committed } = openDeliveriesInMemory();
    listeners.clear();
    listeners.add(committed);
    return {
      deliveries,
      keepers: () => ({
        sessions: new SessionsInMemory(kept, append, settle),
        retained: new RetainedInMemory(kept),
      }),
    };
  };
  const never = (): never => {
    throw new Error("not used here");
  };
  const hub: StandInHub = {
    client: { producer, appender: never, consumer: never, admin: never, close: () => Promise.resolve() },
    rooms,
    face: { hubId: 1, isClustered: false, ensureTopic: () => Promise.resolve(), storeTogether: never },
    sent: [],
    kept,
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
