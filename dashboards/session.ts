// One browser: its subscriptions from history to live, its credit, and what it is sent.
import { type HubClient, type InBatch, limits, type Trace } from "../hub/mod.ts";
import {
  accept,
  type Browser,
  cut,
  type Frame,
  forget,
  grant,
  hold,
  type Lane,
  newBrowser,
  newLane,
  type Subscription,
  take,
  thinInto,
} from "./feed.ts";
import { readHistory, resolveStarts, type Start } from "./history.ts";
import { ProtocolError, parseMessage, type Screen, type Subscribe } from "./protocol.ts";
import { type Line, lineOf, type Shown, show } from "./records.ts";
import { frameBody, frameBounds, type Reader, type Shape, type Tail, type Tails, wants } from "./tail.ts";

/** The socket of a browser, as far as a session needs it. */
export interface Wire {
  /** Sends the parts as one message; `sent` is called when they left. */
  send(parts: readonly (string | Buffer)[], sent: () => void): void;
  buffered(): number;
  close(code: number, reason: string): void;
}

/** What all sessions of a dashboard share. */
export interface Common {
  readonly hub: Promise<{ readonly client: HubClient; readonly tails: Tails }>;
  readonly trace: Trace;
  readonly watch: (what: Screen, session: Session, on: boolean) => void;
}

const holdBounds = {
  heldRecords: limits.browserHeldRecordsMax,
  heldBytes: limits.browserBufferBytesMax / 2,
  credit: limits.browserCreditMax,
};
const meetBytesMax = limits.browserBufferBytesMax / 2;
const thinnedRecordsMax = limits.browserHeldRecordsMax;
const socketBytesMax = limits.browserBufferBytesMax / 2;

/** History of one partition that was read and is being thinned. */
interface Thinned {
  /** Offset up to which it was read. */
  next: number;
  /** Records read, before thinning. */
  count: number;
  readonly kept: Map<string | number, Shown>;
}

interface Entry extends Reader {
  readonly wanted: Subscribe;
  readonly feed: Subscription<Line>;
  readonly thinned: Map<number, Thinned>;
  tail: Tail | null;
  shape: Shape | null;
  reading: boolean;
  ended: boolean;
  toldLive: boolean;
  wake: () => void;
}

export class Session {
  #wire: Wire;
  #common: Common;
  #browser: Browser<Line> = newBrowser();
  #entries = new Map<number, Entry>();
  #closed = false;
  readonly #sent = (): void => {
    if (this.#browser.heldBytes > 0 && this.#room()) this.#drainAll();
  };

  constructor(wire: Wire, common: Common) {
    this.#wire = wire;
    this.#common = common;
  }

  /** A message from the browser. Breaking the protocol is answered with an error, never with silence. */
  receive(text: string): void {
    try {
      const message = parseMessage(text);
      switch (message.type) {
        case "subscribe":
          this.#subscribe(message);
          break;
        case "unsubscribe":
          this.#end(message.id);
          break;
        case "credit":
          this.#credit(message.id, message.n);
          break;
        default:
          this.#common.watch(message.what, this, message.type === "watch");
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.tell({ type: "error", id: error.id, message: error.message });
    }
  }

  /** Sends a message that is no frame. A browser that reads nothing at all is closed. */
  tell(message: object): void {
    this.tellText(JSON.stringify(message));
  }

  /** As `tell`, for a text that several browsers share. */
  tellText(text: string | Buffer): void {
    if (this.#closed) return;
    if (this.#wire.buffered() > limits.browserBufferBytesMax) this.#wire.close(1008, "too slow");
    else this.#wire.send([text], this.#sent);
  }

  close(): void {
    this.#closed = true;
    for (const id of [...this.#entries.keys()]) this.#end(id);
    this.#common.watch("topics", this, false);
    this.#common.watch("groups", this, false);
  }

  #room(): boolean {
    return this.#wire.buffered() < socketBytesMax;
  }

  #subscribe(wanted: Subscribe): void {
    const { id } = wanted;
    if (this.#entries.has(id)) throw new ProtocolError(`subscription ${id} exists already`, id);
    if (this.#entries.size >= limits.browserSubscriptionsMax) {
      throw new ProtocolError(`at most ${limits.browserSubscriptionsMax} subscriptions`, id);
    }
    const feed: Subscription<Line> = { id, lossless: wanted.lossless, credit: wanted.credit, lanes: new Map() };
    const entry: Entry = {
      wanted,
      feed,
      thinned: new Map(),
      tail: null,
      shape: null,
      reading: false,
      ended: false,
      toldLive: false,
      wake: () => {},
      onFrame: (frame, body) => this.#onFrame(entry, frame, body),
      onChanged: () => {
        this.#end(id);
        this.tell({ type: "changed", id, topic: wanted.topic });
      },
    };
    this.#entries.set(id, entry);
    this.#browser.subscriptions.set(id, feed);
    this.#begin(entry).catch((error: unknown) => {
      if (entry.ended) return;
      this.#end(id);
      this.tell({ type: "error", id, message: messageOf(error), retry: true });
    });
  }

  async #begin(entry: Entry): Promise<void> {
    const { wanted } = entry;
    const { client, tails } = await this.#common.hub;
    if (entry.ended) return;
    const tail = tails.open(wanted.topic);
    if (tail === null) throw new ProtocolError("too many topics are watched at a time", wanted.id);
    entry.tail = tail;
    if (!tail.exists) this.tell({ type: "waiting", id: wanted.id, topic: wanted.topic });
    await tail.ready();
    if (entry.ended) return;
    const anew = wanted.topicId !== null && wanted.topicId !== tail.topicId;
    const from = anew ? ({ kind: "earliest" } as const) : wanted.from;
    const partitions = tail.partitions().filter((each) => wanted.partitions?.has(each) ?? true);
    const admin = client.admin();
    let starts: Start[];
    try {
      starts = await resolveStarts(admin, wanted.topic, partitions, from, Date.now());
    } finally {
      await admin.close().catch(() => {});
    }
    if (entry.ended) return;
    this.#announce(entry, tail, starts, anew);
    entry.shape = tail.join(wanted, entry);
    for (const { partition, at } of starts) {
      const lane = newLane<Line>(partition, at);
      entry.feed.lanes.set(partition, lane);
      this.#meet(entry, lane);
    }
    this.#drain(entry);
    this.#readOn(entry, client);
  }

  #announce(entry: Entry, tail: Tail, starts: readonly Start[], anew: boolean): void {
    const { id, topic } = entry.wanted;
    const partitions = starts.map(({ partition, at, start, end }) => ({ partition, from: at, start, end }));
    this.tell({ type: "subscribed", id, topic, topicId: tail.topicId, anew, partitions });
    for (const { partition, wanted, at } of starts) {
      if (wanted !== at) this.tell({ type: "gap", id, partition, wanted, got: at });
    }
  }

  /** Goes live when the ring holds everything from where the lane is. */
  #meet(entry: Entry, lane: Lane<Line>): void {
    const { tail, shape } = entry;
    const { partition } = lane;
    if (tail === null || shape === null || lane.mode === "live") return;
    const at = entry.thinned.get(partition)?.next ?? lane.covered;
    if (at < tail.oldest(partition)) return;
    const flushed = shape.batcher.flushed.get(partition) ?? at;
    const records = tail.since(partition, at, flushed);
    let bytes = 0;
    for (const shown of records) bytes += shown.bytes;
    if (bytes > meetBytesMax) return; // nearer first: what is held stays bounded
    this.#thin(entry, lane, records, Math.max(at, flushed));
    this.#holdThinned(entry, lane);
    lane.mode = "live";
  }

  #thin(entry: Entry, lane: Lane<Line>, records: readonly Shown[], next: number): void {
    const { wanted, thinned } = entry;
    let part = thinned.get(lane.partition);
    if (part === undefined) {
      part = { next: lane.covered, count: 0, kept: new Map() };
      thinned.set(lane.partition, part);
    }
    const { next: from } = part;
    const fresh = records.filter((shown) => shown.offset >= from && wants(wanted, shown));
    thinInto(part.kept, fresh, wanted.historyEvery);
    part.count += fresh.length;
    part.next = Math.max(from, next);
    if (wanted.historyEvery === 0 || part.kept.size >= thinnedRecordsMax) this.#holdThinned(entry, lane);
  }

  #holdThinned(entry: Entry, lane: Lane<Line>): void {
    const part = entry.thinned.get(lane.partition);
    entry.thinned.delete(lane.partition);
    if (part === undefined || part.next <= lane.covered) return;
    const records = [...part.kept.values()].map((shown) => lineOf(shown, entry.wanted.headers));
    const { partition, covered: first } = lane;
    const conflated = part.count - records.length;
    const frame = { partition, first, next: part.next, records, conflated, dropped: 0 };
    // history waits for credit by not being read, so its records are held without a thought of conflation
    const bounds = { ...holdBounds, heldRecords: Number.POSITIVE_INFINITY, heldBytes: Number.POSITIVE_INFINITY };
    for (const each of cut(frame, frameBounds)) hold(this.#browser, entry.feed, each, bounds);
  }

  #onFrame(entry: Entry, frame: Frame<Line>, body: Buffer): void {
    switch (accept(this.#browser, entry.feed, frame, this.#room(), holdBounds)) {
      case "pass":
        this.#wire.send([`{"id":${entry.wanted.id},`, body], this.#sent);
        return;
      case "held":
        this.#drain(entry);
        return;
      case "behind":
        void this.#common.hub.then(({ client }) => this.#readOn(entry, client));
        return;
      default:
    }
  }

  #credit(id: number, n: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return; // it may have ended while the grant was on its way
    grant(entry.feed, n, holdBounds);
    this.#drain(entry);
  }

  #drainAll(): void {
    for (const entry of this.#entries.values()) this.#drain(entry);
  }

  #drain(entry: Entry): void {
    while (!entry.ended && this.#room()) {
      const frame = take(this.#browser, entry.feed, frameBounds);
      if (frame === null) break;
      const slow = entry.toldLive && frame.conflated + frame.dropped > 0;
      if (slow) this.#common.trace.count("browser_slow_total", frame.conflated + frame.dropped);
      this.#wire.send([`{"id":${entry.wanted.id},${slow ? '"slow":true,' : ""}`, frameBody(frame)], this.#sent);
    }
    if (this.#hasRoom(entry)) entry.wake();
    this.#tellLive(entry);
  }

  #tellLive(entry: Entry): void {
    const lanes = [...entry.feed.lanes.values()];
    if (entry.toldLive || entry.shape === null) return;
    if (!lanes.every((lane) => lane.mode === "live" && lane.held.length === 0)) return;
    entry.toldLive = true;
    this.tell({ type: "live", id: entry.wanted.id });
  }

  #hasRoom(entry: Entry): boolean {
    let held = 0;
    for (const lane of entry.feed.lanes.values()) if (lane.mode === "history") held += lane.held.length;
    return entry.feed.credit > 0 && held === 0 && this.#room() && this.#browser.heldBytes < holdBounds.heldBytes;
  }

  #readOn(entry: Entry, client: HubClient): void {
    if (entry.reading || entry.ended) return;
    const lanes = (): Lane<Line>[] => [...entry.feed.lanes.values()].filter((lane) => lane.mode === "history");
    if (lanes().length === 0) return;
    entry.reading = true;
    const taker = {
      wanting: () =>
        lanes().map(({ partition, covered }) => ({
          partition,
          offset: entry.thinned.get(partition)?.next ?? covered,
        })),
      ended: () => entry.ended,
      room: async () => {
        while (!entry.ended && !this.#hasRoom(entry)) {
          await new Promise<void>((resolve) => {
            entry.wake = resolve;
          });
        }
      },
      take: (batch: InBatch) => this.#takeHistory(entry, batch),
      gap: (partition: number, wanted: number, got: number) => {
        const lane = entry.feed.lanes.get(partition);
        this.tell({ type: "gap", id: entry.wanted.id, partition, wanted, got });
        if (lane === undefined) return;
        this.#holdThinned(entry, lane);
        lane.covered = Math.max(lane.covered, got);
        this.#meet(entry, lane);
        this.#drain(entry);
      },
    };
    void readHistory(client, entry.wanted.topic, taker).finally(() => {
      entry.reading = false;
      if (!entry.ended && entry.tail?.exists) this.#readOn(entry, client); // a lane may have fallen behind meanwhile
    });
  }

  #takeHistory(entry: Entry, batch: InBatch): void {
    const lane = entry.feed.lanes.get(batch.partition);
    if (lane === undefined || lane.mode === "live" || entry.ended) return;
    this.#thin(entry, lane, batch.records.map(show), batch.nextOffset);
    this.#meet(entry, lane);
    this.#drain(entry);
  }

  #end(id: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.ended = true;
    this.#entries.delete(id);
    forget(this.#browser, id);
    if (entry.tail !== null) {
      if (entry.shape !== null) entry.tail.leave(entry.shape, entry);
      void this.#common.hub.then(({ tails }) => tails.release(entry.tail!));
    }
    entry.wake();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
