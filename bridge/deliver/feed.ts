// One partition as this hub reads it for its sessions, and one session as it is fed. Pure.
import type { Options } from "../match/merged.ts";
import type { Cursor } from "../session/flight.ts";
import type { StreamFilter } from "../session/stream.ts";
import type { Downlink } from "./downlink.ts";
import type { Subscriber } from "./faces.ts";
import type { Interest } from "./interests.ts";
import type { Kept } from "./recent.ts";

export class Feed {
  readonly topic: string;
  readonly partition: number;
  readonly downlink: Downlink | null;
  /** Offset of the next record to be handed out; what lies before it was. */
  next = 0;
  isReading = false;
  /** It had a leader when it was told of last, so that its end can be asked for. */
  isLed = false;
  /** Counts starts and stops: what was fetched for an earlier one is not handed out. */
  turn = 0;
  /** Of sessions that are connected. */
  readonly cursors = new Map<Member, Cursor>();
  /** Those of them that are replays: they get what no filter tree says. */
  readonly streams = new Set<Member>();
  /** How many of them read by themselves. */
  behind = 0;
  /** Batches handed out lately, in order and without a gap, for those who are a little behind. */
  recent: Kept[] = [];

  constructor(topic: string, partition: number, downlink: Downlink | null) {
    this.topic = topic;
    this.partition = partition;
    this.downlink = downlink;
  }
}

/** A filter of a connected session. */
export interface Wish {
  readonly interest: Interest;
  /** Its cursors are open: what is made from now on is read from its beginning. */
  isInForce: boolean;
}

/** A replay of a session: it reads for itself, beside the session's other subscriptions. */
export interface Stream extends StreamFilter {
  /** The whole filter, which is the group of its cursors. */
  readonly name: string;
  options: Options;
}

/** A session that is connected, or a replay of one. */
export class Member {
  readonly subscriber: Subscriber;
  readonly stream: Stream | null;
  /** All its filters, shared ones too. */
  readonly filters = new Set<string>();
  readonly wishes = new Map<string, Wish>();
  /** Where it has cursors of its own. */
  readonly feeds = new Set<Feed>();
  /** Those of them that it reads by itself. */
  readonly behind = new Set<Feed>();
  /** False once the connection is gone. */
  isThere = true;
  /** Something is in its sink. */
  isTouched = false;
  /** A delivery was refused: nothing more is tried before the effect `more`. */
  isStarved = false;
  /** It stands in a line of those that catch up. */
  isWaiting = false;

  constructor(subscriber: Subscriber, stream: Stream | null = null) {
    this.subscriber = subscriber;
    this.stream = stream;
  }
}

export function fallBehind(member: Member, feed: Feed): void {
  if (member.behind.has(feed)) return;
  member.behind.add(feed);
  feed.behind++;
}

export function keepUp(member: Member, feed: Feed): void {
  if (member.behind.delete(feed)) feed.behind--;
}
