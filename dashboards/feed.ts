// Who watches what, and how much of it fits: batching, credits, conflation and bounds of a browser's feed. Pure.
//
// DESIGN. A Batcher gathers the live records of one topic for all subscriptions of the same shape and cuts them into
// frames, which are encoded once and shared. A Lane is one partition of one subscription:
//
//     next            covered                 every record below `next` was delivered, or a newer one of its series was
//      |--- held ------|--- from frames -->   next <= covered; `held` lies between the two
//
// A frame passes straight through while the lane holds nothing and the browser has granted enough. Otherwise its
// records are held, and beyond a bound only the newest of each series stays; the frame that brings it says how many
// it replaced. A lossless lane gives its held records back to the log instead and reads them again as history.

/** What the feed needs to know of a record. */
export interface FeedRecord {
  readonly offset: number;
  readonly series: string;
  /** > 0 */
  readonly bytes: number;
}

/** Records of one partition; every record of [first, next) is in it, or was filtered, or counts as conflated. */
export interface Frame<R> {
  readonly partition: number;
  readonly first: number;
  readonly next: number;
  readonly records: readonly R[];
  /** Records left out because a newer one of their series is in this or a following frame. */
  readonly conflated: number;
  /** Records left out because even the newest of each series did not fit. */
  readonly dropped: number;
}

export interface FrameBounds {
  readonly records: number;
  readonly bytes: number;
}

// ---- batcher: live records, gathered for one shape -------------------------------------------------------------

interface OpenBatch<R> {
  first: number;
  next: number;
  readonly records: Map<string | number, R>;
  bytes: number;
  conflated: number;
}

export interface Batcher<R> {
  /** Milliseconds between frames; with `newest`, one record per series in each. */
  readonly every: number;
  readonly newest: boolean;
  readonly open: Map<number, OpenBatch<R>>;
  /** Next offset of each partition that no frame covers yet. */
  readonly flushed: Map<number, number>;
  flushedAt: number;
}

/** A frame without records goes out this rarely: it only moves the offset from which a browser resumes. */
export const emptyFrameMs = 1000;

/** @param every ms between frames. @param newest keep one record per series and frame. */
export function newBatcher<R>(every: number, newest: boolean, flushed: ReadonlyMap<number, number>): Batcher<R> {
  return { every, newest, open: new Map(), flushed: new Map(flushed), flushedAt: Number.NEGATIVE_INFINITY };
}

/** Takes records of one partition, which follow the last ones; true when a frame is full and should go now. */
export function gather<R extends FeedRecord>(
  batcher: Batcher<R>,
  partition: number,
  records: readonly R[],
  next: number,
  bounds: FrameBounds,
): boolean {
  let batch = batcher.open.get(partition);
  if (batch === undefined) {
    const first = batcher.flushed.get(partition) ?? records[0]?.offset ?? next;
    batch = { first, next: first, records: new Map(), bytes: 0, conflated: 0 };
    batcher.open.set(partition, batch);
  }
  for (const record of records) {
    if (record.offset < batch.next) continue;
    const name = batcher.newest ? record.series : record.offset;
    const older = batch.records.get(name);
    if (older !== undefined) {
      batch.records.delete(name); // to be set again at the end: the map stays in offset order
      batch.bytes -= older.bytes;
      batch.conflated++;
    }
    batch.records.set(name, record);
    batch.bytes += record.bytes;
  }
  batch.next = Math.max(batch.next, next);
  const times = batcher.newest ? 8 : 1; // what conflates may gather for longer, yet not without bound
  return batch.records.size >= bounds.records * times || batch.bytes >= bounds.bytes * times;
}

/** True when the batcher's time is up. */
export function flushDue<R>(batcher: Batcher<R>, now: number): boolean {
  return batcher.open.size > 0 && now - batcher.flushedAt >= batcher.every;
}

/** Cuts what is gathered into frames within the bounds. Batches without records wait for `emptyFrameMs`. */
export function flush<R extends FeedRecord>(batcher: Batcher<R>, now: number, bounds: FrameBounds): Frame<R>[] {
  const frames: Frame<R>[] = [];
  const idle = now - batcher.flushedAt >= emptyFrameMs;
  for (const [partition, batch] of batcher.open) {
    if (batch.records.size === 0 && !idle) continue;
    const whole = { partition, ...batch, records: [...batch.records.values()], dropped: 0 };
    frames.push(...cut(whole, bounds));
    batcher.flushed.set(partition, batch.next);
    batcher.open.delete(partition);
  }
  if (frames.length > 0) batcher.flushedAt = now;
  return frames;
}

/** Splits a frame so that each part keeps the bounds; a record larger than the bound stands alone. */
export function cut<R extends FeedRecord>(frame: Frame<R>, bounds: FrameBounds): Frame<R>[] {
  const { partition } = frame;
  const frames: Frame<R>[] = [];
  let first = frame.first;
  let part: R[] = [];
  let bytes = 0;
  let { conflated, dropped } = frame;
  for (const record of frame.records) {
    if (part.length > 0 && (part.length >= bounds.records || bytes + record.bytes > bounds.bytes)) {
      frames.push({ partition, first, next: record.offset, records: part, conflated, dropped });
      [first, part, bytes, conflated, dropped] = [record.offset, [], 0, 0, 0];
    }
    part.push(record);
    bytes += record.bytes;
  }
  frames.push({ partition, first, next: frame.next, records: part, conflated, dropped });
  return frames;
}

// ---- lanes: what one subscription has got ----------------------------------------------------------------------

export interface Lane<R> {
  readonly partition: number;
  /** `history`: its own reader fills it from the log. `live`: shared frames do. */
  mode: "history" | "live";
  next: number;
  covered: number;
  held: R[];
  heldBytes: number;
  conflated: number;
  dropped: number;
  /** Held records beyond this number are conflated; grows while conflating does not help. */
  conflateAt: number;
}

export interface Subscription<R> {
  readonly id: number;
  /** Instead of conflating, a slow subscription goes back to reading the log. */
  readonly lossless: boolean;
  /** Records the browser still takes; never below 0. */
  credit: number;
  readonly lanes: Map<number, Lane<R>>;
}

/** Bounds of one browser, all its subscriptions together. */
export interface HoldBounds {
  readonly heldRecords: number;
  readonly heldBytes: number;
  readonly credit: number;
}

/** A browser: the bytes it holds back are bounded over all its subscriptions. */
export interface Browser<R> {
  readonly subscriptions: Map<number, Subscription<R>>;
  heldBytes: number;
}

export function newBrowser<R>(): Browser<R> {
  return { subscriptions: new Map(), heldBytes: 0 };
}

export function newLane<R>(partition: number, next: number): Lane<R> {
  return {
    partition,
    mode: "history",
    next,
    covered: next,
    held: [],
    heldBytes: 0,
    conflated: 0,
    dropped: 0,
    conflateAt: 0,
  };
}

/** Adds credit, up to the bound. */
export function grant<R>(subscription: Subscription<R>, records: number, bounds: HoldBounds): void {
  subscription.credit = Math.min(subscription.credit + records, bounds.credit);
}

/** Forgets a subscription and what it held. */
export function forget<R>(browser: Browser<R>, id: number): void {
  for (const lane of browser.subscriptions.get(id)?.lanes.values() ?? []) release(browser, lane);
  browser.subscriptions.delete(id);
}

function release<R>(browser: Browser<R>, lane: Lane<R>): void {
  browser.heldBytes -= lane.heldBytes;
  lane.held = [];
  lane.heldBytes = 0;
}

/** `pass`: send the shared bytes. `held`: it waits in the lane. `old`: nothing new in it. `behind`: read the log. */
export type Accepted = "pass" | "held" | "old" | "behind";

/** Decides what becomes of a live frame. @param room false while the browser's socket has too much queued. */
export function accept<R extends FeedRecord>(
  browser: Browser<R>,
  subscription: Subscription<R>,
  frame: Frame<R>,
  room: boolean,
  bounds: HoldBounds,
): Accepted {
  const lane = subscription.lanes.get(frame.partition);
  if (lane === undefined || lane.mode === "history" || frame.next <= lane.covered) return "old";
  if (frame.first > lane.covered) return fallBehind(browser, lane);
  if (frame.first === lane.covered && lane.held.length === 0 && room && subscription.credit >= frame.records.length) {
    subscription.credit -= frame.records.length;
    lane.next = frame.next;
    lane.covered = frame.next;
    return "pass";
  }
  return hold(browser, subscription, frame, bounds);
}

/** Holds the records of a frame that continue the lane, within the bounds. */
export function hold<R extends FeedRecord>(
  browser: Browser<R>,
  subscription: Subscription<R>,
  frame: Frame<R>,
  bounds: HoldBounds,
): "held" | "behind" {
  const lane = subscription.lanes.get(frame.partition)!;
  for (const record of frame.records) {
    if (record.offset < lane.covered) continue;
    lane.held.push(record);
    lane.heldBytes += record.bytes;
    browser.heldBytes += record.bytes;
  }
  lane.covered = Math.max(lane.covered, frame.next);
  lane.conflated += frame.conflated;
  lane.dropped += frame.dropped;
  const many = lane.held.length > Math.max(bounds.heldRecords, lane.conflateAt);
  if (!many && browser.heldBytes <= bounds.heldBytes) return "held";
  if (subscription.lossless) return fallBehind(browser, lane);
  conflate(browser, lane);
  lane.conflateAt = 2 * lane.held.length; // the cost stays a constant per record
  if (browser.heldBytes > bounds.heldBytes) dropOldest(browser, lane, bounds);
  return "held";
}

function fallBehind<R>(browser: Browser<R>, lane: Lane<R>): "behind" {
  release(browser, lane);
  lane.covered = lane.next;
  lane.mode = "history";
  return "behind";
}

function conflate<R extends FeedRecord>(browser: Browser<R>, lane: Lane<R>): void {
  const newest = new Map<string, R>();
  for (const record of lane.held) {
    newest.delete(record.series);
    newest.set(record.series, record);
  }
  lane.conflated += lane.held.length - newest.size;
  release(browser, lane);
  lane.held = [...newest.values()];
  for (const record of lane.held) lane.heldBytes += record.bytes;
  browser.heldBytes += lane.heldBytes;
}

function dropOldest<R extends FeedRecord>(browser: Browser<R>, lane: Lane<R>, bounds: HoldBounds): void {
  let count = 0;
  while (count < lane.held.length && browser.heldBytes > bounds.heldBytes) {
    const { bytes } = lane.held[count++]!;
    lane.heldBytes -= bytes;
    browser.heldBytes -= bytes;
  }
  lane.held = lane.held.slice(count);
  lane.dropped += count;
}

/** Takes the next frame of what is held, as far as the credit goes; null when there is nothing to send. */
export function take<R extends FeedRecord>(
  browser: Browser<R>,
  subscription: Subscription<R>,
  bounds: FrameBounds,
): Frame<R> | null {
  for (const lane of subscription.lanes.values()) {
    const idle = lane.held.length === 0 && lane.conflated === 0 && lane.dropped === 0;
    if (lane.covered === lane.next && idle) continue;
    if (lane.held.length > 0 && subscription.credit === 0) continue;
    const records: R[] = [];
    let bytes = 0;
    for (const record of lane.held) {
      if (records.length >= Math.min(bounds.records, subscription.credit)) break;
      if (records.length > 0 && bytes + record.bytes > bounds.bytes) break;
      records.push(record);
      bytes += record.bytes;
    }
    const frame = {
      partition: lane.partition,
      first: lane.next,
      next: lane.held[records.length]?.offset ?? lane.covered,
      records,
      conflated: lane.conflated,
      dropped: lane.dropped,
    };
    lane.held = lane.held.slice(records.length);
    lane.heldBytes -= bytes;
    browser.heldBytes -= bytes;
    subscription.credit -= records.length;
    [lane.conflated, lane.dropped, lane.next] = [0, 0, frame.next];
    if (lane.held.length === 0) lane.conflateAt = 0;
    return frame;
  }
  return null;
}

/**
 * Adds records to a thinned history: of each series the last one in every `every` ms of record time stays (0: all).
 * The map stays in offset order.
 */
export function thinInto<R extends FeedRecord & { readonly timestamp: number }>(
  kept: Map<string | number, R>,
  records: readonly R[],
  every: number,
): void {
  for (const record of records) {
    const name = every > 0 ? `${Math.floor(record.timestamp / every)}\n${record.series}` : record.offset;
    kept.delete(name);
    kept.set(name, record);
  }
}
