// How messages get from the logs to the sessions, as the broker sees it. Types only.
import type { TailOf, Want } from "../session/cursors.ts";
import type { DeliverySink } from "../session/effects.ts";
import type { Message } from "../session/message.ts";
import type { Session } from "../session/session.ts";
import type { Subscribed } from "../session/subscriptions.ts";

/** A session as deliveries hold it; compared by identity, one for each session. */
export interface Subscriber {
  readonly session: Session;
  /** Takes the effects of deliveries; they are carried out by `perform`. */
  readonly sink: DeliverySink;
  /** Carries out what the sink took: called once after each batch of deliveries, so that a socket has one write. */
  perform(): void;
}

export interface Deliveries {
  readonly tailOf: TailOf;
  /** Subscriptions held, all sessions together. */
  readonly subscriptions: number;
  /** A subscription was made or replaced. Resolves when whatever is acknowledged from then on will reach it. */
  subscribe(subscriber: Subscriber, change: Subscribed): Promise<void>;
  unsubscribe(subscriber: Subscriber, filter: string): void;
  /** A session that was kept, without a connection: it hears what is in no log. */
  restore(subscriber: Subscriber): void;
  /** Its connection is open: it reads what it missed, then with the others. */
  connected(subscriber: Subscriber): void;
  /** Its connection is gone; the session may go on. */
  disconnected(subscriber: Subscriber): void;
  /** The session is over, or another hub's. */
  forget(subscriber: Subscriber): void;
  /** The effect `more`: there is room again. */
  more(subscriber: Subscriber): void;
  /** The effect `fetch`. */
  fetch(subscriber: Subscriber, wants: readonly Want[]): void;
  /** A message of ours was stored in this hub topic; one that is not known yet is looked for at once. */
  stored(topic: string): void;
  /** A message that is in no log goes to those it matches. */
  publish(message: Message, now: number): void;
  close(): Promise<void>;
}
