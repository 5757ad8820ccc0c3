// The properties of MQTT 5: the table of what each is and where it may stand, read and written (section 2.2.2). Pure.
import { limits } from "../../hub/mod.ts";
import { malformed, protocolError, type Statement, anyViolation, fault } from "./faults.ts";
import {
  MqttProblem,
  noProperties,
  PacketType as T,
  type Properties,
  Reason,
  type Sender,
  type UserProperty,
} from "./packet.ts";
import type { Reader } from "./reader.ts";
import { topicNameProblem } from "./topics.ts";
import type { Writer } from "./writer.ts";

export type PropertyType = "byte" | "two" | "four" | "varint" | "string" | "binary" | "pair";
/** A packet type, or the will inside a CONNECT. */
export type Place = T | typeof inWill;
export const inWill = 0;

export interface PropertyRow {
  readonly id: number;
  readonly name: keyof Properties;
  readonly type: PropertyType;
  /** Bit 1 << place for each place where it may stand. */
  readonly places: number;
  /** It may stand more than once. */
  readonly many: boolean;
  readonly least: number;
  readonly most: number;
}

const acknowledgements = [T.connack, T.puback, T.pubrec, T.pubrel, T.pubcomp, T.suback, T.unsuback] as const;
const everywhere: readonly Place[] = [
  ...acknowledgements,
  T.connect,
  T.publish,
  T.subscribe,
  T.unsubscribe,
  T.disconnect,
  T.auth,
  inWill,
];

function row(
  id: number,
  name: keyof Properties,
  type: PropertyType,
  places: readonly Place[],
  more: { readonly many?: boolean; readonly least?: number; readonly most?: number } = {},
): PropertyRow {
  const bits = places.reduce((all: number, place) => all | (1 << place), 0);
  const { many = false, least = 0, most = Number.MAX_SAFE_INTEGER } = more;
  return { id, name, type, places: bits, many, least, most };
}

const flag = { most: 1 };
const positive = { least: 1 };

/** MQTT5 table 2-4. */
export const propertyTable: readonly PropertyRow[] = [
  row(0x01, "payloadFormat", "byte", [T.publish, inWill], flag),
  row(0x02, "messageExpiry", "four", [T.publish, inWill]),
  row(0x03, "contentType", "string", [T.publish, inWill]),
  row(0x08, "responseTopic", "string", [T.publish, inWill]),
  row(0x09, "correlationData", "binary", [T.publish, inWill]),
  row(0x0b, "subscriptionIds", "varint", [T.publish, T.subscribe], { least: 1, many: true }),
  row(0x11, "sessionExpiry", "four", [T.connect, T.connack, T.disconnect]),
  row(0x12, "assignedClientId", "string", [T.connack]),
  row(0x13, "serverKeepAlive", "two", [T.connack]),
  row(0x15, "authenticationMethod", "string", [T.connect, T.connack, T.auth]),
  row(0x16, "authenticationData", "binary", [T.connect, T.connack, T.auth]),
  row(0x17, "requestProblemInformation", "byte", [T.connect], flag),
  row(0x18, "willDelay", "four", [inWill]),
  row(0x19, "requestResponseInformation", "byte", [T.connect], flag),
  row(0x1a, "responseInformation", "string", [T.connack]),
  row(0x1c, "serverReference", "string", [T.connack, T.disconnect]),
  row(0x1f, "reasonString", "string", [...acknowledgements, T.disconnect, T.auth]),
  row(0x21, "receiveMaximum", "two", [T.connect, T.connack], positive),
  row(0x22, "topicAliasMaximum", "two", [T.connect, T.connack]),
  row(0x23, "topicAlias", "two", [T.publish], positive),
  row(0x24, "maximumQos", "byte", [T.connack], flag),
  row(0x25, "retainAvailable", "byte", [T.connack], flag),
  row(0x26, "userProperties", "pair", everywhere, { many: true }),
  row(0x27, "maximumPacketSize", "four", [T.connect, T.connack], positive),
  row(0x28, "wildcardAvailable", "byte", [T.connack], flag),
  row(0x29, "subscriptionIdsAvailable", "byte", [T.connack], flag),
  row(0x2a, "sharedAvailable", "byte", [T.connack], flag),
];
const byId: readonly (PropertyRow | undefined)[] = Array.from({ length: 0x2b }, (_, id) =>
  propertyTable.find((entry) => entry.id === id),
);

type Mutable = { -readonly [name in keyof Properties]: Properties[name] };

/** Reads the property length and what it covers; 3.1.1 has none. */
export function readProperties(reader: Reader, place: Place, sender: Sender): Properties {
  if (reader.version === 4) return noProperties;
  const length = reader.varint("the property length");
  if (length === 0) return noProperties;
  const part = reader.part(length, "the properties");
  const properties: Mutable = {};
  for (let count = 1; part.left > 0; count++) {
    // no statement of the standard: our own bound on the work of one packet
    const most = limits.mqttPropertiesPerPacketMax;
    if (count > most) throw new MqttProblem(Reason.quotaExceeded, `more than ${most} properties in one packet`);
    readOne(part, place, properties);
  }
  const wrong = crossCheck(properties, place, sender);
  if (wrong !== null) throw wrong;
  return properties;
}

function readOne(reader: Reader, place: Place, into: Mutable): void {
  const id = reader.varint("a property id");
  const entry = byId[id];
  if (entry === undefined) throw malformed(5, anyViolation, `property 0x${id.toString(16)} does not exist`);
  if ((entry.places & (1 << place)) === 0) {
    throw protocolError(5, anyViolation, `${entry.name} may not stand in ${placeName(place)}`);
  }
  const { name } = entry;
  const many = entry.many && !(name === "subscriptionIds" && place === T.subscribe);
  if (into[name] !== undefined && !many) {
    throw protocolError(5, anyViolation, `${name} stands twice`);
  }
  const value = readValue(reader, entry);
  if (entry.many) {
    const list = (into[name] as unknown[] | undefined) ?? [];
    list.push(value);
    (into as Record<string, unknown>)[name] = list;
  } else (into as Record<string, unknown>)[name] = value;
}

function readValue(reader: Reader, { name, type, least, most }: PropertyRow): unknown {
  if (type === "string") return reader.string(name);
  if (type === "binary") return reader.binary(name);
  if (type === "pair") {
    return [reader.string("the name of a user property"), reader.string("the value of a user property")];
  }
  const value = reader[type](name);
  if (value >= least && value <= most) return value;
  const code = name === "topicAlias" ? Reason.topicAliasInvalid : Reason.protocolError;
  const statement: Statement = name === "topicAlias" ? "3.3.2-8" : anyViolation;
  throw fault(5, code, statement, `${name} is ${value}`);
}

/** What a property says about another, or about who sent it. */
function crossCheck(properties: Properties, place: Place, sender: Sender): Error | null {
  if (properties.authenticationData !== undefined && properties.authenticationMethod === undefined) {
    return protocolError(5, anyViolation, "authenticationData stands without authenticationMethod");
  }
  if (properties.responseTopic !== undefined && topicNameProblem(properties.responseTopic, 5) !== null) {
    return protocolError(5, "3.3.2-14", "the response topic is empty or holds a wildcard");
  }
  if (sender === "client" && place === T.publish && properties.subscriptionIds !== undefined) {
    return protocolError(5, "3.3.4-6", "a client sent a subscription id in a PUBLISH");
  }
  if (sender === "server" && place === T.disconnect && properties.sessionExpiry !== undefined) {
    return protocolError(5, "3.14.2-2", "a server sent a session expiry in a DISCONNECT");
  }
  return null;
}

function placeName(place: Place): string {
  if (place === inWill) return "a will";
  return (Object.keys(T) as (keyof typeof T)[]).find((name) => T[name] === place)!.toUpperCase();
}

/** Writes property length and properties. A property that may not stand there is our own mistake. */
export function writeProperties(writer: Writer, properties: Properties, place: Place): void {
  if (properties === noProperties) return writer.byte(0);
  writer.measured("the properties", () => writeEach(writer, properties, place));
}

/** Writes the properties without their length. */
export function writeEach(writer: Writer, properties: Properties, place: Place): void {
  for (const entry of propertyTable) {
    const value = properties[entry.name];
    if (value === undefined) continue;
    if ((entry.places & (1 << place)) === 0) {
      throw new RangeError(`${entry.name} may not stand in ${placeName(place)}`);
    }
    if (entry.name === "userProperties" || entry.name === "subscriptionIds") {
      for (const each of value as readonly unknown[]) writeOne(writer, entry, each);
    } else writeOne(writer, entry, value);
  }
}

function writeOne(writer: Writer, { id, name, type, least, most }: PropertyRow, value: unknown): void {
  writer.byte(id);
  if (type === "string") return writer.string(value as string, name);
  if (type === "binary") return writer.binary(value as Uint8Array, name);
  if (type === "pair") {
    const [key, text] = value as UserProperty;
    writer.string(key, "the name of a user property");
    return writer.string(text, "the value of a user property");
  }
  const number = value as number;
  if (!(number >= least && number <= most)) throw new RangeError(`${name} is ${number}`);
  if (type === "byte") writer.byte(number);
  else writer[type](number, name);
}
