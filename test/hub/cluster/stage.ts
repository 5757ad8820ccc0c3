// Three replicas of one partition on a stage: links that reach at once or not at all, disks that sync when told.
import assert from "node:assert/strict";
import * as machine from "../../../hub/cluster/replica.ts";
import type {
  FollowerFetch,
  PartitionConfig,
  PublishedState,
  ReplicaEffect,
  ReplicaId,
  StoredReplica,
} from "../../../hub/cluster/types.ts";
import { ArrayLog } from "./array_log.ts";

export const settings = { lagMsMax: 10_000, voteWaitMs: 200, electionMsMax: 1000 };

/** Replicas that reach each other at once unless a link is cut; disks that sync at once unless told otherwise. */
export class Stage {
  readonly config: PartitionConfig;
  readonly replicas = new Map<ReplicaId, machine.Replica>();
  readonly logs = new Map<ReplicaId, ArrayLog>();
  readonly down = new Set<ReplicaId>();
  readonly told: string[] = [];
  /** What stands in Redis; a publication is stored at once, or waits while it is away. */
  published: PublishedState | undefined = undefined;
  redisAway = false;
  readonly #waiting: [ReplicaId, ReplicaEffect & { kind: "publish" }][] = [];
  now = 0;

  constructor(names: readonly ReplicaId[], m: number, extra: readonly ReplicaId[] = []) {
    this.config = { id: { epoch: 0, n: 0 }, old: { members: names, m }, next: null };
    for (const id of [...names, ...extra]) {
      const log = new ArrayLog([]);
      this.logs.set(id, log);
      const found: StoredReplica = machine.freshState(this.config);
      const state = extra.includes(id) ? { ...found, amnesia: "lost" as const } : found;
      this.replicas.set(id, machine.newReplica(id, log, state, settings, 0, 0));
    }
  }

  at(id: ReplicaId): machine.Replica {
    return this.replicas.get(id)!;
  }

  run(id: ReplicaId, effects: readonly ReplicaEffect[]): void {
    for (const effect of effects) this.#do(id, effect);
  }

  #do(id: ReplicaId, effect: ReplicaEffect): void {
    const replica = this.at(id);
    switch (effect.kind) {
      case "persist":
        return this.run(id, machine.stored(replica, effect.version, this.now));
      case "request-votes":
        for (const to of effect.to) {
          if (!this.down.has(to)) this.run(to, machine.voteRequested(this.at(to), effect.request, this.now));
        }
        return;
      case "answer-vote":
        if (!this.down.has(effect.to))
          this.run(effect.to, machine.voteAnswered(this.at(effect.to), effect.reply, this.now));
        return;
      case "truncate":
        this.logs.get(id)!.truncate(effect.to);
        return this.run(id, machine.truncated(replica, this.now));
      case "publish":
        this.told.push(`${id} publish`);
        this.#waiting.push([id, effect]);
        return this.publish();
      default:
        this.told.push(`${id} ${effect.kind}${effect.kind === "election-failed" ? ` ${effect.why.kind}` : ""}`);
    }
  }

  /** What waits is told in its order. */
  publish(): void {
    while (!this.redisAway && this.#waiting.length > 0) {
      const [id, effect] = this.#waiting.shift()!;
      const replica = this.at(id);
      const state = machine.revised(replica, effect, this.published);
      if (state === null) this.run(id, machine.notPublished(replica, effect, this.published, this.now));
      else {
        this.published = state;
        this.run(id, machine.published(replica, state, this.now));
      }
    }
  }

  elect(id: ReplicaId, kind: "clean" | "roll-call" | "unclean" = "clean"): boolean {
    this.run(id, machine.tryLead(this.at(id), 0, kind, this.now));
    if (this.at(id).role === "candidate") {
      this.now += settings.electionMsMax;
      this.run(id, machine.tick(this.at(id), this.now));
    }
    return this.at(id).role === "leader";
  }

  append(id: ReplicaId): void {
    const log = this.logs.get(id)!;
    log.append(this.at(id).epoch);
    log.sync();
    this.run(id, machine.durable(this.at(id), this.now));
  }

  follow(id: ReplicaId, leader: ReplicaId): void {
    this.run(id, machine.leaderAnnounced(this.at(id), this.at(leader).epoch, leader, this.now));
  }

  /** One fetch and its answer; false when it was refused. */
  fetch(id: ReplicaId): boolean {
    const follower = this.at(id);
    const fetch = machine.fetchOf(follower) as FollowerFetch;
    assert.notEqual(fetch, null, `${id} has nothing to fetch`);
    const leader = follower.leader!;
    const verdict = machine.followerFetched(this.at(leader), fetch, this.now);
    this.run(leader, verdict.effects);
    if (verdict.kind === "refuse") return false;
    const diverging = verdict.kind === "diverging" ? verdict : null;
    const { append, effects } = machine.leaderAnswered(follower, verdict.word, diverging, this.now);
    const [mine, theirs] = [this.logs.get(id)!, this.logs.get(leader)!];
    this.run(id, effects);
    if (!append) return true;
    mine.epochs.push(...theirs.epochs.slice(mine.logEnd));
    mine.sync();
    this.run(id, machine.durable(follower, this.now));
    return true;
  }

  /** Fetches until there is nothing more to learn. */
  settle(...ids: readonly ReplicaId[]): void {
    for (let round = 0; round < 6; round++) for (const id of ids) this.fetch(id);
  }
}

export const [a, b, c, d] = ["1:a", "2:b", "3:c", "4:d"] as const;

/** a leads, b and c are in sync with it. */
export function whole(m = 2): Stage {
  const stage = new Stage([a, b, c], m);
  assert.ok(stage.elect(a), "a is elected");
  for (const id of [b, c]) stage.follow(id, a);
  stage.settle(b, c);
  return stage;
}
