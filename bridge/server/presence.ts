// Who came and who went, as records of `mqtt.presence`: key = client id, value = JSON.
import type { Clock, Producer, Trace } from "../../hub/mod.ts";

export const presenceTopic = "mqtt.presence";

/** One event; times are milliseconds since the epoch. */
export interface PresenceEvent {
  readonly event: "connected" | "disconnected";
  readonly client: string;
  readonly address: string;
  readonly at: number;
  /** 3.1.1 or 5. */
  readonly protocol: "3.1.1" | "5";
  /** Of a disconnect: goodbye (the client said so), lost (it did not), or why the hub ended it. */
  readonly why?: string;
}

const encoder = new TextEncoder();

export class Presence {
  readonly #producer: Producer;
  readonly #clock: Clock;
  readonly #trace: Trace;

  constructor(producer: Producer, clock: Clock, trace: Trace) {
    this.#producer = producer;
    this.#clock = clock;
    this.#trace = trace;
  }

  /** Nobody waits for it; what finds no room, or is not stored, is counted. */
  tell(event: Omit<PresenceEvent, "at">): void {
    const at = this.#clock.wall();
    const value = encoder.encode(JSON.stringify({ ...event, at }));
    const record = { key: encoder.encode(event.client), value, timestamp: at };
    this.#producer.send(presenceTopic, record, (error) => {
      if (error !== null) this.#trace.count("mqtt_presence_lost_total");
    });
  }
}
