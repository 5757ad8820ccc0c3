// A bounded store-and-forward queue: keeps the order, forgets on acknowledgement, drops the oldest when full. Pure.

/** One entry; `id` grows by one per entry and is never reused. */
export interface OutboxEntry<T> {
  readonly id: number;
  readonly item: T;
}

/**
 * Entries leave in the order they came. The first `inFlight` of them have been handed out since the last `rewind`
 * and wait for their acknowledgement. 0 <= inFlight <= entries.length <= capacity.
 */
export interface Outbox<T> {
  readonly capacity: number;
  readonly entries: OutboxEntry<T>[];
  inFlight: number;
  nextId: number;
  /** Entries lost because the outbox was full. */
  dropped: number;
}

/** @param capacity entries kept at most, >= 1. */
export function newOutbox<T>(capacity: number): Outbox<T> {
  if (!Number.isSafeInteger(capacity) || capacity < 1) throw new RangeError(`outbox capacity ${capacity} is not >= 1`);
  return { capacity, entries: [], inFlight: 0, nextId: 0, dropped: 0 };
}

/**
 * Adds at the end. When full, the oldest entry that is not in flight goes (the newest readings matter most);
 * when all are in flight, the new one is not taken.
 * @returns what was dropped, null when nothing was.
 */
export function offer<T>(outbox: Outbox<T>, item: T): T | null {
  let lost: T | null = null;
  if (outbox.entries.length >= outbox.capacity) {
    outbox.dropped++;
    if (outbox.inFlight >= outbox.entries.length) return item;
    lost = outbox.entries.splice(outbox.inFlight, 1)[0]!.item;
  }
  outbox.entries.push({ id: outbox.nextId++, item });
  return lost;
}

/** The next entry to send, now in flight; null when there is none or `window` entries are in flight. */
export function take<T>(outbox: Outbox<T>, window: number): OutboxEntry<T> | null {
  if (outbox.inFlight >= window) return null;
  const entry = outbox.entries[outbox.inFlight];
  if (entry === undefined) return null;
  outbox.inFlight++;
  return entry;
}

/** Forgets an entry in flight; false when it is not (any more): acknowledged twice, or of an earlier connection. */
export function acknowledge<T>(outbox: Outbox<T>, id: number): boolean {
  for (let at = 0; at < outbox.inFlight; at++) {
    if (outbox.entries[at]!.id !== id) continue;
    outbox.entries.splice(at, 1);
    outbox.inFlight--;
    return true;
  }
  return false;
}

/** The connection is gone: whatever was in flight is to be sent again, first and in order. */
export function rewind<T>(outbox: Outbox<T>): void {
  outbox.inFlight = 0;
}
