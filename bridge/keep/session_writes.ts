// Writes what is kept of clients that this hub looks after, and knows which records of each are to go in the end.
import { HubError, limits, mqttSessionsTopic, type OutRecord, type Trace } from "../../hub/mod.ts";
import { encodeSession, encodeWill, type Past, type StoredSession, type StoredWill } from "../session/record.ts";
import { type ClientState, counting, encodeClaim, type Entry, epochsOf } from "./clients.ts";
import type { KeepingHub } from "./faces.ts";
import type { KeptTopic } from "./kept_topic.ts";
import { type KeptKey, Kind, keyOf } from "./keys.ts";
import { decodeOpenId, encodeOpenId, type OpenId } from "./open_id.ts";

/** A client that this hub looks after: in which epochs there are, or are becoming, records of it. */
export interface Owned {
  readonly clientId: string;
  readonly partition: number;
  /** Where ownership began in the log; rises when it is claimed anew. */
  epoch: number;
  session: readonly number[];
  will: readonly number[];
  ids: Ids | null;
  /** QoS 2 messages that are being stored; an end waits for them. */
  storing: Set<Promise<unknown>> | null;
  /** An end under way: a second one waits for what the first removes. */
  ending: Promise<unknown> | null;
  /** Offset of the claim by which another hub took it; null while it is ours. */
  takenAt: number | null;
}

/** A QoS 2 id that is not released. */
export interface OwnedId {
  readonly slot: number;
  /** In which there are records of it. */
  epochs: readonly number[];
  /** While its message is on its way (once_lines.ts): resolves when that is in its topic, or refused. */
  fate: Promise<void> | null;
  /** Its end is written: nothing else may come after that. */
  isReleased: boolean;
  /** Its client was told nothing: when the message comes again, it is this one. */
  isUntold: boolean;
}

/** By packet id. */
type Ids = Map<number, OwnedId>;

export interface WritesOptions {
  readonly hub: KeepingHub;
  readonly topic: KeptTopic;
  readonly trace: Trace;
  /** Resolves when a record at this offset is known to count; rejects when another hub had the client before it. */
  readonly confirm: (owned: Owned, offset: number) => Promise<void>;
}

const none: readonly number[] = [];

export class SessionWrites {
  readonly #options: WritesOptions;
  readonly #topic: KeptTopic;
  #sessions = 0;
  #ids = 0;

  constructor(options: WritesOptions) {
    this.#options = options;
    this.#topic = options.topic;
  }

  /** QoS 2 ids of clients that this hub looks after. */
  get ids(): number {
    return this.#ids;
  }

  get sessions(): number {
    return this.#sessions;
  }

  /** Takes a client over, with the records there are of it. */
  own(clientId: string, epoch: number, state: ClientState | undefined): Owned {
    const ids = state?.ids ? idsOf(state.ids, state.base) : null;
    const session = sharedList(epochsOf(state?.session ?? null));
    this.#ids += ids?.size ?? 0;
    if (session.length > 0) this.#sessions++;
    return {
      clientId,
      partition: this.#topic.partitionOf(clientId),
      epoch,
      session,
      will: sharedList(epochsOf(state?.will ?? null)),
      ids,
      storing: null,
      ending: null,
      takenAt: null,
    };
  }

  /**
   * Writes anew, in the owner's epoch, what counts of a client that another hub had; from there on nothing else does,
   * whatever the other one still writes.
   */
  adopt(owned: Owned, state: ClientState): void {
    const { clientId, epoch } = owned;
    const stale: [Kind, readonly number[], number][] = [];
    const copy = (kind: Kind, entry: Entry | null, slot = 0): readonly number[] => {
      const found = counting(entry, state.base);
      const isOwn = found?.epoch === epoch;
      if (found !== null && !isOwn) this.#put(owned, keyOf(kind, clientId, epoch, slot), found.value);
      stale.push([kind, epochsOf(entry).filter((one) => one !== epoch), slot]);
      return found === null ? none : [epoch];
    };
    if (owned.session.length > 0) this.#sessions--;
    owned.session = copy(Kind.session, state.session);
    if (owned.session.length > 0) this.#sessions++;
    owned.will = copy(Kind.will, state.will);
    for (const [packetId, id] of [...(owned.ids ?? [])]) {
      id.epochs = copy(Kind.inboundId, state.ids?.get(id.slot) ?? null, id.slot);
      if (id.epochs.length === 0 && owned.ids !== null) this.#dropId(owned, owned.ids, packetId);
    }
    this.#put(owned, keyOf(Kind.base, clientId, epoch), encodeClaim(this.#options.hub.hubId, epoch));
    stale.push([Kind.base, epochsOf(state.bases).filter((one) => one !== epoch), 0]);
    for (const [kind, epochs, slot] of stale) this.#remove(owned, kind, epochs, slot);
  }

  /** Another hub wrote, in an earlier epoch, what does not count. */
  clearStale(owned: Owned, { kind, epoch, slot }: KeptKey): void {
    this.#remove(owned, kind, [epoch], slot);
  }

  /** Nothing is kept of it, nor on its way. */
  isOver({ session, will, ids, storing, ending }: Owned): boolean {
    return session.length === 0 && will.length === 0 && ids === null && storing === null && ending === null;
  }

  /** Another hub's now, or over. */
  letGo(owned: Owned): void {
    this.#ids -= owned.ids?.size ?? 0;
    if (owned.session.length > 0) this.#sessions--;
    owned.ids = null;
    owned.session = none;
  }

  async store(owned: Owned, session: StoredSession): Promise<void> {
    const isNew = owned.session.length === 0;
    if (isNew && this.#sessions >= limits.mqttSessionsMax) throw full(`${this.#sessions} sessions`);
    const value = encodeSession(session);
    if (isNew) this.#sessions++;
    const stale = owned.session.filter((epoch) => epoch !== owned.epoch);
    owned.session = sharedList([owned.epoch]);
    const written = this.#write(owned, keyOf(Kind.session, owned.clientId, owned.epoch), value);
    this.#remove(owned, Kind.session, stale);
    await this.#options.confirm(owned, await written);
  }

  /** A failure is counted. */
  keepWill(owned: Owned, will: StoredWill | null): void {
    const before = owned.will;
    owned.will = will === null ? none : sharedList([owned.epoch]);
    if (will !== null) this.#writeWill(owned, will).catch((error: unknown) => this.#failed(owned, error));
    this.#remove(owned, Kind.will, will === null ? before : before.filter((epoch) => epoch !== owned.epoch));
  }

  async #writeWill(owned: Owned, will: StoredWill): Promise<void> {
    await this.#write(owned, keyOf(Kind.will, owned.clientId, owned.epoch), encodeWill(will));
  }

  /** Removes all records of the client; QoS 2 ids that are being stored go when they are. */
  async end(owned: Owned): Promise<void> {
    const ending = Promise.all([owned.ending, this.#end(owned)]);
    owned.ending = ending;
    try {
      await ending;
    } finally {
      if (owned.ending === ending) owned.ending = null;
    }
  }

  async #end(owned: Owned): Promise<void> {
    const { session, will, ids, storing } = owned;
    const had: Ids = ids ?? new Map();
    owned.will = none;
    this.letGo(owned);
    const gone = [...this.#tombstones(owned, Kind.session, session), ...this.#tombstones(owned, Kind.will, will)];
    for (const tombstone of gone) tombstone.catch(() => {}); // a failure is told below, maybe much later
    if (storing !== null) await Promise.allSettled(storing);
    const inUse = slotsOf(owned.ids); // by the client's next session
    for (const { slot, epochs } of had.values()) {
      if (!inUse.has(slot)) gone.push(...this.#tombstones(owned, Kind.inboundId, epochs, slot));
    }
    const offsets = await Promise.all(gone);
    if (offsets.length > 0) await this.#options.confirm(owned, Math.max(...offsets));
  }

  /** Takes a place for an id; one that was there is replaced. @throws HubError THROTTLING_QUOTA_EXCEEDED */
  openId(owned: Owned, packetId: number): OwnedId {
    if (!owned.ids?.has(packetId)) {
      if (this.#ids >= limits.mqttQos2IdsMax) throw full(`${this.#ids} QoS 2 ids`);
      this.#ids++;
    }
    owned.ids ??= new Map();
    const slot = owned.ids.get(packetId)?.slot ?? freeSlot(owned.ids);
    const id: OwnedId = { slot, epochs: sharedList([owned.epoch]), fate: null, isReleased: false, isUntold: false };
    owned.ids.set(packetId, id);
    return id;
  }

  /** What an end waits for. */
  track(owned: Owned, stored: Promise<unknown>): void {
    owned.storing ??= new Set();
    const { storing } = owned;
    storing.add(stored);
    const settled = (): void => {
      storing.delete(stored);
      if (storing.size === 0 && owned.storing === storing) owned.storing = null;
    };
    stored.then(settled, settled);
  }

  /** The append begins before this returns. */
  storeOnce(owned: Owned, packetId: number, topic: string, record: OutRecord): Promise<void> {
    let id: OwnedId;
    try {
      id = this.openId(owned, packetId);
    } catch (error) {
      return Promise.reject(error as Error);
    }
    const key = keyOf(Kind.inboundId, owned.clientId, owned.epoch, id.slot);
    const note = {
      topic: mqttSessionsTopic,
      record: { key, value: encodeOpenId({ packetId, batch: null, pending: null }), partition: owned.partition },
    };
    const stored = this.#options.hub.storeTogether(topic, record, note).then(
      ({ noteOffset }) => this.#options.confirm(owned, noteOffset),
      (error: unknown) => {
        // neither is known to be there: an id without its message would make the next one look like a repetition
        this.#failed(owned, error);
        this.forgetId(owned, packetId, id);
        throw error;
      },
    );
    this.track(owned, stored);
    return stored;
  }

  /** Resolves with the offset. */
  async note(owned: Owned, id: OwnedId, noted: OpenId): Promise<number> {
    const { clientId, epoch } = owned;
    const stale = id.epochs.filter((one) => one !== epoch);
    id.epochs = sharedList([epoch]);
    const written = this.#write(owned, keyOf(Kind.inboundId, clientId, epoch, id.slot), encodeOpenId(noted));
    this.#remove(owned, Kind.inboundId, stale, id.slot);
    return await written;
  }

  /** Resolves when the id is durably free. */
  async release(owned: Owned, packetId: number): Promise<void> {
    const fate = owned.ids?.get(packetId)?.fate ?? null;
    if (fate !== null) {
      await fate;
      await owned.ending; // which removes it, if it came meanwhile
      if (owned.takenAt !== null) throw taken(owned.clientId);
    }
    const { ids } = owned;
    const found = ids?.get(packetId);
    if (ids === null || found === undefined) return;
    found.isReleased = true;
    const offsets = await Promise.all(this.#tombstones(owned, Kind.inboundId, found.epochs, found.slot));
    if (ids.get(packetId) === found) this.#dropId(owned, ids, packetId);
    await this.#options.confirm(owned, Math.max(...offsets));
  }

  /** Writes what nobody waits for. */
  #put(owned: Owned, key: Uint8Array, value: Uint8Array): void {
    this.#write(owned, key, value).catch((error: unknown) => this.#failed(owned, error));
  }

  /** Writes a record; resolves with its offset. */
  #write(owned: Owned, key: Uint8Array, value: Uint8Array | null): Promise<number> {
    if (owned.takenAt !== null) return Promise.reject(taken(owned.clientId));
    return this.#topic.write(owned.partition, { key, value });
  }

  #tombstones(owned: Owned, kind: Kind, epochs: readonly number[], slot = 0): Promise<number>[] {
    return epochs.map((epoch) => this.#write(owned, keyOf(kind, owned.clientId, epoch, slot), null));
  }

  /** Removes what nobody waits for. */
  #remove(owned: Owned, kind: Kind, epochs: readonly number[], slot = 0): void {
    for (const gone of this.#tombstones(owned, kind, epochs, slot)) {
      gone.catch((error: unknown) => this.#failed(owned, error));
    }
  }

  /** The message of an id is nowhere. */
  forgetId(owned: Owned, packetId: number, id: OwnedId): void {
    if (owned.ids?.get(packetId) !== id) return; // ended meanwhile, which removes it
    this.#dropId(owned, owned.ids, packetId);
    this.#remove(owned, Kind.inboundId, id.epochs, id.slot);
  }

  #dropId(owned: Owned, ids: Ids, packetId: number): void {
    if (owned.ids !== ids || !ids.delete(packetId)) return;
    this.#ids--;
    if (ids.size === 0) owned.ids = null;
  }

  #failed(owned: Owned, error: unknown): void {
    if (error instanceof HubError && error.kind === "PRODUCER_FENCED") return; // as it should be
    const { trace } = this.#options;
    trace.count("mqtt_keep_failures_total");
    trace.event("warn", "mqtt_keep_failed", { client: owned.clientId, error: String(error) });
  }
}

/** Without ids whose messages were never appended, or refused. */
export function knownOnly(past: Past, { ids }: Owned): Past {
  return { ...past, inboundIds: past.inboundIds.filter((id) => ids?.has(id)) };
}

export function taken(clientId: string): HubError {
  return new HubError("PRODUCER_FENCED", `another hub looks after client ${JSON.stringify(clientId)} now`);
}

function full(what: string): HubError {
  return new HubError("THROTTLING_QUOTA_EXCEEDED", `${what} are kept already`);
}

const alone: readonly number[] = [0];

/** Most lists are the same one: thousands of clients share it. */
function sharedList(epochs: readonly number[]): readonly number[] {
  if (epochs.length === 0) return none;
  return epochs.length === 1 && epochs[0] === 0 ? alone : epochs;
}

/** All there are records of: those that do not count go in the end, too. */
function idsOf(entries: ReadonlyMap<number, Entry>, base: number): Ids {
  const ids: Ids = new Map();
  const add = (packetId: number, slot: number, entry: Entry): void => {
    ids.set(packetId, { slot, epochs: sharedList(epochsOf(entry)), fate: null, isReleased: false, isUntold: false });
  };
  const rest: [number, Entry][] = [];
  for (const [slot, entry] of entries) {
    const id = counting(entry, base) === null ? 0 : packetIdOf(entry);
    if (id === 0 || ids.has(id)) rest.push([slot, entry]);
    else add(id, slot, entry);
  }
  // one that does not count, cannot be read, or is there twice, is nobody's, and goes with the client
  for (const [slot, entry] of rest) add(-1 - slot, slot, entry);
  return ids;
}

function packetIdOf({ value }: Entry): number {
  try {
    return decodeOpenId(value).packetId;
  } catch {
    return 0;
  }
}

function slotsOf(ids: Ids | null): Set<number> {
  return new Set([...(ids?.values() ?? [])].map(({ slot }) => slot));
}

function freeSlot(ids: Ids): number {
  const used = slotsOf(ids);
  let slot = 0;
  while (used.has(slot)) slot++;
  return slot;
}
