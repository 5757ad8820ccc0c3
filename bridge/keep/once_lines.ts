// QoS 2 messages of a cluster's clients on their way into their topics, each client's in a line: noted, then appended.
import {
  type Appender,
  type Clock,
  HubError,
  type Identity,
  limits,
  type OutRecord,
  type TopicPartition,
  type Trace,
} from "../../hub/mod.ts";
import { type OpenId, unfinishedOf } from "./open_id.ts";
import { type Owned, type OwnedId, type SessionWrites, taken } from "./session_writes.ts";

export interface OnceOptions {
  readonly appender: Appender;
  readonly writes: SessionWrites;
  readonly clock: Clock;
  readonly trace: Trace;
  /** Resolves when a record at this offset is known to count; rejects when another hub had the client before it. */
  readonly confirm: (owned: Owned, offset: number) => Promise<void>;
}

/** A message in a line. */
interface Item {
  readonly packetId: number;
  readonly id: OwnedId;
  readonly topic: string;
  readonly record: OutRecord;
  readonly bytes: number;
  /** Who waits to be told. */
  waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[];
  /** Settles the id's fate. */
  readonly over: () => void;
}

/** Messages of one batch. */
interface Group {
  readonly at: TopicPartition;
  readonly identity: Identity;
  readonly items: readonly Item[];
}

interface Line {
  readonly redo: Group[];
  readonly fresh: Item[];
}

/**
 * A message is noted with its id, under an identity of a producer that no other batch bears. When the note is known to
 * count, it is appended under that identity; then the id is noted as stored, and its client is told. Whoever looks
 * after the client next finds messages that are noted and not known to be stored, and appends them again: the log of a
 * topic takes a batch of one identity once. So a crash at any point neither loses nor doubles one.
 */
export class OnceLines {
  readonly #options: OnceOptions;
  readonly #lines = new Map<Owned, Line>();
  /** Whose last batch is in its topic. */
  readonly #free: Identity[] = [];
  #bytes = 0;
  #isClosed = false;

  constructor(options: OnceOptions) {
    this.#options = options;
  }

  /**
   * Takes the message into its client's line. Rejects with a HubError: retriable where nobody knows yet. Then it stays
   * in its line, and is the same message when it comes again.
   */
  store(owned: Owned, packetId: number, topic: string, record: OutRecord): Promise<void> {
    const known = owned.ids?.get(packetId);
    if (known?.isUntold && known.fate === null) {
      known.isUntold = false;
      return Promise.resolve();
    }
    // one that is on its way is the same message
    const isThere = known !== undefined && known.fate !== null;
    const told = isThere ? this.#join(owned, known) : this.#begin(owned, packetId, topic, record);
    this.#options.writes.track(owned, told);
    return told;
  }

  #join(owned: Owned, id: OwnedId): Promise<void> {
    const { fresh, redo } = this.#lines.get(owned) ?? { fresh: [], redo: [] };
    const item = [...fresh, ...redo.flatMap(({ items }) => items)].find((one) => one.id === id);
    if (item === undefined) return Promise.reject(taken(owned.clientId));
    id.isUntold = false;
    return told(item);
  }

  #begin(owned: Owned, packetId: number, topic: string, record: OutRecord): Promise<void> {
    const bytes = sizeOf(record);
    if (this.#bytes + bytes > limits.mqttOnceBytesMax) {
      const detail = `${this.#bytes} bytes of QoS 2 messages are on their way already`;
      return Promise.reject(new HubError("THROTTLING_QUOTA_EXCEEDED", detail));
    }
    try {
      const id = this.#options.writes.openId(owned, packetId);
      const item = this.#item(packetId, id, topic, copyOf(record, this.#options.clock.wall()), bytes);
      const answer = told(item);
      this.#lineOf(owned).fresh.push(item);
      return answer;
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  /** Finishes what was noted of a client by the owner before, in this order: then comes what is new. */
  redo(owned: Owned, open: Iterable<OpenId>): void {
    const { writes } = this.#options;
    const { redo, stored, never } = unfinishedOf(open);
    for (const { packetId } of never) {
      const id = owned.ids?.get(packetId);
      if (id !== undefined) writes.forgetId(owned, packetId, id);
    }
    for (const noted of stored) {
      const id = owned.ids?.get(noted.packetId);
      if (id !== undefined) this.#noteStored(owned, id, noted);
    }
    for (const batch of redo) {
      const [{ batch: membership, pending }] = batch as [(typeof batch)[0]];
      const items = batch.map(({ packetId, pending: { at, record } }) => {
        // of an id that is there twice one is nobody's, and its message goes along all the same
        const id = owned.ids?.get(packetId);
        const own =
          id === undefined || id.fate !== null
            ? { slot: 0, epochs: [], fate: null, isReleased: false, isUntold: false }
            : id;
        return this.#item(packetId, own, at.topic, record, sizeOf(record));
      });
      this.#options.trace.count("mqtt_qos2_redone_total", items.length);
      this.#options.trace.event("info", "mqtt_qos2_redone", { client: owned.clientId, messages: items.length });
      this.#lineOf(owned).redo.push({ at: pending.at, identity: membership.identity, items });
    }
  }

  /** Resolves when all that was to be appended again is, or took too long: then it goes on by itself. */
  async whenRedone(owned: Owned): Promise<void> {
    const fates = this.#lines.get(owned)?.redo.flatMap(({ items }) => items.map(({ id }) => id.fate)) ?? [];
    if (fates.length === 0) return;
    await new Promise<void>((resolve) => {
      const timer = this.#options.clock.after(limits.mqttFarewellMsMax, resolve);
      void Promise.all(fates).then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  close(): void {
    this.#isClosed = true;
  }

  #item(packetId: number, id: OwnedId, topic: string, record: OutRecord, bytes: number): Item {
    this.#bytes += bytes;
    let over = (): void => {};
    id.fate = new Promise((resolve) => {
      over = resolve;
    });
    return { packetId, id, topic, record, bytes, waiting: [], over };
  }

  #lineOf(owned: Owned): Line {
    let line = this.#lines.get(owned);
    if (line === undefined) {
      line = { redo: [], fresh: [] };
      this.#lines.set(owned, line);
      void this.#run(owned, line);
    }
    return line;
  }

  async #run(owned: Owned, line: Line): Promise<void> {
    await Promise.resolve(); // what comes in one turn goes together
    for (;;) {
      const [again] = line.redo;
      if (again !== undefined) {
        if (await this.#noteAgain(owned, again)) await this.#append(owned, again);
        line.redo.shift();
      } else if (line.fresh.length > 0) {
        const items = await this.#carry(owned, line.fresh);
        line.fresh.splice(0, items);
      } else break;
    }
    this.#lines.delete(owned);
  }

  /** Notes and appends the first of a line; how many these were. */
  async #carry(owned: Owned, fresh: readonly Item[]): Promise<number> {
    let group: Group;
    try {
      group = await this.#group(fresh);
    } catch (error) {
      this.#refuse(owned, [fresh[0]!], error as Error);
      return 1;
    }
    const noted = await this.#note(owned, group);
    const isThere = noted.length > 0 && (await this.#append(owned, { ...group, items: noted }));
    // its next use is in the log after this one: who finds that knows that this one is there
    if (isThere) this.#giveBack(group.identity);
    return group.items.length;
  }

  /** The first messages that go to one partition. @throws HubError when there is no such topic, or no identity */
  async #group(fresh: readonly Item[]): Promise<Group> {
    const { appender } = this.#options;
    const { topic, record } = fresh[0]!;
    const partition = await appender.partitionOf(topic, record);
    const identity = this.#free.pop() ?? (await appender.identity());
    const items: Item[] = [];
    let bytes = 0;
    for (const item of fresh) {
      if (item.topic !== topic || (items.length > 0 && bytes + item.bytes > limits.clientBatchBytes)) break;
      if ((await appender.partitionOf(topic, item.record)) !== partition) break;
      items.push(item);
      bytes += item.bytes;
    }
    return { at: { topic, partition }, identity, items };
  }

  /** Resolves with those that are noted, in the places that their notes say. */
  async #note(owned: Owned, { at, identity, items }: Group): Promise<readonly Item[]> {
    const { writes, confirm } = this.#options;
    let left = items;
    for (;;) {
      left = this.#current(owned, left);
      if (left.length === 0) return left;
      try {
        const noted = left.map(({ packetId, id, record }, place) => {
          const batch = { identity, place, count: left.length };
          return writes.note(owned, id, { packetId, batch, pending: { at, record } });
        });
        await confirm(owned, Math.max(...(await Promise.all(noted))));
        return left;
      } catch (error) {
        if (await this.#isOver(owned, left, error as Error)) return [];
      }
    }
  }

  /**
   * As this owner's: the owner after it finds them, or it is known that there is one already. As a whole, whatever was
   * released meanwhile. False: there is one.
   */
  async #noteAgain(owned: Owned, { at, identity, items }: Group): Promise<boolean> {
    const { writes, confirm } = this.#options;
    const count = items.length;
    for (;;) {
      try {
        const noted = items.map(({ packetId, id, record }, place) => {
          if (owned.ids?.get(packetId) !== id) return -1;
          return writes.note(owned, id, { packetId, batch: { identity, place, count }, pending: { at, record } });
        });
        await confirm(owned, Math.max(...(await Promise.all(noted))));
        return true;
      } catch (error) {
        if (await this.#isOver(owned, items, error as Error)) return false;
      }
    }
  }

  /** Without those whose session ended meanwhile, or went to another hub. */
  #current(owned: Owned, items: readonly Item[]): readonly Item[] {
    return items.filter((item) => {
      if (owned.ids?.get(item.packetId) === item.id) return true;
      this.#leave(item, taken(owned.clientId));
      return false;
    });
  }

  /** True when they are in their topic. */
  async #append(owned: Owned, { at, identity, items }: Group): Promise<boolean> {
    const { appender } = this.#options;
    const records = items.map(({ record }) => record);
    for (let missing = 0; ; ) {
      try {
        await appender.append(at, identity, records);
        break;
      } catch (error) {
        missing = isMissing(error as Error) ? missing + 1 : 0;
        if (missing >= limits.mqttOnceMissingMax) this.#refuse(owned, items, error as Error);
        if (missing >= limits.mqttOnceMissingMax || (await this.#isOver(owned, items, error as Error))) return false;
      }
    }
    for (const [place, item] of items.entries()) {
      const { packetId, id } = item;
      const stored = { packetId, batch: { identity, place, count: items.length }, pending: null };
      // of several the one that is released first must not be missed; one alone is mostly released before it is noted
      if (items.length > 1) this.#noteStored(owned, id, stored);
      else this.#options.clock.after(limits.mqttOnceNotedMs, () => this.#noteStored(owned, id, stored));
      this.#leave(item, null);
    }
    return true;
  }

  /** Of this hub alone: the one that made it may use it still. */
  #giveBack({ producerId, producerEpoch }: Identity): void {
    if (producerEpoch < epochMax) this.#free.push({ producerId, producerEpoch: producerEpoch + 1 });
  }

  #noteStored(owned: Owned, id: OwnedId, noted: OpenId): void {
    if (owned.ids?.get(noted.packetId) !== id || id.isReleased || owned.takenAt !== null) return;
    const written = this.#options.writes.note(owned, id, { ...noted, pending: null });
    written.catch((error: unknown) => this.#failed(owned, error as Error));
  }

  /** After a failure: true when there is no use in another attempt, or nobody to make it. */
  async #isOver(owned: Owned, items: readonly Item[], error: Error): Promise<boolean> {
    const isTaken = owned.takenAt !== null || this.#isClosed;
    if (isTaken || !(error instanceof HubError) || !error.retriable) {
      // what is noted is for the next owner
      if (isTaken) for (const item of items) this.#leave(item, error);
      else this.#refuse(owned, items, error);
      return true;
    }
    this.#failed(owned, error);
    for (const item of items) {
      item.id.isUntold = item.id.isUntold || item.waiting.length > 0;
      for (const { reject } of item.waiting.splice(0)) reject(error);
    }
    await new Promise<void>((resolve) => void this.#options.clock.after(limits.clientRetryMsMax, resolve));
    return false;
  }

  /** It is nowhere, and will not be. */
  #refuse(owned: Owned, items: readonly Item[], error: Error): void {
    this.#failed(owned, error);
    for (const item of items) {
      this.#options.writes.forgetId(owned, item.packetId, item.id);
      this.#leave(item, error);
    }
  }

  #leave(item: Item, error: Error | null): void {
    this.#bytes -= item.bytes;
    item.id.fate = null;
    item.over();
    for (const { resolve, reject } of item.waiting.splice(0)) {
      if (error === null) resolve();
      else reject(error);
    }
  }

  #failed({ clientId }: Owned, error: Error): void {
    const { trace } = this.#options;
    trace.count("mqtt_keep_failures_total");
    trace.event("warn", "mqtt_keep_failed", { client: clientId, error: String(error) });
  }
}

/** Epochs are 16 bits with a sign. */
const epochMax = 32_766;

function isMissing(error: Error): boolean {
  return error instanceof HubError && error.kind === "UNKNOWN_TOPIC_OR_PARTITION";
}

function told(item: Item): Promise<void> {
  return new Promise((resolve, reject) => void item.waiting.push({ resolve, reject }));
}

function sizeOf({ key, value, headers }: OutRecord): number {
  let size = 64 + (key?.length ?? 0) + (value?.length ?? 0);
  for (const header of headers ?? []) size += 8 + header.key.length + (header.value?.length ?? 0);
  return size;
}

/** As it is now: bytes of a packet are a view of what a socket read. */
function copyOf(record: OutRecord, now: number): OutRecord {
  const copy = (bytes: Uint8Array | null): Uint8Array | null => (bytes === null ? null : new Uint8Array(bytes));
  return { ...record, key: copy(record.key), value: copy(record.value), timestamp: record.timestamp ?? now };
}
