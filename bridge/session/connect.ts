// What a CONNECT asks for and what it gets: refused, or admitted with the terms of its connection. Pure.
import { limits } from "../../hub/mod.ts";
import { isTopic } from "../match/filter.ts";
import { returnCodeOf } from "../wire/codes.ts";
import type { MayRead } from "./subscriptions.ts";
import {
  type Connack,
  type Connect,
  noProperties,
  type Packet,
  type Properties,
  Reason,
  type ReasonCode,
  type Version,
  type Will,
} from "../wire/packet.ts";
import type { OutboundOptions } from "./sender.ts";

/** The terms of one connection. */
export interface Admission {
  readonly version: Version;
  readonly clientId: string;
  /** The hub chose the client id and tells it ([MQTT-3.1.3-7]). */
  readonly isAssigned: boolean;
  readonly clean: boolean;
  /** How long the session outlives the connection; 0: it does not. */
  readonly expirySeconds: number;
  /** What the client asked for, when it gets less. */
  readonly isExpiryCut: boolean;
  /** 0: none. */
  readonly keepAliveSeconds: number;
  /** The hub chose it and tells it ([MQTT-3.2.2-21]). */
  readonly isKeepAliveSet: boolean;
  /** Reason strings may be sent on any packet ([MQTT-3.1.2-29]); always on CONNACK and DISCONNECT. */
  readonly wantsProblems: boolean;
  readonly outbound: OutboundOptions;
  readonly will: Will | null;
}

/** What belongs to a session as long as its client is there. */
export interface Connection {
  readonly admission: Admission;
  readonly mayRead: MayRead;
  /** CONNACK is sent. */
  isOpen: boolean;
  /** Packets that came before the CONNACK left; few, as the socket is not read then. */
  early: Packet[];
  lastPacketAt: number;
  readonly beganAt: number;
}

export type Checked =
  | { readonly kind: "admit"; readonly admission: Admission }
  /** Null: 3.1.1 has no return code for it; the connection is closed without an answer. */
  | { readonly kind: "refuse"; readonly connack: Connack | null };

const receiveMaxDefault = 65_535;

/** A refusal; with `reference` for 0x9c and 0x9d: where to go (MQTT5 section 4.11). */
export function refuse(version: Version, code: ReasonCode, detail = "", reference = ""): Connack | null {
  if (version === 4) {
    const returnCode = returnCodeOf(code);
    if (returnCode === null) return null;
    return { kind: "connack", sessionPresent: false, code: returnCode, properties: noProperties };
  }
  const properties: Properties = {
    ...(detail === "" ? {} : { reasonString: detail }),
    ...(reference === "" ? {} : { serverReference: reference }),
  };
  return { kind: "connack", sessionPresent: false, code, properties }; // [MQTT-3.2.2-6]
}

/**
 * Looks at a CONNECT before anybody is asked who it is.
 * @param freshId a client id that no session has, in case the client brings none.
 */
export function checkConnect(packet: Connect, freshId: string): Checked {
  const [code, detail] = problemOf(packet);
  if (code !== Reason.success) return { kind: "refuse", connack: refuse(packet.version, code, detail) };
  const { version, clean, clientId, will, properties } = packet;
  const asked = askedExpiry(packet);
  const expirySeconds = Math.min(asked, limits.mqttSessionExpirySecondsMax);
  const keepAliveMax = limits.mqttKeepAliveSecondsMax;
  // a client that never speaks is found out sooner or later; 3.1.1 cannot be told, so that its wish is kept
  const isKeepAliveSet = version === 5 && (packet.keepAlive === 0 || packet.keepAlive > keepAliveMax);
  const admission: Admission = {
    version,
    clientId: clientId === "" ? freshId : clientId, // [MQTT-3.1.3-6]
    isAssigned: clientId === "" && version === 5,
    clean,
    expirySeconds,
    isExpiryCut: version === 5 && expirySeconds !== asked,
    keepAliveSeconds: isKeepAliveSet ? keepAliveMax : packet.keepAlive,
    isKeepAliveSet,
    wantsProblems: version === 5 && properties.requestProblemInformation !== 0,
    outbound: {
      version,
      durable: expirySeconds > 0,
      receiveMax: version === 5 ? (properties.receiveMaximum ?? receiveMaxDefault) : receiveMaxDefault,
      aliasMax: version === 5 ? (properties.topicAliasMaximum ?? 0) : 0,
      packetBytesMax: version === 5 ? (properties.maximumPacketSize ?? null) : null,
    },
    will,
  };
  return { kind: "admit", admission };
}

/** 3.1.1: a session without Clean Session never expires by itself; ours do, like those of 5. */
function askedExpiry({ version, clean, properties }: Connect): number {
  if (version === 5) return properties.sessionExpiry ?? 0;
  return clean ? 0 : limits.mqttSessionExpirySecondsMax;
}

function problemOf(packet: Connect): readonly [ReasonCode, string] {
  const { version, clean, clientId, will, properties } = packet;
  if (clientId === "" && version === 4 && !clean) {
    return [Reason.clientIdNotValid, "3.1.1: no client id without Clean Session [MQTT-3.1.3-8]"];
  }
  if (clientId.length > limits.mqttClientIdLengthMax || clientId.includes("\u0000")) {
    return [Reason.clientIdNotValid, `a client id has up to ${limits.mqttClientIdLengthMax} characters`];
  }
  if (will !== null && !isTopic(will.topic)) return [Reason.topicNameInvalid, "the will's topic is none"];
  if (version === 4) return [Reason.success, ""];
  const { authenticationMethod, authenticationData, receiveMaximum, maximumPacketSize } = properties;
  if (authenticationMethod !== undefined) {
    return [Reason.badAuthenticationMethod, "this hub knows user names and passwords only [MQTT-4.12.0-1]"];
  }
  if (authenticationData !== undefined) return [Reason.protocolError, "authentication data without a method"];
  if (receiveMaximum === 0) return [Reason.protocolError, "receive maximum 0 (MQTT5 3.1.2.11.3)"];
  if (maximumPacketSize === 0) return [Reason.protocolError, "maximum packet size 0 (MQTT5 3.1.2.11.4)"];
  return [Reason.success, ""];
}

/** The CONNACK of an admitted client. What is left out is there: retained, wildcards, shared, identifiers, QoS 2. */
export function accept(admission: Admission, sessionPresent: boolean): Connack {
  const { version, clientId, isAssigned, expirySeconds, isExpiryCut, keepAliveSeconds, isKeepAliveSet } = admission;
  const properties: Properties =
    version === 4
      ? noProperties
      : {
          ...(isExpiryCut ? { sessionExpiry: expirySeconds } : {}),
          receiveMaximum: limits.mqttReceiveMax,
          maximumPacketSize: limits.mqttPacketBytesMax,
          ...(isAssigned ? { assignedClientId: clientId } : {}),
          topicAliasMaximum: limits.mqttTopicAliasMax,
          ...(isKeepAliveSet ? { serverKeepAlive: keepAliveSeconds } : {}),
        };
  return { kind: "connack", sessionPresent, code: Reason.success, properties };
}

/** A reason string is left out where it might not fit ([MQTT-3.14.2-3]). */
export function mayExplain({ outbound: { packetBytesMax } }: Admission, detail: string): boolean {
  return packetBytesMax === null || packetBytesMax >= 3 * detail.length + 32;
}
