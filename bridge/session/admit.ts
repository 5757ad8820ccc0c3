// A CONNECT that is admitted meets the session of its client id: taken over, resumed, or begun anew. Pure.
import type { Admission } from "./connect.ts";
import type { SessionEffect } from "./effects.ts";
import type { Session } from "./session.ts";
import type { MayRead } from "./subscriptions.ts";

export interface Admitted {
  readonly session: Session;
  /** For the connection before and for the hub; to be done first. */
  readonly before: SessionEffect[];
  /** For the new connection. */
  readonly effects: SessionEffect[];
}

/**
 * @param existing the session of this client id, in memory or from its record; null: there is none.
 * @param make begins a session that has no past.
 */
export function admit(
  existing: Session | null,
  admission: Admission,
  mayRead: MayRead,
  make: () => Session,
  now: number,
): Admitted {
  const before: SessionEffect[] = [];
  const effects: SessionEffect[] = [];
  existing?.tick(now, before); // it may have expired unnoticed
  existing?.takeOver(admission.clean, now, before); // [MQTT-3.1.2-4], [MQTT-3.1.4-3]
  const kept = existing === null || existing.isOver ? null : existing; // [MQTT-3.1.2-5], [MQTT-3.1.2-6]
  const session = kept ?? make();
  session.connect(admission, mayRead, kept !== null, now, effects); // [MQTT-3.2.2-2], [MQTT-3.2.2-3]
  return { session, before, effects };
}
