// A CONNECT that is admitted meets the session of its client id: taken over, resumed, or begun anew. Pure.
import type { Admission } from "./connect.ts";
import type { SessionEffect } from "./effects.ts";
import type { Session } from "./session.ts";
import type { MayRead } from "./subscriptions.ts";

export interface Admitted {
  readonly session: Session;
  /** For the new connection. */
  readonly effects: SessionEffect[];
}

/**
 * @param existing the session of this client id, in memory or from its record; null: there is none.
 * @param make begins a session that has no past.
 * @param carryOut what is due to the connection before and to the hub, of the existing session. It is called before the
 * session has its new connection: a will that comes back to it is queued then, not sent where nobody is yet.
 */
export function admit(
  existing: Session | null,
  admission: Admission,
  mayRead: MayRead,
  make: () => Session,
  now: number,
  carryOut: (before: SessionEffect[]) => void,
): Admitted {
  if (existing !== null) {
    const before: SessionEffect[] = [];
    existing.tick(now, before); // it may have expired unnoticed
    existing.takeOver(admission.clean, now, before); // [MQTT-3.1.2-4], [MQTT-3.1.4-3]
    carryOut(before);
  }
  const kept = existing === null || existing.isOver ? null : existing; // [MQTT-3.1.2-5], [MQTT-3.1.2-6]
  const session = kept ?? make();
  const effects: SessionEffect[] = [];
  session.connect(admission, mayRead, kept !== null, now, effects); // [MQTT-3.2.2-2], [MQTT-3.2.2-3]
  return { session, effects };
}
