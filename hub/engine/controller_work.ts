// What the hub on the controller's seat does: finds leaders for what has none, and brings leadership back home.
import {
  type Attempt,
  candidateOf,
  failed,
  type Governed,
  needsLeader,
  newAttempt,
  preferredOf,
  type Standing,
  tried,
} from "../cluster/controller.ts";
import type { ElectionKind, HubId, ReplicaId } from "../cluster/types.ts";
import { HubError } from "../errors.ts";
import type { Clock, Millis, Timer } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import { hubOf } from "./cluster_view.ts";
import type { Governor } from "./governor.ts";
import type { ReconfigureAsked, ReconfigureTold, TryLeadAsked, TryLeadTold } from "./replica_office.ts";

export interface ControllerWorkOptions {
  readonly governor: Governor;
  readonly clock: Clock;
  readonly trace: Trace;
  /** Every partition of every topic that is known. */
  readonly governed: () => Iterable<Governed>;
  readonly tryLead: (hub: HubId, asked: readonly TryLeadAsked[]) => Promise<readonly TryLeadTold[]>;
  readonly reconfigure: (hub: HubId, asked: readonly ReconfigureAsked[]) => Promise<readonly ReconfigureTold[]>;
}

const lookMs = 100;

export class ControllerWork {
  readonly #options: ControllerWorkOptions;
  readonly #attempts = new Map<string, Attempt>();
  readonly #underWay = new Set<string>();
  /** Since when a partition's preferred replica could lead it. */
  readonly #ready = new Map<string, { since: Millis; waitMs: Millis }>();
  #timer: Timer | null = null;
  #soon = false;
  #closed = false;

  constructor(options: ControllerWorkOptions) {
    this.#options = options;
    this.#arm();
  }

  #arm(): void {
    if (this.#closed) return;
    this.#timer = this.#options.clock.after(lookMs, () => {
      this.#look();
      this.#arm();
    });
  }

  /** Something changed: looks at the end of this turn. */
  stir(): void {
    if (this.#soon || this.#closed) return;
    this.#soon = true;
    this.#options.clock.soon(() => {
      this.#soon = false;
      this.#look();
    });
  }

  #look(): void {
    const { governor, clock } = this.#options;
    if (this.#closed || !governor.isController()) return;
    const now = clock.now();
    const isHere = (replica: ReplicaId): boolean => governor.replicaIdOf(hubOf(replica)) === replica;
    const byHub = new Map<HubId, Standing[]>();
    const home = new Map<HubId, ReconfigureAsked[]>();
    for (const governed of this.#options.governed()) {
      const key = `${governed.topicId}/${governed.partition}`;
      if (this.#underWay.has(key)) continue;
      if (!needsLeader(governed, governor.isDown, isHere)) {
        this.#attempts.delete(key);
        this.#lookHome(governed, key, now, home);
        continue;
      }
      const attempt = this.#attempts.get(key) ?? newAttempt();
      this.#attempts.set(key, attempt);
      if (now < attempt.nextAt) continue;
      const isOut = (hub: HubId): boolean => governor.isDown(hub) || governor.isDraining(hub);
      const standing = candidateOf(governed, attempt, isOut, isHere);
      if (standing === null) failed(attempt, now);
      else byHub.set(standing.hub, [...(byHub.get(standing.hub) ?? []), standing]);
    }
    for (const [hub, standings] of byHub) void this.#elect(hub, standings);
    for (const [leader, asked] of home) void this.#bringHome(leader, asked);
  }

  async #elect(hub: HubId, standings: readonly Standing[]): Promise<void> {
    const { tryLead, clock, trace } = this.#options;
    for (const { topicId, partition } of standings) this.#underWay.add(`${topicId}/${partition}`);
    let told: readonly TryLeadTold[] = [];
    try {
      told = await tryLead(hub, standings);
    } catch (error) {
      trace.event("debug", "election_unanswered", { hub, partitions: standings.length, error: String(error) });
    }
    for (const [i, standing] of standings.entries()) {
      const key = `${standing.topicId}/${standing.partition}`;
      this.#underWay.delete(key);
      const attempt = this.#attempts.get(key);
      if (attempt) this.#learn(attempt, told[i], clock.now());
    }
  }

  #learn(attempt: Attempt, told: TryLeadTold | undefined, now: Millis): void {
    // The new leader's state comes by its own publication; until then it is not asked again at once.
    if (told?.result === "led") return void (attempt.nextAt = now + limits.electionMsMax);
    tried(attempt, told?.result === "failed" ? told.why : null, now);
  }

  /** Preferred return: after a while in the ISR, ever later when it does not last (replication.md 2.8). */
  #lookHome(governed: Governed, key: string, now: Millis, home: Map<HubId, ReconfigureAsked[]>): void {
    const { governor } = this.#options;
    const isOut = (hub: HubId): boolean => governor.isDown(hub) || governor.isDraining(hub);
    const preferred = preferredOf(governed, isOut);
    const ready = this.#ready.get(key);
    if (preferred === null) {
      if (ready) ready.since = Number.POSITIVE_INFINITY;
      return;
    }
    if (ready === undefined) return void this.#ready.set(key, { since: now, waitMs: limits.preferredReturnMs });
    if (ready.since === Number.POSITIVE_INFINITY) ready.since = now;
    if (now - ready.since < ready.waitMs) return;
    ready.since = now;
    ready.waitMs = Math.min(ready.waitMs * 2, limits.preferredReturnMsMax);
    const { topicId, partition, published } = governed;
    const asked = home.get(published!.leader) ?? [];
    home.set(published!.leader, asked);
    asked.push({ topicId, partition, handoverTo: preferred });
  }

  async #bringHome(leader: HubId, asked: readonly ReconfigureAsked[]): Promise<void> {
    try {
      await this.#options.reconfigure(leader, asked);
    } catch (error) {
      this.#options.trace.event("debug", "preferred_return_failed", { leader, error: String(error) });
    }
  }

  /** An operator asks: leads to the preferred replica, or to a hub, or whatever it takes. */
  async elect(governed: Governed, kind: ElectionKind | "preferred", to?: HubId): Promise<void> {
    const { tryLead, reconfigure, governor } = this.#options;
    const { topicId, partition, published } = governed;
    const target = to ?? preferredOf(governed, governor.isDown);
    if (kind === "preferred" || to !== undefined) {
      if (target === null || target === published?.leader) throw new HubError("ELECTION_NOT_NEEDED");
      const leader = published?.leader ?? -1;
      if (leader >= 0 && !governor.isDown(leader)) {
        const [told] = await reconfigure(leader, [{ topicId, partition, handoverTo: target }]);
        if (told!.error !== "NONE") throw new HubError(told!.error, told!.message ?? undefined);
        return;
      }
    }
    const standing = candidateOf(governed, newAttempt(), governor.isDown, () => true);
    if (standing === null) throw new HubError("ELIGIBLE_LEADERS_NOT_AVAILABLE", "None of its replicas lives");
    const asked = { ...standing, kind: kind === "preferred" ? ("clean" as const) : kind };
    const [told] = await tryLead(target ?? standing.hub, [asked]);
    if (told?.result !== "led") {
      throw new HubError("ELIGIBLE_LEADERS_NOT_AVAILABLE", JSON.stringify(told ?? "no answer"));
    }
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }
}
