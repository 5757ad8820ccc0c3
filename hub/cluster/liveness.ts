// Who lives: counters of beats by this hub's own clock, and what hubs say of their connections. Pure.
import type { Millis } from "../io/ports.ts";
import type { HubId } from "./types.ts";

/** What each hub says about itself, about once a second (replication.md 2.3). */
export interface Beat {
  readonly hubId: HubId;
  readonly dirId: string;
  /** Of this run of its process. */
  readonly session: string;
  readonly counter: number;
  /** It holds data, so it knows a cluster. */
  readonly hasData: boolean;
  /** Up to where its journal has the metadata. */
  readonly metaSeq: number;
  readonly draining: boolean;
  /** Where MQTT clients find it; null while it serves none, or has no room for more. */
  readonly mqtt: string | null;
  /** Hubs whose connection closed and whose port refuses. */
  readonly gone: readonly HubId[];
  /** Hubs that do not answer. */
  readonly silent: readonly HubId[];
}

interface Pulse {
  beat: Beat;
  /** When its counter last moved, by our clock. */
  movedAt: Millis;
}

export interface LivenessSettings {
  readonly sessionMs: Millis;
  /** A hub that others call silent is down once its counter stood still this long; 2 s. */
  readonly stallMs: Millis;
}

export interface Liveness {
  readonly settings: LivenessSettings;
  readonly pulses: Map<HubId, Pulse>;
}

export function newLiveness(settings: LivenessSettings): Liveness {
  return { settings, pulses: new Map() };
}

/** A beat was heard; true when it tells something beside that it came. */
export function heard(liveness: Liveness, beat: Beat, now: Millis): boolean {
  const pulse = liveness.pulses.get(beat.hubId);
  if (pulse === undefined || pulse.beat.session !== beat.session) {
    liveness.pulses.set(beat.hubId, { beat, movedAt: now });
    return true;
  }
  if (beat.counter <= pulse.beat.counter) return false;
  const before = pulse.beat;
  pulse.beat = beat;
  pulse.movedAt = now;
  return (
    before.metaSeq !== beat.metaSeq ||
    before.draining !== beat.draining ||
    before.gone.join() !== beat.gone.join() ||
    before.silent.join() !== beat.silent.join()
  );
}

/** Own polls failed or own beats were not heard: nothing that was missed meanwhile is held against anybody. */
export function forgive(liveness: Liveness, now: Millis): void {
  for (const pulse of liveness.pulses.values()) pulse.movedAt = now;
}

/** Never heard of since this hub started, or not for a session. */
export function isLate(liveness: Liveness, hub: HubId, now: Millis, since: Millis): boolean {
  const { sessionMs } = liveness.settings;
  const pulse = liveness.pulses.get(hub);
  return now - (pulse?.movedAt ?? since) > sessionMs;
}

/**
 * Down: late, or gone for all that can tell, or silent for them and stalled. Wrong verdicts cost availability alone.
 * @param witnesses hubs whose word counts: those that are not late, the suspect aside
 */
export function isDown(liveness: Liveness, hub: HubId, hubs: readonly HubId[], now: Millis, since: Millis): boolean {
  if (isLate(liveness, hub, now, since)) return true;
  const witnesses = hubs.filter((other) => other !== hub && !isLate(liveness, other, now, since));
  const needed = Math.min(2, witnesses.length);
  if (needed === 0) return false;
  const says = (list: "gone" | "silent"): number =>
    witnesses.filter((other) => liveness.pulses.get(other)?.beat[list].includes(hub)).length;
  if (says("gone") >= needed) return true;
  const stalled = now - (liveness.pulses.get(hub)?.movedAt ?? since) >= liveness.settings.stallMs;
  return stalled && says("silent") + says("gone") >= needed;
}
