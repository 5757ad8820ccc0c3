// Elections as hubs hold them: votes asked for and answered in batches, and who waits for how one ends.
import { tryLead, voteAnswered, voteRequested } from "../cluster/replica.ts";
import type { Epoch, HubId, PublishedState, ReplicaId, VoteReply, VoteRequest } from "../cluster/types.ts";
import type { Clock } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import { hubOf } from "./cluster_view.ts";
import type { Partition } from "./partition.ts";
import type { TryLeadAsked, TryLeadTold, VoteAsked, VoteTold } from "./replica_office.ts";

export interface ElectionOptions {
  readonly clock: Clock;
  readonly trace: Trace;
  /** Sends a batch of votes to a hub; rejects when that hub does not answer. */
  readonly ask: (hub: HubId, votes: readonly VoteAsked[]) => Promise<readonly VoteTold[]>;
  readonly find: (topicId: string, partition: number) => Partition | undefined;
  readonly run: (partition: Partition, effects: ReturnType<typeof tryLead>) => void;
  /** What is published of a partition: a topic with m = 1 trusts it (replication.md 2.0). */
  readonly published: (topicId: string, partition: number) => PublishedState | undefined;
}

/** How an election of this hub ended. */
export type Ended =
  | { readonly result: "led"; readonly epoch: Epoch }
  | Omit<Extract<TryLeadTold, { readonly result: "failed" }>, "topicId" | "partition">
  | { readonly result: "not-here" };

interface Ballot {
  readonly partition: Partition;
  readonly vote: VoteAsked;
}

interface EndWaiter {
  /** Epoch of the candidacy that was under way before; null for none. */
  readonly before: Epoch | null;
  readonly end: (ended: Ended) => void;
}

export class Elections {
  readonly #options: ElectionOptions;
  /** Votes of this turn, by the hub that is asked. */
  readonly #outbox = new Map<HubId, Ballot[]>();
  /** Who waits for this hub's vote: by partition, candidate and epoch. */
  readonly #voters = new Map<string, (reply: VoteReply) => void>();
  /** Who waits for how this hub's elections end. */
  readonly #ends = new Map<Partition, EndWaiter[]>();

  constructor(options: ElectionOptions) {
    this.#options = options;
  }

  /** Effect "request-votes": all of one turn leave together, one call a hub. */
  request(partition: Partition, to: readonly ReplicaId[], request: VoteRequest): void {
    const { topicId, partition: index } = partition.log;
    if (this.#outbox.size === 0) this.#options.clock.soon(() => this.#send());
    for (const replica of to) {
      const hub = hubOf(replica);
      const batch = this.#outbox.get(hub) ?? [];
      this.#outbox.set(hub, batch);
      batch.push({ partition, vote: { ...request, topicId, partition: index } });
    }
  }

  #send(): void {
    const batches = [...this.#outbox];
    this.#outbox.clear();
    const max = limits.votesPerCallMax;
    for (const [hub, batch] of batches) {
      for (let at = 0; at < batch.length; at += max) void this.#ask(hub, batch.slice(at, at + max));
    }
  }

  /** Whoever does not answer does not vote: the machine has a deadline of its own. */
  async #ask(hub: HubId, batch: readonly Ballot[]): Promise<void> {
    const { ask, run, clock, trace } = this.#options;
    let told: readonly VoteTold[];
    try {
      told = await ask(
        hub,
        batch.map(({ vote }) => vote),
      );
    } catch (error) {
      trace.count("votes_unanswered", batch.length);
      trace.event("debug", "votes_unanswered", { hub, votes: batch.length, error: String(error) });
      return;
    }
    for (const [i, { partition }] of batch.entries()) {
      const one = told[i];
      if (one && "reply" in one) run(partition, voteAnswered(partition.replica, one.reply, clock.now()));
    }
  }

  /** Another hub asks for votes; each is answered once its promise is on disk. */
  vote(asked: readonly VoteAsked[]): Promise<VoteTold[]> {
    return Promise.all(asked.map((vote) => this.#vote(vote)));
  }

  #vote({ topicId, partition: index, epoch, candidate, config }: VoteAsked): Promise<VoteTold> {
    const { find, run, clock } = this.#options;
    const partition = find(topicId, index);
    const place = { topicId, partition: index };
    if (!partition) return Promise.resolve({ ...place, error: "UNKNOWN_TOPIC_OR_PARTITION" });
    return new Promise((resolve) => {
      const key = voterKey(partition, candidate, epoch);
      const timer = clock.after(limits.voteAnswerMsMax, () => {
        this.#voters.delete(key);
        resolve({ ...place, error: "REQUEST_TIMED_OUT" });
      });
      this.#voters.set(key, (reply) => {
        timer.cancel();
        resolve({ ...place, reply });
      });
      run(partition, voteRequested(partition.replica, { epoch, candidate, config }, clock.now()));
    });
  }

  /** Effect "answer-vote". */
  answer(partition: Partition, to: ReplicaId, reply: VoteReply): void {
    const key = voterKey(partition, to, reply.epoch);
    const answer = this.#voters.get(key);
    this.#voters.delete(key);
    answer?.(reply);
  }

  /** The controller asks this hub to try; resolves when each election has ended. */
  tryLead(asked: readonly TryLeadAsked[]): Promise<TryLeadTold[]> {
    return Promise.all(
      asked.map(async (one) => {
        const { topicId, partition } = one;
        return { topicId, partition, ...(await this.#try(one)) };
      }),
    );
  }

  #try({ topicId, partition: index, seenEpoch, kind }: TryLeadAsked): Promise<Ended> {
    const { find, run, clock, published } = this.#options;
    const partition = find(topicId, index);
    if (!partition) return Promise.resolve({ result: "not-here" });
    if (partition.leads && kind === "clean" && partition.epoch >= seenEpoch) {
      return Promise.resolve({ result: "led", epoch: partition.epoch });
    }
    return new Promise((resolve) => {
      const { epoch, replica } = partition;
      const late: Ended = { result: "failed", epoch, why: { kind: "too-few", answered: [] } };
      const timer = clock.after(limits.electionMsMax, () => resolve(late));
      const waiting = this.#ends.get(partition) ?? [];
      this.#ends.set(partition, waiting);
      const end = (ended: Ended): void => {
        timer.cancel();
        resolve(ended);
      };
      // a candidacy that this one takes the place of ends first: that is not the end of this one
      waiting.push({ before: replica.election?.epoch ?? null, end });
      run(partition, tryLead(replica, seenEpoch, kind, clock.now(), published(topicId, index)));
    });
  }

  /** Effects "lead" and "election-failed", and a partition that goes. */
  ended(partition: Partition, ended: Ended): void {
    const waiting = this.#ends.get(partition) ?? [];
    const isOther = ({ before }: EndWaiter): boolean => ended.result === "failed" && ended.epoch === before;
    const left = waiting.filter(isOther);
    if (left.length > 0) this.#ends.set(partition, left);
    else this.#ends.delete(partition);
    for (const one of waiting) if (!isOther(one)) one.end(ended);
  }

  close(): void {
    for (const partition of [...this.#ends.keys()]) this.ended(partition, { result: "not-here" });
    this.#voters.clear();
  }
}

function voterKey({ log }: Partition, candidate: ReplicaId, epoch: Epoch): string {
  return `${log.key} ${candidate} ${epoch}`;
}
