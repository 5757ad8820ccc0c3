// Fetch sessions (KIP-227): what a consumer polls, remembered, so that a poll names and brings only what changed. Pure.
import type { ErrorName } from "../errors.ts";
import { limits } from "../limits.ts";
import type { RequestOf } from "../wire/apis.ts";
import { zeroUuid } from "../wire/schema.ts";

export type FetchRequest = RequestOf<"fetch">;
export type WantedPartition = FetchRequest["topics"][number]["partitions"][number];

/** One partition of a poll. */
export interface Watched {
  /** Empty where the request names topics by id. */
  readonly topic: string;
  readonly topicId: string;
  wanted: WantedPartition;
  /** What the client was told last; -1 makes the next answer tell it whatever it is. */
  highWatermark: number;
  logStart: number;
}

export interface FetchSession {
  readonly id: number;
  /** Whether it was opened by a version that names topics by id. */
  readonly byId: boolean;
  /** The epoch that the next request is to bear. */
  epoch: number;
  usedAt: number;
  readonly watched: Map<string, Watched>;
  /** `watched` as an array while it has not changed. */
  list: readonly Watched[] | null;
}

/** What a request asks for. `session` null: nothing is remembered, the answer bears session id 0. */
export type Asked =
  | { readonly error: ErrorName }
  | {
      readonly error: null;
      readonly session: FetchSession | null;
      /** True when only what has news is to be told. */
      readonly incremental: boolean;
      readonly watched: readonly Watched[];
    };

/** Session epochs of a request: none wanted or an end, a new one, and from 1 on one that goes on. */
const finalEpoch = -1;
const initialEpoch = 0;
const epochMax = 0x7fff_ffff;

const keyOf = (name: string, partition: number): string => `${name}\n${partition}`;

function watch(topic: string, topicId: string, wanted: WantedPartition): Watched {
  return { topic, topicId, wanted, highWatermark: -1, logStart: -1 };
}

function everything(request: FetchRequest): Watched[] {
  return request.topics.flatMap(({ topic, topicId, partitions }) => {
    return partitions.map((wanted) => watch(topic, topicId, wanted));
  });
}

/**
 * The table of sessions, bounded in sessions and in partitions of all together. A session that nobody used for two
 * minutes makes room for a new one; where there is no room a client is answered without one and goes on with full
 * fetches. A session is not bound to its connection, as Kafka has it: a client that comes back ends its old one.
 */
export class FetchSessions {
  readonly #slots: () => number;
  readonly #newId: () => number;
  /** In the order of their last use. */
  readonly #sessions = new Map<number, FetchSession>();
  #partitions = 0;

  /** @param slots `max.incremental.fetch.session.cache.slots` @param newId random, 1 to 2^31 - 1 */
  constructor(slots: () => number, newId: () => number) {
    this.#slots = slots;
    this.#newId = newId;
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** Partitions remembered, all sessions together. */
  get partitions(): number {
    return this.#partitions;
  }

  /** Takes a request in. `byId`: its version names topics by id. */
  ask(request: FetchRequest, byId: boolean, now: number): Asked {
    const { sessionId, sessionEpoch } = request;
    if (sessionEpoch > initialEpoch) return this.#goOn(request, byId, now);
    const old = this.#sessions.get(sessionId);
    if (old !== undefined) this.#end(old);
    const watched = everything(request);
    const session = sessionEpoch === finalEpoch || watched.length === 0 ? null : this.#open(watched, byId, now);
    return { error: null, session, incremental: false, watched: session?.list ?? watched };
  }

  #open(watched: readonly Watched[], byId: boolean, now: number): FetchSession | null {
    if (!this.#makeRoom(watched.length, now)) return null;
    let id = this.#newId();
    while (this.#sessions.has(id)) id = this.#newId();
    const byKey = new Map(watched.map((one) => [keyOf(byId ? one.topicId : one.topic, one.wanted.partition), one]));
    const session = { id, byId, epoch: 1, usedAt: now, watched: byKey, list: [...byKey.values()] };
    this.#sessions.set(id, session);
    this.#partitions += byKey.size;
    return session;
  }

  #makeRoom(partitions: number, now: number): boolean {
    if (partitions > limits.fetchSessionPartitionsMax || this.#slots() < 1) return false;
    const full = (): boolean =>
      this.#sessions.size >= Math.min(this.#slots(), limits.fetchSessionsMax) ||
      this.#partitions + partitions > limits.fetchSessionPartitionsMax;
    for (const session of this.#sessions.values()) {
      if (!full()) return true;
      if (now - session.usedAt < limits.fetchSessionIdleMs) return false;
      this.#end(session);
    }
    return !full();
  }

  #end(session: FetchSession): void {
    this.#sessions.delete(session.id);
    this.#partitions -= session.watched.size;
  }

  #goOn(request: FetchRequest, byId: boolean, now: number): Asked {
    const session = this.#sessions.get(request.sessionId);
    if (session === undefined) return { error: "FETCH_SESSION_ID_NOT_FOUND" };
    if (session.byId !== byId) return { error: "FETCH_SESSION_TOPIC_ID_ERROR" };
    if (session.epoch !== request.sessionEpoch) return { error: "INVALID_FETCH_SESSION_EPOCH" };
    session.epoch = session.epoch === epochMax ? 1 : session.epoch + 1;
    session.usedAt = now;
    this.#sessions.delete(session.id);
    this.#sessions.set(session.id, session);
    this.#change(session, request);
    if (this.#partitions > limits.fetchSessionPartitionsMax) {
      this.#end(session);
      return { error: "FETCH_SESSION_ID_NOT_FOUND" };
    }
    if (session.watched.size === 0) {
      this.#end(session);
      return { error: null, session: null, incremental: false, watched: [] };
    }
    session.list ??= [...session.watched.values()];
    return { error: null, session, incremental: true, watched: session.list };
  }

  #change(session: FetchSession, request: FetchRequest): void {
    const { watched, byId } = session;
    const before = watched.size;
    for (const { topic, topicId, partitions } of request.forgottenTopicsData) {
      for (const partition of partitions) {
        if (watched.delete(keyOf(byId ? topicId : topic, partition))) session.list = null;
      }
    }
    for (const { topic, topicId, partitions } of request.topics) {
      for (const wanted of partitions) {
        const key = keyOf(byId ? topicId : topic, wanted.partition);
        const known = watched.get(key);
        if (known !== undefined) known.wanted = wanted;
        else {
          watched.set(key, watch(byId ? "" : topic, byId ? topicId : zeroUuid, wanted));
          session.list = null;
        }
      }
    }
    this.#partitions += watched.size - before;
  }
}

/** Notes what an answer tells; true when that is news to the client of the session. */
export function tell(
  watched: Watched,
  answer: {
    readonly errorCode: number;
    readonly highWatermark: number;
    readonly logStart: number;
    readonly bytes: number;
  },
): boolean {
  const { errorCode, highWatermark, logStart, bytes } = answer;
  const news = errorCode !== 0 || bytes > 0 || watched.highWatermark !== highWatermark || watched.logStart !== logStart;
  watched.highWatermark = errorCode === 0 ? highWatermark : -1;
  watched.logStart = errorCode === 0 ? logStart : -1;
  return news;
}
