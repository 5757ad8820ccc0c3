// What `__mqtt_sessions` says of each client: made of the newest record of each key, whatever compaction left. Pure.
import { HubError, Reader, Writer } from "../../hub/mod.ts";
import { type Past, type StoredSession, type StoredWill, decodeSession, decodeWill } from "../session/record.ts";
import { type KeptKey, Kind, readKey } from "./keys.ts";
import { decodeOpenId, type OpenId } from "./open_id.ts";

/** A value, and what hubs wrote in its place in earlier epochs and did not remove: the highest epoch counts. */
export interface Entry {
  readonly epoch: number;
  readonly value: Uint8Array;
  readonly older: Entry | null;
}

/** Who looks after a client. */
export interface Owner {
  readonly hub: number;
  readonly epoch: number;
  /** Of an heir: epoch of the claim it inherits. Of a claim: epoch of the owner before, as it knew. 0: nobody's. */
  readonly of: number;
}

export interface ClientState {
  session: Entry | null;
  will: Entry | null;
  /** QoS 2 ids, by slot. */
  ids: Map<number, Entry> | null;
  claim: Owner | null;
  /** By the epoch of their keys, that of the claim: one that comes too late does not take the place of another. */
  heirs: Map<number, Owner> | null;
  /** Epoch of the claim for which the hub before wrote its last; 0: none. */
  left: number;
  /** What was written in earlier epochs does not count: the owner wrote anew what did. */
  base: number;
  /** Records that say so, each in its own epoch: a late one of an earlier owner does not take the owner's place. */
  bases: Entry | null;
}

export interface KeptRecord {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly offset: number;
}

const claimVersion = 1;

export function encodeClaim(hub: number, of = 0): Uint8Array {
  const writer = new Writer();
  for (const number of [claimVersion, hub, of]) writer.uvarint(number);
  return writer.join();
}

/** @throws HubError INVALID_RECORD, INVALID_REQUEST */
function decodeClaim(bytes: Uint8Array): { readonly hub: number; readonly of: number } {
  const reader = new Reader(bytes);
  const version = reader.uvarint();
  if (version !== claimVersion) throw new HubError("INVALID_RECORD", `a claim of version ${version}`);
  return { hub: reader.uvarint(), of: reader.uvarint() };
}

export class Clients {
  readonly #clients = new Map<string, ClientState>();

  get size(): number {
    return this.#clients.size;
  }

  all(): Iterable<readonly [string, ClientState]> {
    return this.#clients;
  }

  get(clientId: string): ClientState | undefined {
    return this.#clients.get(clientId);
  }

  /**
   * The epoch of a claim is its place in the log and so higher than any before it. An heir counts as long as nobody
   * claimed the client since.
   */
  ownerOf(clientId: string): Owner | null {
    const state = this.#clients.get(clientId);
    if (state === undefined) return null;
    const { claim, heirs } = state;
    const rightful = [...(heirs?.values() ?? [])].filter(({ of }) => of === (claim?.epoch ?? 0));
    return rightful.reduce((last, heir) => (heir.epoch > (last?.epoch ?? 0) ? heir : last), claim);
  }

  /** Null: nothing is kept of it. @throws HubError INVALID_RECORD when what is kept cannot be read */
  pastOf(clientId: string): Past | null {
    const state = this.#clients.get(clientId);
    if (state === undefined) return null;
    const { base } = state;
    const [first, last] = [counting(state.session, base), counting(state.will, base)];
    const session: StoredSession | null = first === null ? null : decodeSession(first.value);
    const will: StoredWill | null = last === null ? null : decodeWill(last.value);
    const inboundIds = [...new Set(openIdsOf(state).map(({ packetId }) => packetId))];
    return session === null && will === null && inboundIds.length === 0 ? null : { session, inboundIds, will };
  }

  /** Whether an owner is yet to write anew what counts of the owner before. */
  isToAdopt(clientId: string): boolean {
    const [state, owner] = [this.#clients.get(clientId), this.ownerOf(clientId)];
    if (state === undefined || owner === null || state.base === owner.epoch) return false;
    const isOlder = (entry: Entry | null): boolean => entry !== null && entry.epoch < owner.epoch;
    if (owner.of > 0 || owner !== state.claim || isOlder(state.session) || isOlder(state.will)) return true;
    return [...(state.ids?.values() ?? [])].some(isOlder);
  }

  /**
   * Gives the key it is about, and to `about` the client before anything changes.
   * @throws HubError INVALID_RECORD, INVALID_REQUEST when it is none of ours
   */
  apply({ key, value, offset }: KeptRecord, about?: (clientId: string) => void): KeptKey | null {
    const found = key === null ? null : readKey(key);
    if (found === null) return null;
    const { clientId } = found;
    about?.(clientId);
    const state = this.#clients.get(clientId) ?? newState();
    change(state, found, value === null ? null : new Uint8Array(value), offset);
    if (isEmpty(state)) this.#clients.delete(clientId);
    else this.#clients.set(clientId, state);
    return found;
  }
}

function newState(): ClientState {
  return { session: null, will: null, ids: null, claim: null, heirs: null, left: 0, base: 0, bases: null };
}

function isEmpty({ session, will, ids, claim, heirs, left, bases }: ClientState): boolean {
  const isKept = session !== null || will !== null || ids !== null;
  return !isKept && claim === null && heirs === null && left === 0 && bases === null;
}

function change(state: ClientState, about: KeptKey, value: Uint8Array | null, offset: number): void {
  const { kind, epoch, slot } = about;
  switch (kind) {
    case Kind.session:
      state.session = put(state.session, epoch, value);
      return;
    case Kind.will:
      state.will = put(state.will, epoch, value);
      return;
    case Kind.inboundId: {
      const entry = put(state.ids?.get(slot) ?? null, epoch, value);
      if (entry !== null) state.ids ??= new Map();
      if (entry !== null) state.ids!.set(slot, entry);
      else state.ids?.delete(slot);
      if (state.ids?.size === 0) state.ids = null;
      return;
    }
    case Kind.claim:
      state.claim = value === null ? null : { ...decodeClaim(value), epoch: offset + 1 };
      return;
    case Kind.heir:
      if (value !== null) state.heirs ??= new Map();
      if (value !== null) state.heirs!.set(epoch, { ...decodeClaim(value), epoch: offset + 1 });
      else state.heirs?.delete(epoch);
      if (state.heirs?.size === 0) state.heirs = null;
      return;
    case Kind.left:
      state.left = value === null ? 0 : decodeClaim(value).of;
      return;
    case Kind.base:
      state.bases = put(state.bases, epoch, value);
      state.base = highest(state.bases);
  }
}

/** Sets or removes (null) what was written in one epoch. */
function put(entry: Entry | null, epoch: number, value: Uint8Array | null): Entry | null {
  if (entry !== null && entry.epoch > epoch) return { ...entry, older: put(entry.older, epoch, value) };
  const older = entry?.epoch === epoch ? entry.older : entry;
  return value === null ? older : { epoch, value, older };
}

function highest(bases: Entry | null): number {
  let base = 0;
  for (let at = bases; at !== null; at = at.older) base = Math.max(base, decodeClaim(at.value).of);
  return base;
}

/** The newest, unless it is of before the base. */
export function counting(entry: Entry | null, base: number): Entry | null {
  return entry !== null && entry.epoch >= base ? entry : null;
}

/** Those that count. @throws HubError INVALID_RECORD, INVALID_REQUEST when one cannot be read */
export function openIdsOf({ ids, base }: ClientState): OpenId[] {
  const open = [...(ids?.values() ?? [])].filter((entry) => counting(entry, base) !== null);
  return open.map(({ value }) => decodeOpenId(value));
}

/** The epochs in which something is there. */
export function epochsOf(entry: Entry | null): readonly number[] {
  const epochs: number[] = [];
  for (let at = entry; at !== null; at = at.older) epochs.push(at.epoch);
  return epochs;
}
