// A message as one session gets it, by what its subscriptions mean together. Pure.
import type { Both } from "../match/merged.ts";
import type { Cursor, Delivery } from "./flight.ts";
import type { Message } from "./message.ts";

/** Null: nothing is to be sent, as the client published it itself and wants none of that ([MQTT-3.8.3-3]). */
export function deliveryOf(
  message: Message,
  both: Both,
  clientId: string,
  cursor: Cursor | null,
  offset: number,
): Delivery | null {
  const merged = message.publisher === clientId ? both.own : both.all;
  if (merged === null) return null;
  return {
    message,
    qos: merged.qos < message.qos ? merged.qos : message.qos, // [MQTT-3.8.4-8]
    retain: merged.retainAsPublished && message.retain, // [MQTT-3.3.1-12], [MQTT-3.3.1-13]
    subscriptionIds: merged.ids,
    cursor,
    offset,
  };
}
