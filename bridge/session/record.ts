// Sessions and wills as records of `__mqtt_sessions`: versioned bytes, every length bounded. Pure.
import { HubError, limits, Reader, Writer } from "../../hub/mod.ts";
import type { Properties, Qos, UserProperty, Will } from "../wire/packet.ts";
import type { StoredFlight, StoredOutbound, StoredPosition } from "./flight.ts";
import type { Subscription } from "./subscriptions.ts";

/** A session without its connection. The record's key is the client id. */
export interface StoredSession {
  /** Counts takeovers between hubs: of two writers the lower one is fenced. */
  readonly epoch: number;
  readonly expirySeconds: number;
  /** Milliseconds; null: it had a connection when this was written. */
  readonly expiresAt: number | null;
  readonly subscriptions: readonly Subscription[];
  readonly outbound: StoredOutbound;
}

export interface StoredWill {
  readonly will: Will;
  /** Milliseconds; null: its client was connected when this was written. */
  readonly dueAt: number | null;
}

/** What is known of a session whose hub is gone, by death or by restart. */
export interface Past {
  /** Null: it was to end with its connection, and left a will. */
  readonly session: StoredSession | null;
  readonly inboundIds: readonly number[];
  readonly will: StoredWill | null;
}

/** Raised when a field is added; a reader refuses what is newer than itself. */
const sessionVersion = 1;
const willVersion = 1;
const idMax = 65_535;

export function encodeSession(session: StoredSession): Uint8Array {
  const writer = new Writer();
  writer.uvarint(sessionVersion);
  writer.uvarint(session.epoch);
  writer.uvarint(session.expirySeconds);
  writeTime(writer, session.expiresAt);
  writer.uvarint(session.subscriptions.length);
  for (const { filter, options, since } of session.subscriptions) {
    const { qos, noLocal, retainAsPublished, id } = options;
    writer.string(filter, true);
    writer.int8(qos | (noLocal ? 4 : 0) | (retainAsPublished ? 8 : 0));
    writer.uvarint(id);
    writer.uvarint(since);
  }
  const { positions, flights } = session.outbound;
  writer.uvarint(positions.length);
  for (const { topic, partition, group, next } of positions) {
    writer.string(topic, true);
    writer.uvarint(partition);
    writer.string(group, true);
    writer.uvarint(next);
  }
  writer.uvarint(flights.length);
  for (const { packetId, qos, retain, released, position, offset } of flights) {
    writer.uint16(packetId);
    writer.int8(qos | (retain ? 4 : 0) | (released ? 8 : 0));
    writer.uvarint(position + 1);
    writer.uvarint(offset);
  }
  return bounded(writer.join());
}

/** @throws HubError INVALID_RECORD when the bytes are none of ours, or of a newer version. */
export function decodeSession(bytes: Uint8Array): StoredSession {
  return decoded(bytes, sessionVersion, (reader) => {
    const epoch = reader.uvarint();
    const expirySeconds = reader.uvarint();
    const expiresAt = readTime(reader);
    const subscriptions = many(reader, limits.mqttSubscriptionsPerClientMax, readSubscription);
    // partitions that only flights name come on top
    const positionsMax = limits.mqttPositionsPerSessionMax + limits.mqttOutInFlightMax;
    const positions = many(reader, positionsMax, readPosition);
    const flights = many(reader, limits.mqttOutInFlightMax, (from) => readFlight(from, positions.length));
    if (new Set(flights.map(({ packetId }) => packetId)).size < flights.length) throw bad("a packet id is there twice");
    return { epoch, expirySeconds, expiresAt, subscriptions, outbound: { positions, flights } };
  });
}

export function encodeWill({ will, dueAt }: StoredWill): Uint8Array {
  const writer = new Writer();
  const { topic, payload, qos, retain, properties } = will;
  writer.uvarint(willVersion);
  writeTime(writer, dueAt);
  writer.string(topic, true);
  writeBytes(writer, payload);
  writer.int8(qos | (retain ? 4 : 0));
  const { payloadFormat, messageExpiry, willDelay, contentType, responseTopic, correlationData } = properties;
  for (const number of [payloadFormat, messageExpiry, willDelay]) writer.uvarint((number ?? -1) + 1);
  for (const text of [contentType, responseTopic]) {
    writer.bool(text !== undefined);
    if (text !== undefined) writer.string(text, true);
  }
  writer.bool(correlationData !== undefined);
  if (correlationData !== undefined) writeBytes(writer, correlationData);
  const pairs = properties.userProperties ?? [];
  writer.uvarint(pairs.length);
  for (const pair of pairs) for (const text of pair) writer.string(text, true);
  return bounded(writer.join(), limits.mqttPacketBytesMax + 64); // as large as the CONNECT it came with
}

/** @throws HubError INVALID_RECORD when the bytes are none of ours, or of a newer version. */
export function decodeWill(bytes: Uint8Array): StoredWill {
  return decoded(bytes, willVersion, (reader) => {
    const dueAt = readTime(reader);
    const topic = readString(reader);
    const payload = reader.copy(reader.uvarint());
    const flags = readFlags(reader, 7);
    const [payloadFormat, messageExpiry, willDelay] = [reader.uvarint(), reader.uvarint(), reader.uvarint()];
    if (payloadFormat > 2) throw bad("a payload format is 0 or 1");
    const contentType = reader.bool() ? readString(reader) : undefined;
    const responseTopic = reader.bool() ? readString(reader) : undefined;
    const correlationData = reader.bool() ? reader.copy(reader.uvarint()) : undefined;
    const pairs = many(reader, limits.mqttPacketBytesMax, (from): UserProperty => [readString(from), readString(from)]);
    const properties: Properties = {
      ...(payloadFormat === 0 ? {} : { payloadFormat: payloadFormat === 2 ? 1 : 0 }),
      ...(messageExpiry === 0 ? {} : { messageExpiry: messageExpiry - 1 }),
      ...(willDelay === 0 ? {} : { willDelay: willDelay - 1 }),
      ...(contentType === undefined ? {} : { contentType }),
      ...(responseTopic === undefined ? {} : { responseTopic }),
      ...(correlationData === undefined ? {} : { correlationData }),
      ...(pairs.length === 0 ? {} : { userProperties: pairs }),
    };
    return { will: { topic, payload, qos: qosOf(flags), retain: (flags & 4) !== 0, properties }, dueAt };
  });
}

function readSubscription(reader: Reader): Subscription {
  const filter = readString(reader);
  const flags = readFlags(reader, 15);
  const options = { qos: qosOf(flags), noLocal: (flags & 4) !== 0, retainAsPublished: (flags & 8) !== 0 };
  return { filter, options: { ...options, id: reader.uvarint() }, since: reader.uvarint() };
}

function readPosition(reader: Reader): StoredPosition {
  return { topic: readString(reader), partition: reader.uvarint(), group: readString(reader), next: reader.uvarint() };
}

function readFlight(reader: Reader, positions: number): StoredFlight {
  const packetId = readId(reader);
  const flags = readFlags(reader, 15);
  const qos = qosOf(flags);
  const position = reader.uvarint() - 1;
  if (qos === 0 || position >= positions) throw bad("a flight of QoS 0, or of no position");
  const released = (flags & 8) !== 0;
  if (!released && position < 0) throw bad("a flight whose message is nowhere");
  const rest = { retain: (flags & 4) !== 0, released, position };
  return { packetId, qos, ...rest, offset: reader.uvarint() };
}

function decoded<T>(bytes: Uint8Array, version: number, read: (reader: Reader) => T): T {
  const reader = new Reader(bytes);
  try {
    const found = reader.uvarint();
    if (found !== version) throw bad(`version ${found}, this hub knows ${version}`);
    const value = read(reader);
    if (reader.remaining() > 0) throw bad(`${reader.remaining()} bytes too many`);
    return value;
  } catch (error) {
    if (error instanceof HubError && error.kind !== "INVALID_RECORD") throw bad(error.message);
    throw error;
  }
}

function bad(detail: string): HubError {
  return new HubError("INVALID_RECORD", `a stored MQTT session: ${detail}`);
}

function bounded(bytes: Uint8Array, max: number = limits.mqttSessionRecordBytesMax): Uint8Array {
  if (bytes.length > max) throw bad(`${bytes.length} bytes, over ${max}`);
  return bytes;
}

function many<T>(reader: Reader, max: number, read: (reader: Reader) => T): T[] {
  const count = reader.elements(reader.uvarint(), 1);
  if (count > max) throw bad(`${count} elements, over ${max}`);
  return Array.from({ length: count }, () => read(reader));
}

function readString(reader: Reader): string {
  const size = reader.uvarint();
  if (size === 0) throw bad("a text is missing");
  return reader.string(size - 1);
}

function readId(reader: Reader): number {
  const id = reader.uint16();
  if (id < 1 || id > idMax) throw bad("a packet id is 0");
  return id;
}

function readFlags(reader: Reader, known: number): number {
  const flags = reader.int8();
  if ((flags & ~known) !== 0) throw bad(`flags ${flags}`);
  return flags;
}

function qosOf(flags: number): Qos {
  const qos = flags & 3;
  if (qos === 3) throw bad("QoS 3");
  return qos as Qos;
}

function writeBytes(writer: Writer, bytes: Uint8Array): void {
  writer.uvarint(bytes.length);
  writer.bytes(bytes);
}

function writeTime(writer: Writer, at: number | null): void {
  writer.uvarint(at === null ? 0 : Math.max(0, at) + 1);
}

function readTime(reader: Reader): number | null {
  const at = reader.uvarint();
  return at === 0 ? null : at - 1;
}
