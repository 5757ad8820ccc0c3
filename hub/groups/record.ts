// The stored form of a group: one byte string, versioned, that a later hub can read. Pure.
import { Reader } from "../bytes/reader.ts";
import { Writer } from "../bytes/writer.ts";
import { HubError } from "../errors.ts";
import type { GroupRecord, Protocol } from "./group.ts";

// Version notes (written version is the last; all are read)
//  1  generation, protocol type and name, leader, observed empty time; per member ids, client, time-outs, protocols,
//     assignment
const version = 1;

/** Encodes a group record. */
export function encodeGroupRecord(record: GroupRecord): Uint8Array {
  const writer = new Writer();
  writer.int8(version);
  writer.int32(record.generation);
  putText(writer, record.protocolType);
  putText(writer, record.protocolName);
  putText(writer, record.leader);
  writer.uvarint(Math.floor(record.emptyMs));
  writer.uvarint(record.members.length);
  for (const member of record.members) {
    putText(writer, member.memberId);
    putText(writer, member.instanceId);
    putText(writer, member.clientId);
    putText(writer, member.clientHost);
    writer.uvarint(member.sessionTimeoutMs);
    writer.uvarint(member.rebalanceTimeoutMs);
    writer.uvarint(member.protocols.length);
    for (const protocol of member.protocols) {
      putText(writer, protocol.name);
      putBytes(writer, protocol.metadata);
    }
    putBytes(writer, member.assignment);
  }
  return writer.join();
}

/**
 * Decodes a group record.
 * @throws HubError UNSUPPORTED_VERSION when a newer hub wrote it, INVALID_REQUEST when it is damaged
 */
export function decodeGroupRecord(bytes: Uint8Array): GroupRecord {
  const reader = new Reader(bytes);
  const found = reader.int8();
  if (found !== version) throw new HubError("UNSUPPORTED_VERSION", `group record of version ${found}`);
  const generation = reader.int32();
  const protocolType = getText(reader);
  const protocolName = getText(reader);
  const leader = getText(reader);
  const emptyMs = reader.uvarint();
  const members = getList(reader, () => ({
    memberId: getText(reader) ?? "",
    instanceId: getText(reader),
    clientId: getText(reader) ?? "",
    clientHost: getText(reader) ?? "",
    sessionTimeoutMs: reader.uvarint(),
    rebalanceTimeoutMs: reader.uvarint(),
    protocols: getList(reader, (): Protocol => ({ name: getText(reader) ?? "", metadata: getBytes(reader) })),
    assignment: getBytes(reader),
  }));
  if (reader.remaining() > 0) throw new HubError("INVALID_REQUEST", "bytes are left after the group record");
  return { generation, protocolType, protocolName, leader, emptyMs, members };
}

/** Length, then the bytes. */
export function putBytes(writer: Writer, bytes: Uint8Array): void {
  writer.uvarint(bytes.length);
  writer.bytes(bytes);
}

/** What `putBytes` wrote. */
export function getBytes(reader: Reader): Uint8Array {
  return reader.copy(reader.uvarint());
}

/** Length + 1, then UTF-8; 0 is null. */
export function putText(writer: Writer, text: string | null): void {
  if (text === null) writer.uvarint(0);
  else writer.string(text, true);
}

/** What `putText` wrote. */
export function getText(reader: Reader): string | null {
  const size = reader.uvarint();
  return size === 0 ? null : reader.string(size - 1);
}

/** A count, then as many of what `get` reads. */
export function getList<T>(reader: Reader, get: () => T): T[] {
  const count = reader.elements(reader.uvarint(), 1);
  return Array.from({ length: count }, get);
}
