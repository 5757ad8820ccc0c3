// Records of the transaction log as bytes: keys and values, versioned. Pure.
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { HubError } from "../errors.ts";
import type { CommittedOffset } from "../io/registry.ts";
import type { Image, LogRecord } from "./transaction.ts";
import { TransactionState } from "./transaction.ts";

// Version notes (written version is the last; all are read)
//  1  key: kind, transactional id, group of offsets; value: as below
const version = 1;

const Kind = { Transaction: 0, Offsets: 1 } as const;

/** In the order of their numbers in the log; only ever appended to. */
const states: readonly TransactionState[] = [
  TransactionState.Empty,
  TransactionState.Ongoing,
  TransactionState.PrepareCommit,
  TransactionState.PrepareAbort,
  TransactionState.CompleteCommit,
  TransactionState.CompleteAbort,
];

/** Key and value of a record; the value is null for one that takes back. */
export function encodeLogRecord(record: LogRecord): { readonly key: Uint8Array; readonly value: Uint8Array | null } {
  const key = new Writer();
  key.int8(version);
  key.int8(record.kind === "transaction" ? Kind.Transaction : Kind.Offsets);
  key.string(record.id, true);
  if (record.kind === "transaction") {
    return { key: key.join(), value: record.image === null ? null : encodeImage(record.image) };
  }
  key.string(record.group, true);
  return { key: key.join(), value: record.offsets === null ? null : encodeOffsets(record.offsets) };
}

function encodeImage(image: Image): Uint8Array {
  const writer = new Writer();
  writer.int8(version);
  writer.int8(states.indexOf(image.state));
  writer.int64(image.producerId);
  writer.int16(image.epoch);
  writer.int64(image.lastProducerId);
  writer.int16(image.lastEpoch);
  writer.int64(image.nextProducerId);
  writer.int32(image.timeoutMs);
  writer.int64(image.startedAt);
  writer.uvarint(image.partitions.size);
  for (const [topic, partitions] of image.partitions) {
    writer.string(topic, true);
    writer.uvarint(partitions.size);
    for (const partition of partitions) writer.uvarint(partition);
  }
  writer.uvarint(image.groups.size);
  for (const group of image.groups) writer.string(group, true);
  return writer.join();
}

function encodeOffsets(offsets: readonly CommittedOffset[]): Uint8Array {
  const writer = new Writer();
  writer.int8(version);
  writer.uvarint(offsets.length);
  for (const { topicId, topic, partition, offset, leaderEpoch, metadata, committedAt } of offsets) {
    writer.uuid(topicId);
    writer.string(topic, true);
    writer.uvarint(partition);
    writer.int64(offset);
    writer.int32(leaderEpoch);
    writer.string(metadata, true);
    writer.int64(committedAt);
  }
  return writer.join();
}

/**
 * Decodes a record of the transaction log.
 * @throws HubError UNSUPPORTED_VERSION when a newer hub wrote it, INVALID_REQUEST when it is damaged
 */
export function decodeLogRecord(key: Uint8Array | null, value: Uint8Array | null): LogRecord {
  if (key === null) throw new HubError("INVALID_REQUEST", "a transaction record without a key");
  const reader = new Reader(key);
  checkVersion(reader);
  const kind = reader.int8();
  const id = text(reader);
  if (kind === Kind.Transaction) {
    return { kind: "transaction", id, image: value === null ? null : decodeImage(new Reader(value)) };
  }
  if (kind !== Kind.Offsets) throw new HubError("UNSUPPORTED_VERSION", `transaction record of kind ${kind}`);
  const group = text(reader);
  return { kind: "offsets", id, group, offsets: value === null ? null : decodeOffsets(new Reader(value)) };
}

function decodeImage(reader: Reader): Image {
  checkVersion(reader);
  const number = reader.int8();
  const state = states[number];
  if (state === undefined) throw new HubError("UNSUPPORTED_VERSION", `transaction record of state ${number}`);
  return {
    state,
    producerId: reader.int64(),
    epoch: reader.int16(),
    lastProducerId: reader.int64(),
    lastEpoch: reader.int16(),
    nextProducerId: reader.int64(),
    timeoutMs: reader.int32(),
    startedAt: reader.int64(),
    partitions: new Map(list(reader, () => [text(reader), new Set(list(reader, () => reader.uvarint()))])),
    groups: new Set(list(reader, () => text(reader))),
  };
}

function decodeOffsets(reader: Reader): CommittedOffset[] {
  checkVersion(reader);
  return list(reader, () => ({
    topicId: reader.uuid(),
    topic: text(reader),
    partition: reader.uvarint(),
    offset: reader.int64(),
    leaderEpoch: reader.int32(),
    metadata: text(reader),
    committedAt: reader.int64(),
  }));
}

function checkVersion(reader: Reader): void {
  const found = reader.int8();
  if (found !== version) throw new HubError("UNSUPPORTED_VERSION", `transaction record of version ${found}`);
}

function text(reader: Reader): string {
  return reader.string(reader.uvarint() - 1);
}

function list<T>(reader: Reader, one: () => T): T[] {
  return Array.from({ length: reader.elements(reader.uvarint(), 1) }, one);
}
