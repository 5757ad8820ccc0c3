// A message as one session gets it, by what its subscriptions mean together. Pure.
import type { Both, Merged } from "../match/merged.ts";
import type { Cursor, Delivery } from "./flight.ts";
import type { Message } from "./message.ts";

/** What the client's subscriptions mean for the message; null: it published it itself and wants none of that. */
export function mergedFor(message: Message, both: Both, clientId: string): Merged | null {
  return message.publisher === clientId ? both.own : both.all; // [MQTT-3.8.3-3]
}

/** Null: nothing is to be sent, as `mergedFor` says. */
export function deliveryOf(
  message: Message,
  both: Both,
  clientId: string,
  cursor: Cursor | null,
  offset: number,
): Delivery | null {
  const merged = mergedFor(message, both, clientId);
  return merged === null ? null : deliveryUnder(message, merged, cursor, offset);
}

export function deliveryUnder(message: Message, merged: Merged, cursor: Cursor | null, offset: number): Delivery {
  return {
    message,
    qos: merged.qos < message.qos ? merged.qos : message.qos, // [MQTT-3.8.4-8]
    retain: merged.retainAsPublished && message.retain, // [MQTT-3.3.1-12], [MQTT-3.3.1-13]
    subscriptionIds: merged.ids,
    cursor,
    offset,
  };
}
