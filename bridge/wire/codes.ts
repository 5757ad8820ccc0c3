// Which reason codes stand in which packet, and the return codes of 3.1.1 that say the same. Pure.
import { Reason as R, type Sender, type Version } from "./packet.ts";

export type CodePacket =
  | "connack"
  | "puback"
  | "pubrec"
  | "pubrel"
  | "pubcomp"
  | "suback"
  | "unsuback"
  | "disconnect"
  | "auth";

const received = [
  R.success,
  R.noMatchingSubscribers,
  R.unspecified,
  R.implementationSpecific,
  R.notAuthorized,
  R.topicNameInvalid,
  R.packetIdInUse,
  R.quotaExceeded,
  R.payloadFormatInvalid,
];
const released = [R.success, R.packetIdNotFound];

// 0x8C stands in MQTT5 table 2-6 for a DISCONNECT, though not in table 3-10
const disconnectBoth = [
  R.success,
  R.unspecified,
  R.malformedPacket,
  R.protocolError,
  R.implementationSpecific,
  R.badAuthenticationMethod,
  R.topicNameInvalid,
  R.receiveMaximumExceeded,
  R.topicAliasInvalid,
  R.packetTooLarge,
  R.messageRateTooHigh,
  R.quotaExceeded,
  R.administrativeAction,
  R.payloadFormatInvalid,
];

const ofServer: Readonly<Record<CodePacket, ReadonlySet<number>>> = {
  connack: new Set([
    R.success,
    R.unspecified,
    R.malformedPacket,
    R.protocolError,
    R.implementationSpecific,
    R.unsupportedVersion,
    R.clientIdNotValid,
    R.badUserNameOrPassword,
    R.notAuthorized,
    R.serverUnavailable,
    R.serverBusy,
    R.banned,
    R.badAuthenticationMethod,
    R.topicNameInvalid,
    R.packetTooLarge,
    R.quotaExceeded,
    R.payloadFormatInvalid,
    R.retainNotSupported,
    R.qosNotSupported,
    R.useAnotherServer,
    R.serverMoved,
    R.connectionRateExceeded,
  ]),
  puback: new Set(received),
  pubrec: new Set(received),
  pubrel: new Set(released),
  pubcomp: new Set(released),
  suback: new Set([
    R.success,
    R.grantedQos1,
    R.grantedQos2,
    R.unspecified,
    R.implementationSpecific,
    R.notAuthorized,
    R.topicFilterInvalid,
    R.packetIdInUse,
    R.quotaExceeded,
    R.sharedSubscriptionsNotSupported,
    R.subscriptionIdsNotSupported,
    R.wildcardSubscriptionsNotSupported,
  ]),
  unsuback: new Set([
    R.success,
    R.noSubscriptionExisted,
    R.unspecified,
    R.implementationSpecific,
    R.notAuthorized,
    R.topicFilterInvalid,
    R.packetIdInUse,
  ]),
  disconnect: new Set([
    ...disconnectBoth,
    R.notAuthorized,
    R.serverBusy,
    R.serverShuttingDown,
    R.keepAliveTimeout,
    R.sessionTakenOver,
    R.topicFilterInvalid,
    R.retainNotSupported,
    R.qosNotSupported,
    R.useAnotherServer,
    R.serverMoved,
    R.sharedSubscriptionsNotSupported,
    R.connectionRateExceeded,
    R.maximumConnectTime,
    R.subscriptionIdsNotSupported,
    R.wildcardSubscriptionsNotSupported,
  ]),
  auth: new Set([R.success, R.continueAuthentication]),
};
const ofClient: Readonly<Record<CodePacket, ReadonlySet<number>>> = {
  ...ofServer,
  disconnect: new Set([...disconnectBoth, R.disconnectWithWill]),
  auth: new Set([R.continueAuthentication, R.reauthenticate]),
};

/** The code may stand in that packet of MQTT 5. */
export function isCodeOf(packet: CodePacket, code: number, sender: Sender): boolean {
  return (sender === "client" ? ofClient : ofServer)[packet].has(code);
}

const returnCodes: ReadonlyMap<number, number> = new Map([
  [R.unsupportedVersion, 1],
  [R.clientIdNotValid, 2],
  [R.serverUnavailable, 3],
  [R.serverBusy, 3],
  [R.serverShuttingDown, 3],
  [R.quotaExceeded, 3],
  [R.useAnotherServer, 3],
  [R.serverMoved, 3],
  [R.connectionRateExceeded, 3],
  [R.badUserNameOrPassword, 4],
  [R.badAuthenticationMethod, 4],
  [R.notAuthorized, 5],
  [R.banned, 5],
]);

/** The return code of a 3.1.1 CONNACK for a Reason, or itself; null: close without a CONNACK [MQTT-3.2.2-6]. */
export function returnCodeOf(code: number): number | null {
  return code <= 5 ? code : (returnCodes.get(code) ?? null);
}

/** The code of a SUBACK as the version has it: 3.1.1 knows one failure, 0x80 [MQTT-3.9.3-2]. */
export function subackCode(code: number, version: Version): number {
  return version === 4 && code > R.grantedQos2 ? R.unspecified : code;
}
