// When a session's will is published and when the session ends (MQTT5 sections 3.1.2.5, 3.1.2.11.2, 3.1.3.2.2). Pure.
import { limits } from "../../hub/mod.ts";
import { MqttProblem, Reason, type Will } from "../wire/packet.ts";
import type { SessionEffect, Sink } from "./effects.ts";
import { messageOfWill } from "./message.ts";
import type { StoredWill } from "./record.ts";

const second = 1_000;

export class Lifetime {
  readonly #clientId: string;
  #expirySeconds: number;
  /** Null while a connection is there. */
  #expiresAt: number | null;
  #will: Will | null = null;
  /** A will that waits for its delay; null while a connection is there. */
  #willAt: number | null = null;

  constructor(clientId: string, expirySeconds: number, expiresAt: number | null) {
    this.#clientId = clientId;
    this.#expirySeconds = expirySeconds;
    this.#expiresAt = expiresAt;
  }

  get expirySeconds(): number {
    return this.#expirySeconds;
  }

  get expiresAt(): number | null {
    return this.#expiresAt;
  }

  get willAt(): number | null {
    return this.#willAt;
  }

  /** A will that was kept while its hub died: its delay begins now, if it had not begun before. */
  restoreWill({ will, dueAt }: StoredWill, now: number): void {
    this.#will = will;
    this.#willAt = dueAt ?? now + this.#delayOf(will) * second;
    this.#expiresAt ??= this.#willAt; // of a session that was to end with its connection, only the will is left
  }

  /** A will that waits is not sent when the session goes on ([MQTT-3.1.3-9]). */
  connect(expirySeconds: number, will: Will | null, effects: Sink<SessionEffect>): void {
    if (this.#will !== null && will === null) effects.push({ kind: "dropWill" });
    if (will !== null) effects.push({ kind: "keepWill", will, dueAt: null });
    this.#expirySeconds = expirySeconds;
    this.#expiresAt = null;
    this.#will = will;
    this.#willAt = null;
  }

  /** DISCONNECT may change how long the session is kept. @throws MqttProblem when it was to end. */
  changeExpiry(seconds: number): void {
    if (this.#expirySeconds === 0 && seconds !== 0) {
      throw new MqttProblem(Reason.protocolError, "a session that was to end cannot be kept (MQTT5 3.14.2.2.2)");
    }
    this.#expirySeconds = Math.min(seconds, limits.mqttSessionExpirySecondsMax);
  }

  /** [MQTT-3.14.4-3] */
  discardWill(effects: Sink<SessionEffect>): void {
    if (this.#will === null) return;
    this.#will = null;
    this.#willAt = null;
    effects.push({ kind: "dropWill" });
  }

  /** The connection is gone; true: the session ends with it. */
  lose(now: number, effects: Sink<SessionEffect>): boolean {
    const delay = this.#will === null ? 0 : this.#delayOf(this.#will);
    if (this.#will !== null && delay > 0) {
      this.#willAt = now + delay * second;
      effects.push({ kind: "keepWill", will: this.#will, dueAt: this.#willAt });
    } else this.publishWill(now, effects);
    if (this.#expirySeconds === 0) return true;
    this.#expiresAt = now + this.#expirySeconds * second;
    return false;
  }

  /** Once ([MQTT-3.1.2-10]). */
  publishWill(now: number, effects: Sink<SessionEffect>): void {
    if (this.#will === null) return;
    effects.push({ kind: "publishWill", message: messageOfWill(this.#will, this.#clientId, now) });
    effects.push({ kind: "dropWill" });
    this.#will = null;
    this.#willAt = null;
  }

  /** Seconds; a will is due after its delay or with the end of the session, whichever comes first ([MQTT-3.1.2-8]). */
  #delayOf(will: Will): number {
    return Math.min(will.properties.willDelay ?? 0, this.#expirySeconds);
  }
}
