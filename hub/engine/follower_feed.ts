// The leader's side of a follower's fetches: what that hub was told and wants, remembered from one fetch to the next.
import type { FollowerFetch, LeaderWord, Offset, ReplicaId } from "../cluster/types.ts";
import { codeOf, type ErrorName, HubError } from "../errors.ts";
import type { Clock, Millis } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { RequestOf, ResponseOf } from "../wire/apis.ts";
import type { LeaderHint, LedReplica, ReplicaOffice } from "./replica_office.ts";
import { configText } from "./replication_wire.ts";
import type { ParkedFetch } from "./waiting_room.ts";

type Wanted = RequestOf<"fetch">["topics"][number]["partitions"][number];
export type FeedAnswer = ResponseOf<"fetch">["responses"][number]["partitions"][number] & { readonly topicId: string };

interface Fed {
  readonly topicId: string;
  readonly partition: number;
  fetch: FollowerFetch;
  from: Offset;
  bytesMax: number;
  ticket: number;
  armed: boolean;
  led: LedReplica | null;
  /** Stands in the led partition's place as long as this is fed: woken at every append, parked or not. */
  readonly parked: ParkedFetch;
  toldEpoch: number;
  toldConfig: string;
  toldWatermark: Offset;
  toldStart: Offset;
}

const nothing = new Uint8Array(0);

/**
 * One follower's feed, for as long as its connection. A fetch names what changed; the rest is as it was told before:
 * - a partition that is armed (it was named with room for bytes) brings its records once, then waits to be armed again;
 * - one named without room is an acknowledgement alone;
 * - `whole` says that all the rest is unchanged, which counts as fetched again: who is caught up stays so.
 * What waits costs nothing while it waits: an append stirs its partition, and an answer looks at what was stirred.
 */
export class FollowerFeed {
  readonly replica: ReplicaId;
  readonly connectionId: number;
  readonly #office: ReplicaOffice;
  readonly #clock: Clock;
  readonly #fed = new Map<string, Fed>();
  readonly #stirred = new Set<Fed>();
  /** Named since the last answer: what they acknowledged may have moved the watermark. */
  readonly #acknowledged = new Set<Fed>();
  #answers: FeedAnswer[] = [];
  #wake: (() => void) | null = null;
  #next = 0;
  #usedAt: Millis;

  constructor(replica: ReplicaId, connectionId: number, office: ReplicaOffice, clock: Clock) {
    this.replica = replica;
    this.connectionId = connectionId;
    this.#office = office;
    this.#clock = clock;
    this.#usedAt = clock.now();
  }

  get size(): number {
    return this.#fed.size;
  }

  /** Takes in what a fetch says; false when it is not the one that is due: the follower begins anew then. */
  take(request: RequestOf<"fetch">): boolean {
    if (request.sessionEpoch !== this.#next) return false;
    this.#next = this.#next === 0x7fff_ffff ? 1 : this.#next + 1;
    this.#usedAt = this.#clock.now();
    for (const { topicId, partitions } of request.forgottenTopicsData) {
      for (const partition of partitions) this.#forget(`${topicId}/${partition}`);
    }
    if (request.whole) {
      // who was refused asks again by himself
      for (const fed of this.#fed.values()) if (fed.led !== null) this.#fetched(fed);
    }
    for (const { topicId, partitions } of request.topics) {
      for (const wanted of partitions) this.#name(topicId, wanted);
    }
    return this.#fed.size <= limits.partitionsMax;
  }

  /** What there is to tell now, up to so many bytes of records; at least one batch. */
  async collect(bytesMax: number): Promise<FeedAnswer[]> {
    let left = bytesMax;
    for (const fed of [...this.#stirred]) {
      if (left <= 0) break;
      this.#stirred.delete(fed);
      const answer = await this.#read(fed, left, left === bytesMax);
      if (answer === null) continue;
      left -= (answer.records as Uint8Array).length;
      this.#answers.push(answer);
    }
    return this.#take();
  }

  /** Watermarks and log starts that moved: worth an answer that leaves anyway, not one of their own. */
  quiet(all: boolean): FeedAnswer[] {
    for (const fed of all ? this.#fed.values() : this.#acknowledged) {
      const word = fed.led?.word();
      if (!word || word.epoch !== fed.fetch.epoch || this.#fed.get(keyOf(fed)) !== fed) continue;
      if (word.highWatermark === fed.toldWatermark && word.logStart === fed.toldStart) continue;
      this.#answers.push(this.#serve(fed, word, nothing));
    }
    this.#acknowledged.clear();
    return this.#take();
  }

  /** Resolves when something is stirred, after `waitMs`, or when `leave` is called. One wait at a time. */
  wait(waitMs: Millis): { readonly woken: Promise<void>; leave(): void } {
    let leave = (): void => {};
    const woken = new Promise<void>((resolve) => {
      const timer = this.#clock.after(waitMs, () => leave());
      leave = () => {
        timer.cancel();
        this.#wake = null;
        resolve();
      };
      // what is appended in this turn goes into one answer
      this.#wake = () => {
        this.#wake = null;
        this.#clock.soon(leave);
      };
    });
    if (this.#stirred.size > 0) leave();
    return { woken, leave };
  }

  /** Waits at no partition any more. */
  end(): void {
    for (const fed of this.#fed.values()) detach(fed);
    this.#fed.clear();
    this.#stirred.clear();
    this.#wake?.();
  }

  #take(): FeedAnswer[] {
    const answers = this.#answers;
    this.#answers = [];
    return answers;
  }

  #forget(key: string): void {
    const fed = this.#fed.get(key);
    if (fed === undefined) return;
    detach(fed);
    this.#fed.delete(key);
    this.#stirred.delete(fed);
  }

  #name(topicId: string, wanted: Wanted): void {
    const { durableEnd, accepted, configEpoch, configN, ticket } = wanted.follower;
    const fetch: FollowerFetch = {
      from: this.replica,
      epoch: wanted.currentLeaderEpoch,
      offset: durableEnd,
      position: wanted.fetchOffset,
      lastFetchedEpoch: wanted.lastFetchedEpoch,
      accepted,
      configId: { epoch: configEpoch, n: configN },
    };
    const key = `${topicId}/${wanted.partition}`;
    let fed = this.#fed.get(key);
    if (fed === undefined) {
      fed = this.#newFed(topicId, wanted.partition, fetch);
      this.#fed.set(key, fed);
    }
    if (fed.fetch.epoch !== fetch.epoch) fed.armed = false;
    fed.fetch = fetch;
    fed.ticket = ticket;
    if (wanted.partitionMaxBytes > 0) {
      fed.armed = true;
      fed.from = wanted.fetchOffset;
      fed.bytesMax = wanted.partitionMaxBytes;
    }
    if (this.#fetched(fed)) this.#acknowledged.add(fed);
  }

  #newFed(topicId: string, partition: number, fetch: FollowerFetch): Fed {
    const parked: ParkedFetch = { missingBytes: 0, wake: () => this.#stir(fed), places: [], timer: null };
    const told = { toldEpoch: -1, toldConfig: "", toldWatermark: -1, toldStart: -1 };
    const wants = { from: 0, bytesMax: 0, ticket: -1, armed: false, led: null };
    const fed: Fed = { topicId, partition, fetch, ...wants, parked, ...told };
    return fed;
  }

  /** An append, or a change of the partition. A follower that asks no more leaves the places it waits in. */
  #stir(fed: Fed): void {
    if (this.#wake === null && this.#clock.now() - this.#usedAt > limits.replicaFeedIdleMs) {
      this.end();
      return;
    }
    this.#stirred.add(fed);
    if (fed.armed) this.#wake?.();
  }

  /** Tells the partition's machine of the fetch; false when that was its end for now, with an answer. */
  #fetched(fed: Fed): boolean {
    const led = this.#office.led(fed.topicId, fed.partition);
    if (!("followerFetched" in led)) return this.#refuse(fed, led.error, led.hint);
    const said = led.followerFetched(fed.fetch);
    if (said.kind === "refuse") return this.#refuse(fed, said.error, null);
    if (fed.led !== led) {
      detach(fed);
      fed.led = led;
      led.place.waiting.add(fed.parked);
    }
    if (said.kind === "diverging") {
      const { epoch, endOffset, word } = said;
      fed.armed = false;
      this.#answers.push({ ...this.#serve(fed, word, nothing, true), divergingEpoch: { epoch, endOffset } });
      return false;
    }
    const news = fed.toldEpoch !== said.word.epoch || configText(said.word.config) !== fed.toldConfig;
    if (news || (fed.armed && fed.from < led.logEnd)) this.#stirred.add(fed);
    return true;
  }

  #refuse(fed: Fed, error: ErrorName, hint: LeaderHint | null): false {
    fed.armed = false;
    detach(fed);
    const base = { topicId: fed.topicId, partitionIndex: fed.partition, errorCode: codeOf(error) };
    const currentLeader = hint === null ? undefined : { leaderId: hint.leader, leaderEpoch: hint.epoch };
    const word = { ticket: fed.ticket, epoch: fed.fetch.epoch };
    const answer = { ...base, highWatermark: -1, abortedTransactions: null, records: nothing, word };
    this.#answers.push(currentLeader === undefined ? answer : { ...answer, currentLeader });
    return false;
  }

  /** null: nothing to tell. */
  async #read(fed: Fed, room: number, first: boolean): Promise<FeedAnswer | null> {
    if (this.#fed.get(keyOf(fed)) !== fed || fed.led === null) return null;
    const { led } = fed;
    const before = led.word();
    if (before === null || before.epoch !== fed.fetch.epoch) {
      this.#fetched(fed); // says why, and who leads now
      return null;
    }
    let records: Uint8Array = nothing;
    if (fed.armed && fed.from < led.logEnd && fed.from >= before.logStart) {
      const { from, ticket } = fed;
      try {
        const read = led.read(from, Math.min(room, fed.bytesMax));
        records = read instanceof Promise ? await read : read;
      } catch (error) {
        if (!(error instanceof HubError) || error.kind !== "CORRUPT_MESSAGE") throw error;
        // while it is being repaired the follower waits: its place is disturbed then
        if (!led.repairing && this.#fed.get(keyOf(fed)) === fed) this.#refuse(fed, error.kind, null);
        return null;
      }
      // what was read while the leadership ended, or the follower changed its mind, is not told
      const after = led.word();
      if (after === null || after.epoch !== before.epoch || fed.ticket !== ticket) {
        this.#stirred.add(fed);
        return null;
      }
      if (!first && records.length > room) {
        this.#stirred.add(fed);
        return null;
      }
    }
    const outside = fed.armed && (fed.from < before.logStart || fed.from > led.logEnd);
    const news = fed.toldEpoch !== before.epoch || configText(before.config) !== fed.toldConfig;
    if (records.length === 0 && !news && !outside) return null;
    if (records.length > 0 || outside) fed.armed = false;
    return this.#serve(fed, before, records);
  }

  #serve(fed: Fed, word: LeaderWord, records: Uint8Array, diverging = false): FeedAnswer {
    const { epoch, epochStart, leaderEnd, markedEpoch, highWatermark, logStart } = word;
    const text = configText(word.config);
    const config = text === fed.toldConfig ? null : text;
    fed.toldEpoch = epoch;
    fed.toldConfig = text;
    fed.toldWatermark = highWatermark;
    fed.toldStart = logStart;
    return {
      topicId: fed.topicId,
      partitionIndex: fed.partition,
      errorCode: 0,
      highWatermark,
      logStartOffset: logStart,
      abortedTransactions: null,
      records,
      word: { ticket: fed.ticket, epoch, epochStart, leaderEnd, markedEpoch, diverging, config },
    };
  }
}

function keyOf({ topicId, partition }: Fed): string {
  return `${topicId}/${partition}`;
}

function detach(fed: Fed): void {
  fed.led?.place.waiting.delete(fed.parked);
  fed.led = null;
}
