// What this hub follows at one leader: a stream of fetches that name only what changed, one feed at the other side.
import type { FollowerFetch, HubId, LeaderWord } from "../cluster/types.ts";
import { type ErrorName, errorNameOf, HubError } from "../errors.ts";
import type { Millis, Timer } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { CallOf, ReplyOf } from "../wire/apis.ts";
import {
  disarm,
  type Entry,
  isSame,
  keyOf,
  newEntry,
  type PartitionReply,
  positionOf,
  wordOf,
} from "./follow_entry.ts";
import { configOf } from "./replication_wire.ts";
import type { CatchUpBudget, Followed, ReplicatorOptions } from "./replicator.ts";

type TopicCall = CallOf<"fetch">["topics"][number];
type PartitionCall = TopicCall["partitions"][number];

const nothing = new Uint8Array(0);
const ticketMax = 0x7fff_ffff;
/** As of a fetch session (KIP-227). */
const sequenceMax = 0x7fff_ffff;

/**
 * The leader remembers what it was told of each partition (engine/follower_feed.ts), so a fetch names what changed:
 * - an acknowledgement (the durable end moved) leaves at once, behind a fetch that may be waiting at the leader, which
 *   answers that one as soon as the next arrives. Half a round trip, whatever else is followed there;
 * - a partition is armed with a ticket once what came before is written; its records come once for each ticket. So no
 *   two fetches ever bring the same records, though several are on their way;
 * - while nothing changes, one fetch waits at the leader, half a second each.
 * Every half second all partitions are looked at, kicked or not, and the leader is told that the rest is as before.
 */
export class FollowLoop {
  readonly #leader: HubId;
  readonly #options: ReplicatorOptions;
  readonly #budget: CatchUpBudget;
  readonly #entries = new Map<string, Entry>();
  readonly #due = new Set<Entry>();
  #forgotten: { readonly topicId: string; readonly partition: number }[] = [];
  /** Of the next fetch; 0 begins a feed. */
  #sequence = 0;
  #inFlight = 0;
  #lookedAt: Millis = Number.NEGATIVE_INFINITY;
  #ticket = 0;
  /** Answers of a feed that ended are nobody's. */
  #feed = 0;
  #scheduled = false;
  #retryMs: Millis = limits.replicaRetryMs;
  /** Runs while the leader is left alone after a failure, or while there is nothing to tell it. */
  #pause: Timer | null = null;
  #resting = false;
  #closed = false;

  constructor(leader: HubId, options: ReplicatorOptions, budget: CatchUpBudget) {
    this.#leader = leader;
    this.#options = options;
    this.#budget = budget;
  }

  add(followed: Followed): void {
    const key = keyOf(followed.topicId, followed.partition);
    const entry = newEntry(key, followed);
    this.#entries.set(key, entry);
    this.#dueNow(entry);
  }

  remove(followed: Followed): void {
    const entry = this.#entries.get(keyOf(followed.topicId, followed.partition));
    if (entry?.followed !== followed) return;
    this.#entries.delete(entry.key);
    this.#due.delete(entry);
    entry.rest?.cancel();
    this.#forget(entry);
    this.#schedule();
  }

  kick(followed: Followed): void {
    const entry = this.#entries.get(keyOf(followed.topicId, followed.partition));
    if (entry?.followed === followed) this.#dueNow(entry);
  }

  close(): void {
    this.#closed = true;
    this.#pause?.cancel();
    for (const entry of this.#entries.values()) entry.rest?.cancel();
    this.#entries.clear();
    this.#due.clear();
  }

  #dueNow(entry: Entry): void {
    this.#due.add(entry);
    this.#schedule();
  }

  /** One fetch for all that is kicked within a turn: a group commit moves many logs at once. */
  #schedule(): void {
    if (this.#scheduled || this.#resting || this.#closed) return;
    this.#scheduled = true;
    void Promise.resolve().then(() => {
      this.#scheduled = false;
      this.#send();
    });
  }

  #send(): void {
    if (this.#closed || this.#resting) return;
    // nothing goes behind the first one before it is known that there is a feed
    const most = this.#sequence <= 1 ? 1 : limits.replicaFetchesInFlightMax;
    if (this.#inFlight >= most) return;
    const now = this.#options.clock.now();
    const whole = now - this.#lookedAt >= limits.replicaFetchWaitMs;
    if (whole) {
      this.#lookedAt = now;
      for (const entry of this.#entries.values()) this.#due.add(entry);
    }
    const topics = this.#named();
    const news = topics.length > 0 || this.#forgotten.length > 0;
    if (!news && this.#inFlight > 0) return;
    if (!news && ![...this.#entries.values()].some(({ told }) => told !== null)) {
      if (this.#entries.size > 0) this.#later(limits.replicaFetchWaitMs);
      return;
    }
    this.#fetch(topics, whole && this.#due.size === 0);
    if (this.#due.size > 0) this.#schedule();
  }

  #fetch(topics: readonly TopicCall[], whole: boolean): void {
    const { peers, hubId } = this.#options;
    const forgotten = this.#forgotten;
    this.#forgotten = [];
    const request: CallOf<"fetch"> = {
      replicaState: { replicaId: hubId, replicaEpoch: -1 },
      whole,
      maxWaitMs: limits.replicaFetchWaitMs,
      minBytes: 1,
      maxBytes: limits.replicaFetchBytesMax,
      sessionId: 0,
      sessionEpoch: this.#sequence,
      topics,
      forgottenTopicsData: forgotten.map(({ topicId, partition }) => ({ topicId, partitions: [partition] })),
    };
    this.#sequence = this.#sequence === sequenceMax ? 1 : this.#sequence + 1;
    this.#inFlight += 1;
    const feed = this.#feed;
    peers.call(this.#leader, "fetch", request, limits.replicaFetchWaitMs + limits.replicaFetchMsMax).then(
      (reply) => {
        if (feed === this.#feed && !this.#closed) this.#answered(reply);
      },
      (error: unknown) => {
        if (feed === this.#feed && !this.#closed) this.#lost(error);
      },
    );
  }

  /** What the leader does not know yet, up to the bound; the rest stays due. */
  #named(): TopicCall[] {
    const byTopic = new Map<string, PartitionCall[]>();
    let count = 0;
    for (const entry of this.#due) {
      if (count >= limits.replicaFetchPartitionsMax) break;
      this.#due.delete(entry);
      const call = this.#callOf(entry);
      if (call === null) continue;
      count += 1;
      const { topicId } = entry.followed;
      const calls = byTopic.get(topicId);
      if (calls === undefined) byTopic.set(topicId, [call]);
      else calls.push(call);
    }
    return [...byTopic].map(([topicId, partitions]) => ({ topicId, partitions }));
  }

  #callOf(entry: Entry): PartitionCall | null {
    if (entry.rest !== null) return null;
    const fetch = entry.followed.fetchOf();
    if (fetch === null) {
      this.#forget(entry);
      return null;
    }
    const { told } = entry;
    if (told !== null && told.epoch !== fetch.epoch) disarm(entry, true);
    const arm = !entry.armed && entry.busy === 0 && this.#mayRead(entry, fetch);
    if (!arm && told !== null && isSame(told, fetch)) return null;
    if (arm) {
      entry.readEpoch = fetch.epoch;
      entry.armed = true;
      this.#ticket = (this.#ticket % ticketMax) + 1;
      entry.ticket = this.#ticket;
    } else if (entry.readEpoch !== fetch.epoch) return null;
    entry.told = fetch;
    const bytes = limits.replicaFetchPartitionBytes;
    return {
      partition: entry.followed.partition,
      currentLeaderEpoch: fetch.epoch,
      fetchOffset: positionOf(fetch),
      lastFetchedEpoch: fetch.lastFetchedEpoch,
      partitionMaxBytes: arm ? (entry.behind ? this.#budget.bytesMax(bytes) : bytes) : 0,
      follower: {
        durableEnd: fetch.offset,
        accepted: fetch.accepted,
        configEpoch: fetch.configId.epoch,
        configN: fetch.configId.n,
        ticket: entry.ticket,
      },
    };
  }

  /**
   * The first fetch of an epoch names the whole log: what the leader does not have of it is cut before anything is read
   * on. What is far behind waits for its budget.
   */
  #mayRead(entry: Entry, fetch: FollowerFetch): boolean {
    if (positionOf(fetch) !== entry.followed.logEnd()) return false;
    const waitMs = entry.behind ? this.#budget.waitMs() : 0;
    if (waitMs > 0 && !entry.held) {
      entry.held = true;
      this.#options.clock.after(waitMs, () => {
        entry.held = false;
        this.#again(entry);
      });
    }
    return waitMs === 0;
  }

  #again(entry: Entry): void {
    if (this.#entries.get(entry.key) === entry) this.#dueNow(entry);
  }

  #forget(entry: Entry): void {
    const { topicId, partition } = entry.followed;
    if (entry.told !== null) this.#forgotten.push({ topicId, partition });
    entry.told = null;
    entry.config = null;
    disarm(entry, true);
  }

  #answered(reply: ReplyOf<"fetch">): void {
    this.#inFlight -= 1;
    if (reply.errorCode !== 0) {
      this.#lost(new HubError(errorNameOf(reply.errorCode)));
      return;
    }
    this.#retryMs = limits.replicaRetryMs;
    for (const { topicId, partitions } of reply.responses) {
      for (const one of partitions) {
        const entry = this.#entries.get(keyOf(topicId, one.partitionIndex));
        if (entry === undefined || entry.told === null) continue;
        // told once on a connection, so it holds whatever becomes of the answer
        if (one.word.config !== null) entry.config = configOf(one.word.config);
        // an answer to what was asked before the partition was told anew is nobody's
        if (one.word.ticket === entry.ticket) this.#take(entry, one);
      }
    }
    this.#schedule();
  }

  #take(entry: Entry, one: PartitionReply): void {
    const { followed } = entry;
    const { epoch } = entry.told!;
    const broken = one.errorCode === 0 && (entry.config === null || one.word.epoch !== epoch);
    if (one.errorCode !== 0 || broken) {
      if (broken) this.#forget(entry);
      this.#restOf(entry);
      const { leaderId, leaderEpoch } = one.currentLeader;
      const hint = leaderId < 0 ? null : { leader: leaderId, epoch: leaderEpoch };
      followed.refused(epoch, broken ? "INVALID_REQUEST" : errorNameOf(one.errorCode), hint);
      return;
    }
    const word = wordOf(one, entry.config!);
    const diverging = one.word.diverging ? { ...one.divergingEpoch } : null;
    const records = diverging === null ? (one.records ?? nothing) : nothing;
    if (records.length > 0) disarm(entry, false);
    if (diverging !== null) disarm(entry, true);
    // nothing is left of where this log ends: it begins anew at the leader's start, which `answered` sees to
    if (word.logStart > followed.logEnd()) this.#restOf(entry);
    this.#write(entry, word, diverging, records);
  }

  #write(entry: Entry, word: LeaderWord, diverging: Parameters<Followed["answered"]>[1], records: Uint8Array): void {
    const done = (): void => {
      entry.busy -= 1;
      if (records.length > 0) {
        entry.retryMs = limits.replicaRetryMs;
        if (entry.behind) this.#budget.spend(records.length);
        entry.behind = entry.followed.logEnd() < word.leaderEnd;
      }
      this.#again(entry);
    };
    const failed = (error: unknown): void => {
      entry.busy -= 1;
      const { topic, partition } = entry.followed;
      const why = error instanceof Error ? error.message : String(error);
      this.#options.trace.event("warn", "follower_write_failed", { topic, partition, leader: this.#leader, why });
      if (this.#entries.get(entry.key) === entry) this.#restOf(entry);
    };
    entry.busy += 1;
    try {
      const written = entry.followed.answered(word, diverging, records);
      if (written === undefined) done();
      else written.then(done, failed);
    } catch (error) {
      failed(error);
    }
  }

  /** Leaves one partition alone for a while, longer each time. */
  #restOf(entry: Entry): void {
    disarm(entry, true);
    entry.rest?.cancel();
    const { clock, random } = this.#options;
    entry.rest = clock.after(entry.retryMs * (0.5 + random.float() / 2), () => {
      entry.rest = null;
      this.#again(entry);
    });
    entry.retryMs = Math.min(entry.retryMs * 2, limits.replicaRetryMsMax);
  }

  /** The feed is lost: everything is told anew, after a pause. */
  #lost(error: unknown): void {
    this.#feed += 1;
    this.#inFlight = 0;
    this.#sequence = 0;
    this.#forgotten = [];
    this.#lookedAt = Number.NEGATIVE_INFINITY;
    const name = error instanceof HubError ? error.kind : "UNKNOWN_SERVER_ERROR";
    const told = [...this.#entries.values()].filter((entry) => entry.told !== null);
    const { clock, random } = this.#options;
    this.#later(this.#retryMs * (0.5 + random.float() / 2), clock);
    this.#resting = true;
    this.#retryMs = Math.min(this.#retryMs * 2, limits.replicaRetryMsMax);
    const ownFault: readonly ErrorName[] = ["FETCH_SESSION_ID_NOT_FOUND", "INVALID_FETCH_SESSION_EPOCH"];
    for (const entry of told) {
      const { epoch } = entry.told!;
      entry.told = null;
      entry.config = null;
      disarm(entry, true);
      // the leader may be well: it only does not know the feed (its connection was made anew)
      const followed = this.#entries.get(entry.key) === entry;
      if (followed && !ownFault.includes(name)) entry.followed.refused(epoch, "NETWORK_EXCEPTION", null);
    }
  }

  #later(delayMs: Millis, clock = this.#options.clock): void {
    this.#pause?.cancel();
    this.#pause = clock.after(delayMs, () => {
      this.#resting = false;
      this.#schedule();
    });
  }
}
