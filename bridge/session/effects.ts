// What a session asks the shell around it to do.
import type { Options } from "../match/merged.ts";
import type { Acknowledgement, Packet, ReasonCode, Will } from "../wire/packet.ts";
import type { Want } from "./cursors.ts";
import type { InboundEffect } from "./inbound.ts";
import type { Message } from "./message.ts";
import type { Terms } from "./sender.ts";
import type { Subscribed } from "./subscriptions.ts";

/** Where a machine puts its effects, in order. */
export interface Sink<E> {
  push(effect: E): unknown;
}

export type OutboundEffect =
  | { readonly kind: "send"; readonly packet: Acknowledgement }
  /** A PUBLISH: `outgoing(message)` with these terms. */
  | { readonly kind: "publish"; readonly message: Message; readonly terms: Terms }
  /** Store the session as `snapshot` gives it now, then tell `onStored` with the ticket. */
  | { readonly kind: "store"; readonly ticket: number }
  /** Read these records again, then tell `onFetched` for each. */
  | { readonly kind: "fetch"; readonly wants: readonly Want[] }
  /** An offer was refused; there is room again. */
  | { readonly kind: "more" };

/** A sink that takes a PUBLISH of QoS 0 with nothing of this client's own as such: most of a fan-out is that. */
export interface DeliverySink extends Sink<SessionEffect> {
  plain?(message: Message, retain: boolean): void;
}

export type SessionEffect =
  | InboundEffect
  | OutboundEffect
  | { readonly kind: "send"; readonly packet: Packet }
  /** Close the socket once what was sent before is written. */
  | { readonly kind: "close"; readonly code: ReasonCode; readonly by: "client" | "hub" }
  /** Set the filter in the tree, and open cursors where it reads. */
  | ({ readonly kind: "subscribe" } & Subscribed)
  | { readonly kind: "unsubscribe"; readonly filter: string }
  /** Tell `onReady` with the ticket once whatever is acknowledged from then on reaches the subscriptions above. */
  | { readonly kind: "await"; readonly ticket: number }
  /** Hand the retained messages of the filter to `deliverRetained`. */
  | { readonly kind: "retained"; readonly filter: string; readonly options: Options }
  /** Keep the will where another hub finds it, should this one die; nobody waits for it. */
  | { readonly kind: "keepWill"; readonly will: Will; readonly dueAt: number | null }
  | { readonly kind: "dropWill" }
  | { readonly kind: "publishWill"; readonly message: Message }
  /** The session is over: its record goes, and so does its object. */
  | { readonly kind: "ended" };

export function pushAll<E>(held: readonly E[], effects: Sink<E>): void {
  for (const effect of held) effects.push(effect);
}
