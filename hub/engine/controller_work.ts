// What the hub on the controller's seat does: finds leaders for what has none, brings leadership back home, and moves
// replicas to where they are wanted.
import {
  type Attempt,
  candidateOf,
  configOf,
  failed,
  type Governed,
  needsLeader,
  newAttempt,
  preferredOf,
  type Standing,
  tried,
} from "../cluster/controller.ts";
import type { ElectionKind, HubId, ReplicaId } from "../cluster/types.ts";
import { type Place, stepTo } from "../cluster/wanted.ts";
import { HubError } from "../errors.ts";
import type { Clock, Millis, Timer } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import { hubOf } from "./cluster_view.ts";
import type { Governor } from "./governor.ts";
import type { Moves } from "./moves.ts";
import type { ReconfigureAsked, ReconfigureTold, TryLeadAsked, TryLeadTold } from "./replica_office.ts";

export interface ControllerWorkOptions {
  readonly governor: Governor;
  readonly moves: Moves;
  readonly clock: Clock;
  readonly trace: Trace;
  /** Every partition of every topic that is known. */
  readonly governed: () => Iterable<Governed>;
  readonly tryLead: (hub: HubId, asked: readonly TryLeadAsked[]) => Promise<readonly TryLeadTold[]>;
  readonly reconfigure: (hub: HubId, asked: readonly ReconfigureAsked[]) => Promise<readonly ReconfigureTold[]>;
}

const lookMs = 100;
/** For whoever does not sit on the seat; that it took it stirs it. */
const idleLookMs = 500;
/** How often it is looked whether partitions have the replicas that are wanted. */
const setsMs = 500;

export class ControllerWork {
  readonly #options: ControllerWorkOptions;
  readonly #attempts = new Map<string, Attempt>();
  readonly #underWay = new Set<string>();
  /** Since when a partition's preferred replica could lead it. */
  readonly #ready = new Map<string, { since: Millis; waitMs: Millis }>();
  /** Partitions whose leadership was asked to go elsewhere before a change: once is enough. */
  readonly #handedOver = new Set<string>();
  #lookAtSets: Millis = 0;
  #timer: Timer | null = null;
  #soon = false;
  #closed = false;

  constructor(options: ControllerWorkOptions) {
    this.#options = options;
    this.#arm();
  }

  #arm(): void {
    if (this.#closed) return;
    const { clock, governor } = this.#options;
    this.#timer = clock.after(governor.isController() ? lookMs : idleLookMs, () => {
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
    const { governor, clock, moves } = this.#options;
    if (this.#closed || !governor.isController()) return;
    const now = clock.now();
    const isHere = (replica: ReplicaId): boolean => governor.replicaIdOf(hubOf(replica)) === replica;
    const byHub = new Map<HubId, Standing[]>();
    const asked = new Map<HubId, ReconfigureAsked[]>();
    const places = now >= this.#lookAtSets ? moves.places() : null;
    if (places !== null) this.#lookAtSets = now + setsMs;
    for (const governed of this.#options.governed()) {
      const key = `${governed.topicId}/${governed.partition}`;
      if (this.#underWay.has(key)) continue;
      if (!needsLeader(governed, governor.isDown, isHere)) {
        this.#attempts.delete(key);
        if (places === null || !this.#lookAtSet(governed, key, places, asked))
          this.#lookHome(governed, key, now, asked);
        continue;
      }
      const attempt = this.#attempts.get(key) ?? newAttempt();
      this.#attempts.set(key, attempt);
      if (now < attempt.nextAt) continue;
      const standing = candidateOf(governed, attempt, this.#isOut, isHere);
      if (standing === null) failed(attempt, now);
      else byHub.set(standing.hub, [...(byHub.get(standing.hub) ?? []), standing]);
    }
    for (const [hub, standings] of byHub) void this.#elect(hub, standings);
    for (const [leader, all] of asked) void this.#ask(leader, all);
  }

  /** Stops, or was stopped: nothing is given to it. */
  readonly #isOut = (hub: HubId): boolean => {
    const { governor } = this.#options;
    return governor.isDown(hub) || governor.isDraining(hub);
  };

  readonly #isLeaving = (hub: HubId): boolean => this.#isOut(hub) || this.#options.moves.leaves(hub);

  /** True when a change of its replicas was asked for, or is under way: leadership goes home afterwards. */
  #lookAtSet(
    governed: Governed,
    key: string,
    places: ReadonlyMap<HubId, Place>,
    asked: Map<HubId, ReconfigureAsked[]>,
  ): boolean {
    const { moves } = this.#options;
    const step = stepTo(governed, moves.wantedOf(governed, places), this.#isLeaving);
    if (step.kind === "settled") {
      this.#handedOver.delete(key);
      moves.settled(governed);
      return false;
    }
    if (step.kind === "none") return true;
    const { topicId, partition, published } = governed;
    const list = asked.get(published!.leader) ?? [];
    asked.set(published!.leader, list);
    if (step.kind === "handover" && !this.#handedOver.has(key)) {
      this.#handedOver.add(key);
      list.push({ topicId, partition, handoverTo: step.to });
      return true;
    }
    const target = step.kind === "change" ? step.target : moves.wantedOf(governed, places);
    list.push({ topicId, partition, target, lost: moves.lostOf(governed, target) });
    return true;
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
  #lookHome(governed: Governed, key: string, now: Millis, asked: Map<HubId, ReconfigureAsked[]>): void {
    const preferred = preferredOf(governed, this.#isLeaving);
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
    const list = asked.get(published!.leader) ?? [];
    asked.set(published!.leader, list);
    list.push({ topicId, partition, handoverTo: preferred });
  }

  /** What a leader refuses now is asked of it again at a later look. */
  async #ask(leader: HubId, asked: readonly ReconfigureAsked[]): Promise<void> {
    const { reconfigure, trace } = this.#options;
    for (const { topicId, partition } of asked) this.#underWay.add(`${topicId}/${partition}`);
    try {
      for (const { topicId, partition, error, message } of await reconfigure(leader, asked)) {
        if (error === "NONE") continue;
        trace.event("debug", "change_refused", { leader, topicId, partition, error, why: message });
      }
    } catch (error) {
      trace.event("debug", "change_unanswered", { leader, error: String(error) });
    } finally {
      for (const { topicId, partition } of asked) this.#underWay.delete(`${topicId}/${partition}`);
    }
  }

  /** Looks at the replicas of every partition at once: somebody asked. */
  stirSets(): void {
    this.#lookAtSets = 0;
    this.stir();
  }

  /** An operator asks: leads to the preferred replica, or to a hub, or to whoever lives. */
  async elect(governed: Governed, kind: "preferred" | "unclean", to: HubId | null): Promise<void> {
    const { governor } = this.#options;
    const { topicId, partition, published } = governed;
    const leader = published?.leader ?? -1;
    const isLed = leader >= 0 && !governor.isDown(leader);
    if (kind === "unclean") {
      // an election that may lose something is for a partition that nobody leads (KIP-460)
      if (isLed) throw new HubError("ELECTION_NOT_NEEDED", `Hub ${leader} leads it`);
      return await this.#electAnyhow(governed, "unclean");
    }
    const [first] = configOf(governed).old.members;
    const target = to ?? Number(first?.split(":")[0]);
    if (isLed && target === leader) throw new HubError("ELECTION_NOT_NEEDED", `Hub ${leader} leads it already`);
    if (!isLed) return await this.#electAnyhow(governed, "clean");
    const [told] = await this.#options.reconfigure(leader, [{ topicId, partition, handoverTo: target }]);
    if (told!.error !== "NONE") throw new HubError(told!.error, told!.message ?? undefined);
  }

  /** Asks one after another to stand; who was named as better next. */
  async #electAnyhow(governed: Governed, kind: ElectionKind): Promise<void> {
    const { tryLead, governor, clock } = this.#options;
    const key = `${governed.topicId}/${governed.partition}`;
    const attempt = newAttempt();
    const isHere = (replica: ReplicaId): boolean => governor.replicaIdOf(hubOf(replica)) === replica;
    let last: TryLeadTold | undefined;
    this.#underWay.add(key); // nobody else is asked to stand meanwhile
    try {
      for (let i = 0; i < 4; i++) {
        const standing = candidateOf(governed, attempt, governor.isDown, isHere);
        if (standing === null) break;
        [last] = await tryLead(standing.hub, [{ ...standing, kind }]);
        if (last?.result === "led") return;
        this.#learn(attempt, last, clock.now());
      }
    } finally {
      this.#underWay.delete(key);
    }
    const why = last?.result === "failed" ? last.why.kind : "none of its replicas lives";
    throw new HubError("ELIGIBLE_LEADERS_NOT_AVAILABLE", `Nobody was elected: ${why}`);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }
}
