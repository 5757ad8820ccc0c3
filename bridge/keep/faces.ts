// What the broker keeps beyond its own life, as it sees it: sessions, wills, QoS 2 ids, retained messages. Types only.
import type { OutRecord } from "../../hub/mod.ts";
import type { Message } from "../session/message.ts";
import type { Past, StoredSession, StoredWill } from "../session/record.ts";
import type { ReasonCode } from "../wire/packet.ts";

/** Of the hub, what keepers use beside its client. */
export interface KeepingHub {
  readonly hubId: number;
  /** It is one of a cluster. */
  readonly isClustered: boolean;
  /** Makes a topic unless it is there. */
  ensureTopic(name: string): Promise<void>;
  /** Of a lone hub: stores both in one journal group. Begins before it returns. */
  storeTogether(topic: string, record: OutRecord, note: TopicRecord): Promise<{ readonly noteOffset: number }>;
}

export interface TopicRecord {
  readonly topic: string;
  readonly record: OutRecord;
}

export interface KnownSession {
  readonly clientId: string;
  readonly past: Past;
}

/** What the keeper tells the broker. */
export interface SessionKeeperEvents {
  /**
   * Another hub owns the client now: its connection here ends (0x8e), and its object goes without a write. Gives the
   * session as it was last, so that the other hub repeats less; null when there is none to keep.
   */
  readonly onTaken: (clientId: string) => StoredSession | null;
  /** Whether the broker has a session of the client, with a connection or without one. */
  readonly isKnown: (clientId: string) => boolean;
  /** Sessions nobody looks after any more (their hub is dead): this hub does, with their wills and expiry. */
  readonly onInherited: (sessions: readonly KnownSession[]) => void;
}

/** `__mqtt_sessions`. Writes for one client keep their order. */
export interface SessionKeeper {
  /** False: there is one hub, so that nobody else can own a client and `claim` is not needed. */
  readonly isShared: boolean;
  /** Reads all that is kept; once, before anything else. What this hub looks after; in a cluster that is inherited. */
  open(): Promise<readonly KnownSession[]>;
  /**
   * A client connects here: resolves when no other hub writes for it any more, with what is kept of it; a session that
   * the broker has already goes before that. Rejects when another hub claimed the client meanwhile.
   */
  claim(clientId: string): Promise<{ readonly past: Past | null; readonly epoch: number }>;
  /** Resolves when it is committed; rejects with a HubError when it is not, or when another hub owns the client. */
  store(clientId: string, session: StoredSession): Promise<void>;
  /** null removes it. Nobody waits for it; a failure is counted. */
  keepWill(clientId: string, will: StoredWill | null): void;
  /** Removes all that is kept of the client. */
  end(clientId: string): Promise<void>;
  /**
   * QoS 2: the record and the packet id, once, across crashes and hubs, in the order of the calls. Rejects with a
   * retriable HubError where nobody knows what becomes of it: then the client is to send it again.
   */
  storeOnce(clientId: string, packetId: number, topic: string, record: OutRecord): Promise<void>;
  /** PUBREL: resolves when the id is durably free. */
  release(clientId: string, packetId: number): Promise<void>;
  close(): Promise<void>;
}

/** `__mqtt_retained`: the newest retained message of each topic. */
export interface RetainedKeeper {
  open(): Promise<void>;
  readonly count: number;
  /** An empty payload removes. Resolves with success when committed, or with 0x97 when there is no room. */
  set(message: Message): Promise<ReasonCode>;
  /** What a new subscription gets: all that was acknowledged before the call, also by other hubs. */
  match(filter: string, now: number): readonly Message[] | Promise<readonly Message[]>;
  close(): Promise<void>;
}
