// Where a client is sent that this hub serves no longer, or has no room for (MQTT5 section 4.11).
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Reason, type ReasonCode } from "../wire/packet.ts";

/** Other hubs with room. */
export interface Elsewhere {
  /** host:port of each hub's MQTT listener, at least one. */
  readonly references: readonly string[];
  /** This hub will not be there again. */
  readonly isForGood: boolean;
}

export interface Detour {
  readonly code: ReasonCode;
  readonly reference: string;
}

/** @param turn counts up, so that not all go to the same hub. Null: no hub is known. */
export function detourOf(known: Elsewhere | null, turn: number): Detour | null {
  if (known === null) return null;
  const { references, isForGood } = known;
  return {
    code: isForGood ? Reason.serverMoved : Reason.useAnotherServer,
    reference: references[turn % references.length]!,
  };
}

/** The addresses are of TCP: of no use to who came over a WebSocket. */
export function canDial(stream: Duplex): boolean {
  return stream instanceof Socket;
}
