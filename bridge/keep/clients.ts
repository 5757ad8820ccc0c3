// What `__mqtt_sessions` says of each client: made of the newest record of each key, whatever compaction left. Pure.
import { HubError, Reader, Writer } from "../../hub/mod.ts";
import { type Past, type StoredSession, type StoredWill, decodeSession, decodeWill } from "../session/record.ts";
import { type KeptKey, Kind, readKey } from "./keys.ts";

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
  heir: Owner | null;
  /** Epoch of the claim for which the hub before wrote its last; 0: none. */
  left: number;
  /** What was written in earlier epochs does not count: the owner wrote anew what did. */
  base: number;
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

/** A packet id that waits for its PUBREL. */
export function encodeOpenId(packetId: number): Uint8Array {
  const writer = new Writer();
  for (const number of [claimVersion, packetId]) writer.uvarint(number);
  return writer.join();
}

/** @throws HubError INVALID_RECORD, INVALID_REQUEST */
export function decodeOpenId(bytes: Uint8Array): number {
  const reader = new Reader(bytes);
  const version = reader.uvarint();
  if (version !== claimVersion) throw new HubError("INVALID_RECORD", `a packet id of version ${version}`);
  return reader.uvarint();
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
    const { claim, heir } = state;
    return heir !== null && heir.of === (claim?.epoch ?? 0) ? heir : claim;
  }

  /** Null: nothing is kept of it. @throws HubError INVALID_RECORD when what is kept cannot be read */
  pastOf(clientId: string): Past | null {
    const state = this.#clients.get(clientId);
    if (state === undefined) return null;
    const { base } = state;
    const [first, last] = [counting(state.session, base), counting(state.will, base)];
    const session: StoredSession | null = first === null ? null : decodeSession(first.value);
    const will: StoredWill | null = last === null ? null : decodeWill(last.value);
    const open = [...(state.ids?.values() ?? [])].filter((entry) => counting(entry, base) !== null);
    const inboundIds = [...new Set(open.map(({ value }) => decodeOpenId(value)))];
    return session === null && will === null && inboundIds.length === 0 ? null : { session, inboundIds, will };
  }

  /** Whether an owner is yet to write anew what counts of the owner before. */
  isToAdopt(clientId: string): boolean {
    const [state, owner] = [this.#clients.get(clientId), this.ownerOf(clientId)];
    if (state === undefined || owner === null || state.base === owner.epoch) return false;
    const isOlder = (entry: Entry | null): boolean => entry !== null && entry.epoch < owner.epoch;
    if (owner.of > 0 || owner === state.heir || isOlder(state.session) || isOlder(state.will)) return true;
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
  return { session: null, will: null, ids: null, claim: null, heir: null, left: 0, base: 0 };
}

function isEmpty({ session, will, ids, claim, heir, left, base }: ClientState): boolean {
  const isKept = session !== null || will !== null || ids !== null;
  return !isKept && claim === null && heir === null && left === 0 && base === 0;
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
      state.heir = value === null ? null : { ...decodeClaim(value), epoch: offset + 1 };
      return;
    case Kind.left:
      state.left = value === null ? 0 : decodeClaim(value).of;
      return;
    case Kind.base:
      state.base = value === null ? 0 : decodeClaim(value).of;
  }
}

/** Sets or removes (null) what was written in one epoch. */
function put(entry: Entry | null, epoch: number, value: Uint8Array | null): Entry | null {
  if (entry !== null && entry.epoch > epoch) return { ...entry, older: put(entry.older, epoch, value) };
  const older = entry?.epoch === epoch ? entry.older : entry;
  return value === null ? older : { epoch, value, older };
}

/** The newest, unless it is of before the base. */
export function counting(entry: Entry | null, base: number): Entry | null {
  return entry !== null && entry.epoch >= base ? entry : null;
}

/** The epochs in which something is there. */
export function epochsOf(entry: Entry | null): readonly number[] {
  const epochs: number[] = [];
  for (let at = entry; at !== null; at = at.older) epochs.push(at.epoch);
  return epochs;
}
