// Where new cursors begin: one look at topics and their ends for all sessions that ask in a turn, one look at a time.
import { type Admin, type Clock, type HubClient, limits, type StartAt, type Trace } from "../../hub/mod.ts";
import type { Atlas, News } from "./atlas.ts";
import type { Feed, Member } from "./feed.ts";

/** A cursor that is to be opened, or, of a session that came back, to be read on from. */
export interface Opening {
  readonly member: Member;
  readonly feed: Feed;
  /** `end`: what is stored from the look on; `start`: all; a time: what came since; or from an offset. */
  readonly at: "end" | "start" | number | { readonly offset: number };
}

/** Offsets that a look found. */
export interface Found {
  end(feed: Feed): number;
  /** The first record since the time of the opening; the end if there is none. */
  since(opening: Opening, time: number): number;
}

export interface LookupDeps {
  readonly client: HubClient;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly atlas: Atlas;
  /** The atlas changed. What existing subscriptions are to read now. */
  readonly onNews: (news: News) => readonly Opening[];
  /** Carries out openings. */
  readonly open: (openings: readonly Opening[], found: Found) => void;
  /** Whether to look without being asked. */
  readonly isWatching: () => boolean;
}

interface Request {
  /** What it wants opened, by what is known when it is asked. */
  readonly openings: () => readonly Opening[];
  readonly done: () => void;
}

/** Sessions that came back share their questions for times that are near. */
const timeStepMs = 60_000;

export class Lookup {
  readonly #deps: LookupDeps;
  #admin: Admin | null = null;
  #requests: Request[] = [];
  /** Openings of existing subscriptions that a failed look left. */
  #left: Opening[] = [];
  #running: Promise<void> | null = null;
  #isTimed = false;
  #closed = false;

  constructor(deps: LookupDeps) {
    this.#deps = deps;
  }

  /** Resolves when a look that began after the call has opened what `openings` names. */
  ask(openings: () => readonly Opening[], then: () => void = () => {}): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        then();
        resolve();
      };
      this.#requests.push({ openings, done });
      this.#run();
    });
  }

  /** Does not wait for a look under way: a leader that is gone may hold it up for long. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { done } of this.#requests.splice(0)) done();
    await this.#admin?.close().catch(() => {});
  }

  #run(): void {
    if (this.#closed) return;
    this.#running ??= this.#looks().finally(() => {
      this.#running = null;
      if (this.#requests.length > 0) this.#run();
      else this.#watch();
    });
  }

  async #looks(): Promise<void> {
    const { clock, trace } = this.#deps;
    await new Promise<void>((resolve) => clock.soon(resolve)); // all of this turn are in one look
    do {
      const requests = this.#requests.splice(0);
      for (;;) {
        try {
          await this.#look(requests);
          break;
        } catch (error) {
          if (this.#closed) break;
          trace.event("debug", "mqtt_deliver_retries", { error: String(error) });
          await new Promise<void>((resolve) => void clock.after(limits.mqttDeliverRetryMs, resolve));
        }
      }
      for (const { done } of requests) done();
    } while (this.#requests.length > 0 && !this.#closed);
  }

  async #look(requests: readonly Request[]): Promise<void> {
    const { client, clock, atlas, onNews, open } = this.#deps;
    if (this.#closed) return;
    this.#admin ??= client.admin();
    const news = atlas.learn(await this.#admin.topics());
    if (news.isAny) this.#left.push(...onNews(news));
    const all = [...this.#left, ...requests.flatMap((request) => request.openings())];
    const there = all.filter(({ feed }) => atlas.get(feed.topic, feed.partition) === feed);
    const led = there.filter(({ feed }) => feed.isLed);
    const found = await this.#find(this.#admin, led);
    if (this.#closed) return;
    // what has no leader takes no records: its cursors are opened when it has one, at what came since
    const now = clock.wall();
    this.#left = there
      .filter(({ feed }) => !feed.isLed)
      .map((opening) => (opening.at === "end" ? { ...opening, at: now } : opening));
    open(led, found);
  }

  async #find(admin: Admin, openings: readonly Opening[]): Promise<Found> {
    const ends = await offsets(admin, new Set(openings.map(({ feed }) => feed)), "latest");
    const byTime = new Map<number, Set<Feed>>();
    for (const { member, feed, at } of openings) {
      if (typeof at !== "number") continue;
      const feeds = byTime.get(timeOf(member, at)) ?? new Set();
      byTime.set(timeOf(member, at), feeds.add(feed));
    }
    const times = new Map<number, ReadonlyMap<Feed, number>>();
    for (const [time, feeds] of byTime) times.set(time, await offsets(admin, feeds, { time }));
    const end = (feed: Feed): number => ends.get(feed) ?? 0;
    const since = ({ member, feed }: Opening, time: number): number => {
      const offset = times.get(timeOf(member, time))?.get(feed) ?? -1;
      return offset < 0 ? end(feed) : offset;
    };
    return { end, since };
  }

  /** Topics that are made while sessions are connected are found without being asked for. */
  #watch(): void {
    if (this.#isTimed || this.#closed || !this.#deps.isWatching()) return;
    this.#isTimed = true;
    this.#deps.clock.after(limits.mqttTopicsLookMs, () => {
      this.#isTimed = false;
      this.#run();
    });
  }
}

/** Replays begin where they say. */
function timeOf({ stream }: Member, time: number): number {
  return Math.max(0, stream === null ? Math.floor(time / timeStepMs) * timeStepMs : time);
}

async function offsets(admin: Admin, feeds: ReadonlySet<Feed>, at: StartAt): Promise<Map<Feed, number>> {
  const places = [...feeds];
  if (places.length === 0) return new Map();
  const found = await admin.offsets(
    places.map(({ topic, partition }) => ({ topic, partition })),
    at,
  );
  return new Map(found.map(({ offset }, index) => [places[index]!, offset]));
}
