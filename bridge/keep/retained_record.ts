// A retained message as the value of a record of `__mqtt_retained`, whose key is its topic: versioned bytes. Pure.
import { HubError, limits, Reader, Writer } from "../../hub/mod.ts";
import type { Message } from "../session/message.ts";
import type { Properties, Qos, UserProperty } from "../wire/packet.ts";

/** Raised when a field is added; a reader refuses what is newer than itself. */
const version = 1;

export function encodeRetained({ payload, qos, properties, publisher, expiresAt }: Message): Uint8Array {
  const writer = new Writer(payload.length + 64);
  writer.uvarint(version);
  writer.int8(qos);
  writer.uvarint(expiresAt === null ? 0 : Math.max(0, expiresAt) + 1);
  writer.string(publisher, true);
  writeBytes(writer, payload);
  const { payloadFormat, contentType, responseTopic, correlationData, userProperties = [] } = properties;
  writer.uvarint((payloadFormat ?? -1) + 1);
  for (const text of [contentType, responseTopic]) {
    writer.bool(text !== undefined);
    if (text !== undefined) writer.string(text, true);
  }
  writer.bool(correlationData !== undefined);
  if (correlationData !== undefined) writeBytes(writer, correlationData);
  writer.uvarint(userProperties.length);
  for (const pair of userProperties) for (const text of pair) writer.string(text, true);
  return writer.join();
}

/** @throws HubError INVALID_RECORD when the bytes are none of ours, or of a newer version */
export function decodeRetained(topic: string, bytes: Uint8Array): Message {
  try {
    return read(topic, new Reader(bytes));
  } catch (error) {
    if (error instanceof HubError && error.kind !== "INVALID_RECORD") throw bad(error.message);
    throw error;
  }
}

function read(topic: string, reader: Reader): Message {
  const found = reader.uvarint();
  if (found !== version) throw bad(`version ${found}, this hub knows ${version}`);
  const qos = reader.int8();
  if (qos < 0 || qos > 2) throw bad(`QoS ${qos}`);
  const expiresAt = reader.uvarint();
  const publisher = readString(reader);
  const payload = reader.copy(reader.uvarint());
  const payloadFormat = reader.uvarint();
  if (payloadFormat > 2) throw bad("a payload format is 0 or 1");
  const contentType = reader.bool() ? readString(reader) : undefined;
  const responseTopic = reader.bool() ? readString(reader) : undefined;
  const correlationData = reader.bool() ? reader.copy(reader.uvarint()) : undefined;
  const pairs = reader.elements(reader.uvarint(), 2);
  if (pairs > limits.mqttPropertiesPerPacketMax) throw bad(`${pairs} user properties`);
  const userProperties = Array.from({ length: pairs }, (): UserProperty => [readString(reader), readString(reader)]);
  if (reader.remaining() > 0) throw bad(`${reader.remaining()} bytes too many`);
  const properties: Properties = {
    ...(payloadFormat === 0 ? {} : { payloadFormat: payloadFormat === 2 ? 1 : 0 }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
    ...(correlationData === undefined ? {} : { correlationData }),
    ...(pairs === 0 ? {} : { userProperties }),
  };
  return {
    topic,
    payload,
    qos: qos as Qos,
    retain: true,
    properties,
    publisher,
    expiresAt: expiresAt === 0 ? null : expiresAt - 1,
  };
}

function writeBytes(writer: Writer, bytes: Uint8Array): void {
  writer.uvarint(bytes.length);
  writer.bytes(bytes);
}

function readString(reader: Reader): string {
  const size = reader.uvarint();
  if (size === 0) throw bad("a text is missing");
  return reader.string(size - 1);
}

function bad(detail: string): HubError {
  return new HubError("INVALID_RECORD", `a retained MQTT message: ${detail}`);
}
