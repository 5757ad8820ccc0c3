// MQTT control packets of 3.1.1 and 5 as values: what each may carry, and the reason codes (MQTT5 sections 2 and 3).

/** Protocol level: 4 is MQTT 3.1.1, 5 is MQTT 5. */
export type Version = 4 | 5;
export type Qos = 0 | 1 | 2;
/** Who sent a packet: some packets, properties and reason codes are for one side only. */
export type Sender = "client" | "server";

/** Control packet types (MQTT5 section 2.1.2); 0 is reserved. */
export const PacketType = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const;
export type PacketType = (typeof PacketType)[keyof typeof PacketType];

/** Reason codes (MQTT5 section 2.4). Below 0x80 is success. */
export const Reason = {
  success: 0x00,
  grantedQos1: 0x01,
  grantedQos2: 0x02,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  continueAuthentication: 0x18,
  reauthenticate: 0x19,
  unspecified: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecific: 0x83,
  unsupportedVersion: 0x84,
  clientIdNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  banned: 0x8a,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdInUse: 0x91,
  packetIdNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  messageRateTooHigh: 0x96,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  retainNotSupported: 0x9a,
  qosNotSupported: 0x9b,
  useAnotherServer: 0x9c,
  serverMoved: 0x9d,
  sharedSubscriptionsNotSupported: 0x9e,
  connectionRateExceeded: 0x9f,
  maximumConnectTime: 0xa0,
  subscriptionIdsNotSupported: 0xa1,
  wildcardSubscriptionsNotSupported: 0xa2,
} as const;
export type ReasonCode = (typeof Reason)[keyof typeof Reason];

export type UserProperty = readonly [name: string, value: string];

/** Properties (MQTT5 section 2.2.2.2), each where its packet allows it; undefined: not there. MQTT 3.1.1 has none. */
export interface Properties {
  /** 0 unspecified bytes, 1 UTF-8. */
  readonly payloadFormat?: 0 | 1;
  /** Seconds. */
  readonly messageExpiry?: number;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: Uint8Array;
  /** 1 to 268,435,455; a PUBLISH to a client may carry several, a SUBSCRIBE one. */
  readonly subscriptionIds?: readonly number[];
  /** Seconds; 0xFFFFFFFF: never. */
  readonly sessionExpiry?: number;
  readonly assignedClientId?: string;
  /** Seconds. */
  readonly serverKeepAlive?: number;
  readonly authenticationMethod?: string;
  readonly authenticationData?: Uint8Array;
  readonly requestProblemInformation?: 0 | 1;
  /** Seconds. */
  readonly willDelay?: number;
  readonly requestResponseInformation?: 0 | 1;
  readonly responseInformation?: string;
  readonly serverReference?: string;
  readonly reasonString?: string;
  readonly receiveMaximum?: number;
  readonly topicAliasMaximum?: number;
  readonly topicAlias?: number;
  readonly maximumQos?: 0 | 1;
  readonly retainAvailable?: 0 | 1;
  readonly userProperties?: readonly UserProperty[];
  /** Bytes. */
  readonly maximumPacketSize?: number;
  readonly wildcardAvailable?: 0 | 1;
  readonly subscriptionIdsAvailable?: 0 | 1;
  readonly sharedAvailable?: 0 | 1;
}

export interface Will {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly properties: Properties;
}

export interface Connect {
  readonly kind: "connect";
  readonly version: Version;
  /** Clean Session in 3.1.1, Clean Start in 5. */
  readonly clean: boolean;
  /** Seconds; 0: none. */
  readonly keepAlive: number;
  readonly clientId: string;
  readonly will: Will | null;
  readonly username: string | null;
  readonly password: Uint8Array | null;
  readonly properties: Properties;
}

export interface Connack {
  readonly kind: "connack";
  readonly sessionPresent: boolean;
  /** A Reason in 5, a return code 0-5 in 3.1.1. */
  readonly code: number;
  readonly properties: Properties;
}

export interface Publish {
  readonly kind: "publish";
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly dup: boolean;
  /** 1-65,535; 0 for QoS 0. */
  readonly packetId: number;
  readonly properties: Properties;
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP. */
export interface Acknowledgement {
  readonly kind: "puback" | "pubrec" | "pubrel" | "pubcomp";
  readonly packetId: number;
  /** 0 in 3.1.1. */
  readonly code: number;
  readonly properties: Properties;
}

/** 0 send at subscribe, 1 send only if the subscription is new, 2 do not send (MQTT5 section 3.8.3.1). */
export type RetainHandling = 0 | 1 | 2;

export interface SubscriptionRequest {
  readonly filter: string;
  readonly qos: Qos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: RetainHandling;
}

export interface Subscribe {
  readonly kind: "subscribe";
  readonly packetId: number;
  readonly subscriptions: readonly SubscriptionRequest[];
  readonly properties: Properties;
}

export interface Suback {
  readonly kind: "suback" | "unsuback";
  readonly packetId: number;
  /** One for each filter asked for; an UNSUBACK of 3.1.1 has none. */
  readonly codes: readonly number[];
  readonly properties: Properties;
}

export interface Unsubscribe {
  readonly kind: "unsubscribe";
  readonly packetId: number;
  readonly filters: readonly string[];
  readonly properties: Properties;
}

export interface Ping {
  readonly kind: "pingreq" | "pingresp";
}

export interface Disconnect {
  readonly kind: "disconnect";
  /** 0 in 3.1.1. */
  readonly code: number;
  readonly properties: Properties;
}

export interface Auth {
  readonly kind: "auth";
  readonly code: number;
  readonly properties: Properties;
}

export type Packet =
  | Connect
  | Connack
  | Publish
  | Acknowledgement
  | Subscribe
  | Suback
  | Unsubscribe
  | Ping
  | Disconnect
  | Auth;

export const noProperties: Properties = Object.freeze({});

/** A packet that breaks the standard: the code to close with, and a sentence that names the statement. */
export class MqttProblem extends Error {
  readonly code: ReasonCode;
  constructor(code: ReasonCode, detail: string) {
    super(detail);
    this.name = "MqttProblem";
    this.code = code;
  }
}
