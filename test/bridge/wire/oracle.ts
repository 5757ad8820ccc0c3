// Another codec as oracle, mqtt-packet of npm: packets to and from its shape, and what it says of bytes.
import mqttPacket from "mqtt-packet";
import type { Packet, Properties, Version } from "../../../bridge/wire/packet.ts";
import { plain } from "./bytes.ts";

type Theirs = Record<string, unknown>;

/** Our name of a property -> theirs. */
const names: Readonly<Record<keyof Properties, string>> = {
  payloadFormat: "payloadFormatIndicator",
  messageExpiry: "messageExpiryInterval",
  contentType: "contentType",
  responseTopic: "responseTopic",
  correlationData: "correlationData",
  subscriptionIds: "subscriptionIdentifier",
  sessionExpiry: "sessionExpiryInterval",
  assignedClientId: "assignedClientIdentifier",
  serverKeepAlive: "serverKeepAlive",
  authenticationMethod: "authenticationMethod",
  authenticationData: "authenticationData",
  requestProblemInformation: "requestProblemInformation",
  willDelay: "willDelayInterval",
  requestResponseInformation: "requestResponseInformation",
  responseInformation: "responseInformation",
  serverReference: "serverReference",
  reasonString: "reasonString",
  receiveMaximum: "receiveMaximum",
  topicAliasMaximum: "topicAliasMaximum",
  topicAlias: "topicAlias",
  maximumQos: "maximumQoS",
  retainAvailable: "retainAvailable",
  userProperties: "userProperties",
  maximumPacketSize: "maximumPacketSize",
  wildcardAvailable: "wildcardSubscriptionAvailable",
  subscriptionIdsAvailable: "subscriptionIdentifiersAvailable",
  sharedAvailable: "sharedSubscriptionAvailable",
};
/** Properties of one byte that they hold as booleans. */
const booleans = new Set([
  "payloadFormat",
  "requestProblemInformation",
  "requestResponseInformation",
  "retainAvailable",
  "wildcardAvailable",
  "subscriptionIdsAvailable",
  "sharedAvailable",
]);

function propertiesToTheirs(properties: Properties): Theirs | undefined {
  const made: Theirs = {};
  for (const [name, value] of Object.entries(properties)) {
    const theirs = names[name as keyof Properties];
    if (name === "userProperties") made[theirs] = grouped(value as readonly (readonly [string, string])[]);
    else if (name === "subscriptionIds") made[theirs] = (value as number[]).length === 1 ? value[0] : value;
    else if (booleans.has(name)) made[theirs] = value === 1;
    else made[theirs] = value instanceof Uint8Array ? Buffer.from(value) : value;
  }
  return Object.keys(made).length === 0 ? undefined : made;
}

/** They keep user properties by name, and one that comes after an empty value of its name in that one's place. */
function grouped(pairs: readonly (readonly [string, string])[]): Theirs {
  const made: Theirs = Object.create(null);
  for (const [name, value] of pairs) {
    const before = made[name];
    if (!before) made[name] = value;
    else made[name] = Array.isArray(before) ? [...before, value] : [before, value];
  }
  return made;
}

const omitUndefined = (fields: Theirs): Theirs =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

/** Our packet in their shape. */
export function toTheirs(packet: Packet, version: Version): Theirs {
  if (!("properties" in packet)) return { cmd: packet.kind };
  const { kind } = packet;
  const properties = version === 5 ? propertiesToTheirs(packet.properties) : undefined;
  const fields = (more: Theirs): Theirs => omitUndefined({ cmd: kind, properties, ...more });
  const code = version === 5 ? "reasonCode" : "returnCode";
  switch (packet.kind) {
    case "connect": {
      const { clean, keepAlive, clientId, username, password, will } = packet;
      return fields({
        protocolId: "MQTT",
        protocolVersion: version,
        clean,
        keepalive: keepAlive,
        clientId,
        username: username ?? undefined,
        password: password === null ? undefined : Buffer.from(password),
        will:
          will === null
            ? undefined
            : omitUndefined({
                topic: will.topic,
                payload: Buffer.from(will.payload),
                qos: will.qos,
                retain: will.retain,
                properties: version === 5 ? propertiesToTheirs(will.properties) : undefined,
              }),
      });
    }
    case "connack":
      return fields({ sessionPresent: packet.sessionPresent, [code]: packet.code });
    case "publish": {
      const { topic, payload, qos, retain, dup, packetId } = packet;
      const messageId = qos > 0 ? packetId : undefined;
      return fields({ topic, payload: Buffer.from(payload), qos, retain, dup, messageId });
    }
    case "subscribe":
      return fields({
        messageId: packet.packetId,
        subscriptions: packet.subscriptions.map(({ filter, qos, noLocal, retainAsPublished, retainHandling }) =>
          version === 5
            ? { topic: filter, qos, nl: noLocal, rap: retainAsPublished, rh: retainHandling }
            : { topic: filter, qos },
        ),
      });
    case "unsubscribe":
      return fields({ messageId: packet.packetId, unsubscriptions: [...packet.filters] });
    case "suback":
    case "unsuback":
      return fields({
        messageId: packet.packetId,
        granted: version === 4 && kind === "unsuback" ? undefined : [...packet.codes],
      });
    case "disconnect":
    case "auth":
      return fields({ reasonCode: version === 5 ? packet.code : undefined });
    default:
      return fields({ messageId: packet.packetId, reasonCode: version === 5 ? packet.code : undefined });
  }
}

/** Fields that their parser sets on every packet, or that say the same as another. */
const noise: readonly string[] = ["length", "topic", "payload", "qos", "retain", "dup", "messageId", "bridgeMode"];

export type Verdict = { readonly packet: unknown } | { readonly refused: string } | { readonly waits: true };

/** What their parser makes of one frame, in a form that compares with `comparable`. */
export function theirVerdict(frame: Uint8Array, version: Version): Verdict {
  const parser = mqttPacket.parser({ protocolVersion: version });
  let verdict: Verdict = { waits: true };
  let done = false;
  parser.on("packet", (packet) => {
    if (!done) verdict = { packet: comparable(packet as unknown as Theirs) };
    done = true;
  });
  parser.on("error", (error: Error) => {
    if (!done) verdict = { refused: error.message };
    done = true;
  });
  try {
    parser.parse(Buffer.from(frame));
  } catch (error) {
    return { refused: `threw ${(error as Error).message}` };
  }
  return verdict;
}

/** A packet of theirs without what says nothing for its kind. */
export function comparable(packet: Theirs): unknown {
  const publish = packet["cmd"] === "publish";
  const kept = Object.entries(packet).filter(([name, value]) => {
    if (value === undefined || value === null || name === "length") return false;
    if (publish) return true;
    // the defaults of their packet class
    return !noise.includes(name) || (name === "messageId" && value !== undefined);
  });
  return plain(Object.fromEntries(kept));
}

/** Their encoding; throws where they refuse. */
export function theirFrame(packet: Packet, version: Version): Buffer {
  return mqttPacket.generate(toTheirs(packet, version) as never, { protocolVersion: version } as never);
}
