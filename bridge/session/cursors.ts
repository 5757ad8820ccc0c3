// Where one session is in the partitions it reads: with the hub's shared tail, or behind it by itself. Pure.
import { limits } from "../../hub/mod.ts";
import { SparseMap } from "./sparse.ts";
import { isStream } from "./stream.ts";
import type { Cursor, Delivery, Flight, StoredFlight, StoredOutbound, StoredPosition } from "./flight.ts";

/**
 * Next offset of the hub's shared tail of the cursor's partition: what lies before it was handed to all. While a batch
 * is handed out it may lag, and must not lead.
 */
export type TailOf = (cursor: Cursor) => number;

/** A record to be read again for a packet id. */
export interface Want {
  readonly packetId: number;
  readonly topic: string;
  readonly partition: number;
  /** As of the cursor. */
  readonly group: string;
  readonly offset: number;
}

export class Cursors {
  readonly #byKey = new SparseMap<string, Cursor>();

  get size(): number {
    return this.#byKey.size;
  }

  values(): Iterable<Cursor> {
    return this.#byKey.values();
  }

  get(topic: string, partition: number, group = ""): Cursor | undefined {
    return this.#byKey.get(keyOf(topic, partition, group));
  }

  /** The cursor of a partition, made at `next` if there is none; null: the session has too many. */
  open(topic: string, partition: number, next: number, group = ""): Cursor | null {
    const key = keyOf(topic, partition, group);
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    if (this.#byKey.size >= limits.mqttPositionsPerSessionMax) return null;
    const cursor: Cursor = { topic, partition, group, next, liveFrom: next, attached: false };
    this.#byKey.set(key, cursor);
    return cursor;
  }

  /** No subscription reads the partition any more. */
  close(cursor: Cursor): void {
    const key = keyOf(cursor.topic, cursor.partition, cursor.group);
    if (this.#byKey.get(key) === cursor) this.#byKey.delete(key);
  }

  /** The session reads with the shared tail from now on; false when it has not caught up with it. */
  attach(cursor: Cursor, tailNext: number): boolean {
    if (cursor.next < tailNext) return false;
    cursor.attached = true;
    return true;
  }

  /** A connection begins. */
  beLiveFrom(tailOf: TailOf): void {
    for (const cursor of this.#byKey.values()) cursor.liveFrom = Math.max(cursor.next, tailOf(cursor));
  }

  /** All read by themselves from here on. */
  detachAll(tailOf: TailOf): void {
    for (const cursor of this.#byKey.values()) {
      cursor.next = positionOf(cursor, tailOf);
      cursor.attached = false;
    }
  }

  clear(): void {
    this.#byKey.clear();
  }
}

function keyOf(topic: string, partition: number, group: string): string {
  return `${topic}/${partition}/${group}`;
}

/** The record at `offset` is read again, and what comes after it: the session is behind. */
export function giveBack(cursor: Cursor, offset: number): void {
  cursor.next = cursor.attached ? offset : Math.min(cursor.next, offset);
  cursor.attached = false;
}

/** The record that the tail is handing out may be taken already. */
function positionOf(cursor: Cursor, tailOf: TailOf): number {
  return cursor.attached ? Math.max(cursor.next, tailOf(cursor)) : cursor.next;
}

/** What has to be read again before it can be sent again. */
export function wantsOf(flights: readonly Flight[]): Want[] {
  const wants: Want[] = [];
  for (const { packetId, content, cursor, offset } of flights) {
    if (content !== null || cursor === null) continue;
    const { topic, partition, group } = cursor;
    wants.push({ packetId, topic, partition, group, offset });
  }
  return wants;
}

/** Where the next member of a group goes on. */
export interface HandOver {
  readonly next: number;
  /** Offsets from `next` on that the client has at QoS 2: they go to nobody else ([MQTT-4.8.2-4], [MQTT-4.8.2-5]). */
  readonly taken: readonly number[];
}

/** The lowest offset of a cursor that is not settled. */
export function settledOf(
  cursor: Cursor,
  flights: Iterable<Flight>,
  waiting: readonly Delivery[],
  tailOf: TailOf,
): number {
  let lowest = positionOf(cursor, tailOf);
  for (const one of [...flights, ...waiting]) {
    if (one.cursor === cursor && one.offset < lowest) lowest = one.offset;
  }
  return lowest;
}

export function handOverOf(
  cursor: Cursor,
  flights: Iterable<Flight>,
  waiting: readonly Delivery[],
  tailOf: TailOf,
): HandOver {
  const own = [...flights].filter((flight) => flight.cursor === cursor);
  const once = own.filter(({ qos, sent }) => qos === 2 && sent);
  const next = settledOf(
    cursor,
    own.filter((flight) => !once.includes(flight)),
    waiting,
    tailOf,
  );
  return { next, taken: once.map(({ offset }) => offset).filter((offset) => offset >= next) };
}

/** Everything before `next` of a position is settled, except for flights: what waits is read again. */
export function snapshotOf(
  cursors: Cursors,
  flights: Iterable<Flight>,
  waiting: readonly Delivery[],
  tailOf: TailOf,
): StoredOutbound {
  const first = new Map<Cursor, number>();
  for (const { cursor, offset } of waiting) if (cursor !== null && !first.has(cursor)) first.set(cursor, offset);
  const places = new Map<Cursor, number>();
  const positions: StoredPosition[] = [];
  const place = (cursor: Cursor): number => {
    const known = places.get(cursor);
    if (known !== undefined) return known;
    const { topic, partition, group } = cursor;
    places.set(cursor, positions.length);
    positions.push({ topic, partition, group, next: first.get(cursor) ?? positionOf(cursor, tailOf) });
    return positions.length - 1;
  };
  for (const cursor of cursors.values()) place(cursor);
  const released: [number, StoredFlight][] = [];
  const others: StoredFlight[] = [];
  for (const flight of flights) {
    const { packetId, qos, retain, cursor, offset, stage } = flight;
    const isReleased = stage === "received" || stage === "release";
    // A QoS 1 message of no log ends with the hub. Of QoS 2 the id stays: the client may hold it.
    if (cursor === null && qos === 1) continue;
    const position = cursor === null ? -1 : place(cursor);
    const stored = { packetId, qos, retain, released: isReleased || cursor === null, position, offset };
    if (stored.released) released.push([flight.received, stored]);
    else others.push(stored);
  }
  released.sort(([a], [b]) => a - b);
  return { positions, flights: [...released.map(([, flight]) => flight), ...others] };
}

/**
 * The other way round. A group's partition is not read again by this session before the group says so; a replay is the
 * session's own.
 */
export function restoreFlights({ positions, flights }: StoredOutbound, cursors: Cursors): Flight[] {
  const places = positions.map(({ topic, partition, group, next }) => {
    if (group === "" || isStream(group)) return cursors.open(topic, partition, next, group);
    return { topic, partition, group, next, liveFrom: next, attached: false };
  });
  return flights.map(({ packetId, qos, retain, released, position, offset }, at) => ({
    packetId,
    qos,
    retain,
    cursor: places[position] ?? null,
    offset,
    stage: released ? "release" : "publish",
    content: null,
    sent: true,
    live: false,
    received: released ? at + 1 : 0,
  }));
}
