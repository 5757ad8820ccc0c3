// Beats: this hub says that it lives, hears that others do, and judges who is down.
import { type Beat, forgive, heard, isDown, isLate, type Liveness, newLiveness } from "../cluster/liveness.ts";
import type { HubId } from "../cluster/types.ts";
import type { Coordination, HubEntry } from "../io/coordination.ts";
import type { Clock, Millis, Timer } from "../io/ports.ts";
import { limits } from "../limits.ts";
import type { Trace } from "../trace.ts";
import type { ClusterMemory } from "./cluster_memory.ts";

export interface PulseOptions {
  readonly coordination: Coordination;
  readonly memory: ClusterMemory;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly me: HubEntry;
  readonly session: string;
  readonly hasData: boolean;
  readonly beatMs: Millis;
  readonly sessionMs: Millis;
  /** A beat of another hub was heard; `news`: it tells more than that it came. */
  readonly onHeard: (news: boolean) => void;
  /** With each beat of this hub. */
  readonly onBeat: () => void;
}

export class Pulse {
  readonly #options: PulseOptions;
  readonly #liveness: Liveness;
  readonly #began: Millis;
  readonly #gone = new Set<HubId>();
  readonly #silent = new Set<HubId>();
  /** Folder of another process that beats under this hub's number. */
  twin: string | null = null;
  #stranger: { readonly session: string; readonly since: Millis } | null = null;
  #counter = 0;
  #heardOwn: Millis;
  #timer: Timer | null = null;
  #draining = false;
  /** Where MQTT clients of other hubs may come; null: not here, or not now. */
  mqtt: () => string | null = () => null;
  #closed = false;

  constructor(options: PulseOptions) {
    this.#options = options;
    this.#began = this.#heardOwn = options.clock.now();
    this.#liveness = newLiveness({ sessionMs: options.sessionMs, stallMs: limits.peerStallMs });
    options.coordination.onBeat((text) => this.#heard(text));
  }

  /** Beats from now on, from the main loop: one that hangs stops beating. */
  start(): void {
    const { clock, beatMs, sessionMs, coordination, trace, onBeat } = this.#options;
    if (this.#closed) return;
    const began = clock.now();
    this.#timer = clock.after(beatMs, () => {
      // A loop that stood still heard nobody: nobody is late for that (replication.md 2.3).
      const gap = clock.now() - began;
      if (gap > sessionMs / 2) {
        this.forgive();
        trace.event("warn", "event_loop_stalled", { ms: Math.round(gap) });
      }
      this.start();
    });
    if (coordination.state() === "down") return this.forgive();
    if (clock.now() - this.#heardOwn > sessionMs / 2) this.forgive();
    this.say();
    onBeat();
  }

  /** Beats at once: something changed that others should not wait for. */
  say(): void {
    const { me, session, hasData, memory, coordination } = this.#options;
    const beat: Beat = {
      hubId: me.hubId,
      dirId: me.dirId,
      session,
      counter: ++this.#counter,
      hasData: hasData || memory.seen !== null,
      metaSeq: memory.storedSeq,
      draining: this.#draining,
      mqtt: this.mqtt(),
      gone: [...this.#gone],
      silent: [...this.#silent],
    };
    coordination.publish(JSON.stringify(beat)).catch(() => {}); // the next one comes in a second
  }

  #heard(text: string): void {
    const { clock, me, session, onHeard } = this.#options;
    const beat = JSON.parse(text) as Beat;
    if (beat.hubId === me.hubId && beat.session !== session) return this.#hearStranger(beat);
    if (beat.hubId === me.hubId) this.#heardOwn = clock.now();
    onHeard(heard(this.#liveness, beat, clock.now()));
  }

  /**
   * One that goes on beating is another process. What this hub said before it was started anew may come late, all at
   * once, from a Redis that hung meanwhile.
   */
  #hearStranger({ session, dirId }: Beat): void {
    const { clock, beatMs } = this.#options;
    if (this.#stranger?.session !== session) this.#stranger = { session, since: clock.now() };
    else if (clock.now() - this.#stranger.since > beatMs / 4) this.twin = dirId;
  }

  /** What was missed is held against nobody: Redis was away, or this hub was. */
  forgive(): void {
    forgive(this.#liveness, this.#options.clock.now());
  }

  /** This hub's connection to another is open, closed for good, or does not answer; others hear of it at once. */
  suspect(hub: HubId, state: "open" | "gone" | "silent"): void {
    this.#gone.delete(hub);
    this.#silent.delete(hub);
    if (state === "gone") this.#gone.add(hub);
    if (state === "silent") this.#silent.add(hub);
    this.say();
  }

  isGone(hub: HubId): boolean {
    return this.#gone.has(hub);
  }

  isDown(hub: HubId): boolean {
    const { clock, coordination, memory, me } = this.#options;
    if (hub === me.hubId) return false;
    if (coordination.state() === "down") return this.#gone.has(hub);
    return isDown(this.#liveness, hub, [...memory.hubs.keys()], clock.now(), this.#began);
  }

  isLate(hub: HubId): boolean {
    return isLate(this.#liveness, hub, this.#options.clock.now(), this.#began);
  }

  /** It says of itself that it is about to stop. */
  isDraining(hub: HubId): boolean {
    return hub === this.#options.me.hubId ? this.#draining : (this.beatOf(hub)?.draining ?? false);
  }

  drain(): void {
    this.#draining = true;
    this.say();
  }

  beatOf(hub: HubId): Beat | undefined {
    return this.#liveness.pulses.get(hub)?.beat;
  }

  /** The last beat of every hub that was ever heard. */
  beats(): Beat[] {
    return [...this.#liveness.pulses.values()].map(({ beat }) => beat);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }
}
