// One QoS 1 or 2 delivery on its way to a client, and where in the log it comes from. Pure.
import type { Qos } from "../wire/packet.ts";
import type { Message } from "./message.ts";

/** A partition as one session reads it. */
export interface Cursor {
  readonly topic: string;
  readonly partition: number;
  /**
   * Empty: the session's own. `$stream/...`: of a replay of it. Else the group id of the shared subscription whose
   * partition this session reads for its group.
   */
  readonly group: string;
  /** Offset of the next record to be read for the session; while `attached` the hub's shared tail knows it. */
  next: number;
  /**
   * QoS 0 is sent from here on: what was published while the client was away is not kept for it, and after a crash of
   * the hub nothing comes twice.
   */
  liveFrom: number;
  /** The session reads with the shared tail; else by itself, from `next`. */
  attached: boolean;
}

/** One message for one client. */
export interface Delivery {
  readonly message: Message;
  /** The lower one of the message's and the subscriptions' ([MQTT-3.8.4-8]). */
  readonly qos: Qos;
  /** As it is to be sent ([MQTT-3.3.1-12], -13). */
  readonly retain: boolean;
  readonly subscriptionIds: readonly number[];
  /** Null: the message is in no log. */
  readonly cursor: Cursor | null;
  readonly offset: number;
}

/**
 * storing: the packet id is being stored with the session (QoS 2 only); publish: PUBLISH is to be sent or answered;
 * received: PUBREC came and is being stored; release: PUBREL is to be sent or answered.
 */
export type Stage = "storing" | "publish" | "received" | "release";

export interface Flight {
  readonly packetId: number;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly cursor: Cursor | null;
  readonly offset: number;
  stage: Stage;
  /** What to send; null: it has to be read again, or is not needed any more. */
  content: Content | null;
  /** The PUBLISH was sent at least once: the next time it carries DUP ([MQTT-3.3.1-1]). */
  sent: boolean;
  /** It counts against the receive maximum of this connection. */
  live: boolean;
  /** Order of its PUBREC among others; PUBRELs follow it ([MQTT-4.6.0-4]). */
  received: number;
}

export interface Content {
  readonly message: Message;
  readonly subscriptionIds: readonly number[];
}

/** A flight as the session's record keeps it. */
export interface StoredFlight {
  readonly packetId: number;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  /** PUBREL is next; else the PUBLISH, with DUP: it may have been sent after this was written. */
  readonly released: boolean;
  /** Index into the positions; -1: its message was in no log and is gone. */
  readonly position: number;
  readonly offset: number;
}

export interface StoredPosition {
  readonly topic: string;
  readonly partition: number;
  /** Of a group its own offset counts, not `next`; the position is there for its flights. */
  readonly group: string;
  /** All records before it are settled, but for those of the flights. */
  readonly next: number;
}

export interface StoredOutbound {
  readonly positions: readonly StoredPosition[];
  /** In the order in which they were first sent; those that are released first, in the order of their PUBRECs. */
  readonly flights: readonly StoredFlight[];
}

/** What became of deliveries that the client did not get, and of acknowledgements that fit nothing. */
export interface OutboundCounts {
  expired: number;
  tooLarge: number;
  /** QoS 0 while the socket was full. */
  skipped: number;
  /** Not in a log, and no room in memory. */
  dropped: number;
  /** Acknowledged with a failure. */
  refused: number;
  /** In flight, but no longer in the log when the client came back. */
  lost: number;
  strays: number;
}

export function noCounts(): OutboundCounts {
  return { expired: 0, tooLarge: 0, skipped: 0, dropped: 0, refused: 0, lost: 0, strays: 0 };
}

/** Numbers of the session's stores. */
export interface Tickets {
  last: number;
}
