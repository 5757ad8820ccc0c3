// QoS 2 ids that wait for their PUBREL, as `__mqtt_sessions` keeps them, and the message of one on its way. Pure.
import { HubError, type Identity, type OutRecord, Reader, type TopicPartition, Writer } from "../../hub/mod.ts";

/** Which batch a message goes in. It is appended when all of it is noted, as a whole, by whoever does it. */
export interface Membership {
  /** Nothing else was or will be appended under it. */
  readonly identity: Identity;
  /** Among the records of the batch. */
  readonly place: number;
  readonly count: number;
}

/** A message that is not known to be in its topic. */
export interface Pending {
  readonly at: TopicPartition;
  readonly record: OutRecord;
}

export interface OpenId {
  readonly packetId: number;
  /** Null: on a lone hub id and message are one commit. */
  readonly batch: Membership | null;
  /** Null: the message is stored. */
  readonly pending: Pending | null;
}

const version = { alone: 1, inBatch: 2 } as const;

export function encodeOpenId({ packetId, batch, pending }: OpenId): Uint8Array {
  const writer = new Writer();
  writer.uvarint(batch === null ? version.alone : version.inBatch);
  writer.uvarint(packetId);
  if (batch === null) return writer.join();
  const { identity, place, count } = batch;
  for (const number of [identity.producerId, identity.producerEpoch, place, count]) writer.uvarint(number);
  writer.bool(pending !== null);
  if (pending !== null) writePending(writer, pending);
  return writer.join();
}

function writePending(writer: Writer, { at, record }: Pending): void {
  writer.string(at.topic, true);
  writer.uvarint(at.partition);
  writer.uvarint((record.timestamp ?? -1) + 1);
  writeBytes(writer, record.key);
  writeBytes(writer, record.value);
  const headers = record.headers ?? [];
  writer.uvarint(headers.length);
  for (const { key, value } of headers) {
    writer.string(key, true);
    writeBytes(writer, value);
  }
}

/** @throws HubError INVALID_RECORD, INVALID_REQUEST */
export function decodeOpenId(bytes: Uint8Array): OpenId {
  const reader = new Reader(bytes);
  const found = reader.uvarint();
  if (found !== version.alone && found !== version.inBatch) {
    throw new HubError("INVALID_RECORD", `a packet id of version ${found}`);
  }
  const packetId = reader.uvarint();
  if (found === version.alone) return { packetId, batch: null, pending: null };
  const identity = { producerId: reader.uvarint(), producerEpoch: reader.uvarint() };
  const batch = { identity, place: reader.uvarint(), count: reader.uvarint() };
  return { packetId, batch, pending: reader.bool() ? readPending(reader) : null };
}

function readPending(reader: Reader): Pending {
  const topic = reader.string(reader.uvarint() - 1);
  const partition = reader.uvarint();
  const time = reader.uvarint() - 1;
  const [key, value] = [readBytes(reader), readBytes(reader)];
  const headers = Array.from({ length: reader.elements(reader.uvarint(), 2) }, () => {
    return { key: reader.string(reader.uvarint() - 1), value: readBytes(reader) };
  });
  return { at: { topic, partition }, record: { key, value, headers, ...(time < 0 ? {} : { timestamp: time }) } };
}

/** With the length and one before them; 0 is null. */
function writeBytes(writer: Writer, bytes: Uint8Array | null): void {
  writer.uvarint(bytes === null ? 0 : bytes.length + 1);
  if (bytes !== null) writer.bytes(bytes);
}

function readBytes(reader: Reader): Uint8Array | null {
  const size = reader.uvarint();
  return size === 0 ? null : reader.copy(size - 1);
}

/** A message of a batch that may be in its topic, or not. */
export type PendingId = OpenId & { readonly batch: Membership; readonly pending: Pending };

/** What becomes of messages that an owner finds noted, and not known to be stored. */
export interface Unfinished {
  /** To be appended, each as one batch, in its order: if it is in its topic already, that knows its identity. */
  readonly redo: readonly (readonly PendingId[])[];
  /** Others of its batch are known to be stored: so are these. */
  readonly stored: readonly PendingId[];
  /** Not all of its batch was noted before its owner lost the client: it was never appended, and nobody was told. */
  readonly never: readonly PendingId[];
}

export function unfinishedOf(ids: Iterable<OpenId>): Unfinished {
  const batches = new Map<string, OpenId[]>();
  for (const id of ids) {
    if (id.batch === null) continue;
    const { producerId, producerEpoch } = id.batch.identity;
    const name = `${producerId} ${producerEpoch}`;
    batches.set(name, [...(batches.get(name) ?? []), id]);
  }
  const found = { redo: [] as PendingId[][], stored: [] as PendingId[], never: [] as PendingId[] };
  for (const members of batches.values()) {
    const pending = members.filter(isPending);
    if (pending.length < members.length) found.stored.push(...pending);
    else if (isWhole(pending)) found.redo.push([...pending].sort((one, other) => one.batch.place - other.batch.place));
    else found.never.push(...pending);
  }
  return found;
}

function isPending(id: OpenId): id is PendingId {
  return id.pending !== null;
}

function isWhole(members: readonly PendingId[]): boolean {
  const places = new Set(members.map(({ batch }) => batch.place));
  return places.size === members.length && members.every(({ batch }) => batch.count === members.length);
}
