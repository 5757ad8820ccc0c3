// Packets that break a statement of the standards, as bytes: who sends what, and which reason code refuses it.
import { Reason as R, type ReasonCode, type Sender, type Version } from "../../../bridge/wire/packet.ts";

export interface Refusal {
  readonly title: string;
  readonly version: Version;
  readonly sender: Sender;
  /** The frame, as test/bridge/wire/bytes.ts reads it. */
  readonly bytes: string;
  readonly code: ReasonCode;
  /** The number in the sentence. */
  readonly statement: string;
}

/** Cases of one title: [bytes, statement in 3.1.1 and 5, or one for both; null: not of that version]. */
function both(
  title: string,
  code: ReasonCode,
  statements: readonly [v4: string | null, v5: string | null],
  bytes: readonly [v4: string, v5: string],
  sender: Sender = "client",
): readonly Refusal[] {
  return ([4, 5] as const).flatMap((version, at) => {
    const statement = statements[at]!;
    return statement === null ? [] : [{ title, version, sender, bytes: bytes[at]!, code, statement }];
  });
}

function five(title: string, code: ReasonCode, statement: string, bytes: string, sender: Sender = "client"): Refusal {
  return { title, version: 5, sender, bytes, code, statement };
}

function four(title: string, code: ReasonCode, statement: string, bytes: string, sender: Sender = "client"): Refusal {
  return { title, version: 4, sender, bytes, code, statement };
}

const { malformedPacket, protocolError, topicNameInvalid, topicFilterInvalid } = R;
const any4 = "4.8.0-1";
const any5 = "4.13.1-1";
const any = [any4, any5] as const;
/**
 * A CONNECT of each version: its flags, what stands after the properties, the properties of 5. `will` in the rest is
 * where 5 has the will's properties.
 */
const connects = (flags: string, rest: string, properties = "00"): readonly [string, string] => {
  const size = (text: string): number => text.replaceAll(/\s/g, "").length / 2;
  const of = (body: string): string => `10 ${size(body).toString(16).padStart(2, "0")} ${body}`;
  return [
    of(`0004 4d515454 04 ${flags} 003c ${rest.replace("will", "")}`),
    of(`0004 4d515454 05 ${flags} 003c ${properties} ${rest.replace("will", "00")}`),
  ];
};

const connectRefusals: readonly Refusal[] = [
  five("CONNECT: the protocol is not MQTT", R.unsupportedVersion, "3.1.2-1", "10 0c 0004 'MQTX' 05 02 003c 00 0000"),
  five("CONNECT: the level is not served", R.unsupportedVersion, "3.1.2-2", "10 0d 0004 'MQTT' 06 02 003c 00 0001 'c'"),
  ...both("CONNECT: the reserved flag", malformedPacket, ["3.1.2-3", "3.1.2-3"], connects("03", "0001 63")),
  ...both("CONNECT: a will QoS without a will", malformedPacket, ["3.1.2-13", "3.1.2-11"], connects("0a", "0001 63")),
  ...both(
    "CONNECT: a will retain without a will",
    malformedPacket,
    ["3.1.2-15", "3.1.2-13"],
    connects("22", "0001 63"),
  ),
  ...both(
    "CONNECT: will QoS 3",
    malformedPacket,
    ["3.1.2-14", "3.1.2-12"],
    connects("1e", "0001 63 will 0001 74 0000"),
  ),
  ...both("CONNECT: the flags promise a user name that is not there", malformedPacket, any, connects("82", "0001 63")),
  ...both(
    "CONNECT: a user name that the flags do not promise",
    malformedPacket,
    any,
    connects("02", "0001 63 0001 75"),
  ),
  ...both(
    "CONNECT: the flags promise a password that is not there",
    malformedPacket,
    any,
    connects("c2", "0001 63 0001 75"),
  ),
  ...both(
    "CONNECT: a password that the flags do not promise",
    malformedPacket,
    any,
    connects("82", "0001 63 0001 75 0001 70"),
  ),
  ...both("CONNECT: the flags promise a will that is not there", malformedPacket, any, connects("06", "0001 63")),
  ...both(
    "CONNECT: a will that the flags do not promise",
    malformedPacket,
    any,
    connects("02", "0001 63 0001 74 0000"),
  ),
  ...both(
    "CONNECT: a password without a user name (3.1.1)",
    protocolError,
    ["3.1.2-22", null],
    connects("42", "0001 63 0001 70"),
  ),
  ...both("CONNECT: no client id", malformedPacket, any, connects("02", "")),
  ...both(
    "CONNECT: an empty client id without a clean session (3.1.1)",
    R.clientIdNotValid,
    ["3.1.3-8", null],
    connects("00", "0000"),
  ),
  ...both(
    "CONNECT: a client id that is not UTF-8",
    malformedPacket,
    ["1.5.3-1", "1.5.4-1"],
    connects("02", "0002 c328"),
  ),
  ...both(
    "CONNECT: a user name that is not UTF-8",
    malformedPacket,
    ["1.5.3-1", "1.5.4-1"],
    connects("82", "0001 63 0001 ff"),
  ),
  ...both(
    "CONNECT: a will topic that is not UTF-8",
    malformedPacket,
    ["1.5.3-1", "1.5.4-1"],
    connects("06", "0001 63 will 0003 eda080 0000"),
  ),
  ...both(
    "CONNECT: a will topic with a wildcard",
    topicNameInvalid,
    ["3.3.2-2", "3.3.2-2"],
    connects("06", "0001 63 will 0001 23 0000"),
  ),
  ...both(
    "CONNECT: an empty will topic",
    topicNameInvalid,
    ["4.7.3-1", "4.7.3-1"],
    connects("06", "0001 63 will 0000 0000"),
  ),
  five("CONNECT: receive maximum 0", protocolError, any5, connects("02", "0001 63", "03 210000")[1]),
  five("CONNECT: maximum packet size 0", protocolError, any5, connects("02", "0001 63", "05 2700000000")[1]),
  five("CONNECT: request problem information 2", protocolError, any5, connects("02", "0001 63", "02 1702")[1]),
  five("CONNECT: request response information 2", protocolError, any5, connects("02", "0001 63", "02 1902")[1]),
  five("CONNECT: authentication data without a method", protocolError, any5, connects("02", "0001 63", "03 160000")[1]),
  five("CONNECT: a property twice", protocolError, any5, connects("02", "0001 63", "0a 1100000001 1100000001")[1]),
  five("CONNECT: a property of another packet", protocolError, any5, connects("02", "0001 63", "03 230001")[1]),
  five("CONNECT: a property that does not exist", malformedPacket, any5, connects("02", "0001 63", "02 0400")[1]),
  five("CONNECT: a property that the length cuts", malformedPacket, any5, connects("02", "0001 63", "02 2100")[1]),
  five("CONNECT: a will property outside the will", protocolError, any5, connects("02", "0001 63", "05 1800000001")[1]),
];

const publishRefusals: readonly Refusal[] = [
  ...both(
    "PUBLISH: both QoS bits",
    malformedPacket,
    ["3.3.1-4", "3.3.1-4"],
    ["36 05 0001 't' 0001", "36 06 0001 't' 0001 00"],
  ),
  ...both("PUBLISH: DUP on QoS 0", malformedPacket, ["3.3.1-2", "3.3.1-2"], ["38 03 0001 't'", "38 04 0001 't' 00"]),
  ...both(
    "PUBLISH: packet id 0",
    protocolError,
    ["2.3.1-1", "2.2.1-3"],
    ["32 05 0001 't' 0000", "34 06 0001 't' 0000 00"],
  ),
  ...both("PUBLISH: no packet id", malformedPacket, any, ["32 03 0001 't'", "32 03 0001 't'"]),
  ...both("PUBLISH: no topic", malformedPacket, any, ["30 01 00", "30 00"]),
  ...both("PUBLISH: the topic is longer than the packet", malformedPacket, any, ["30 03 0002 't'", "30 03 0009 't'"]),
  ...both(
    "PUBLISH: a topic with +",
    topicNameInvalid,
    ["3.3.2-2", "3.3.2-2"],
    ["30 05 0003 'a/+'", "30 06 0003 'a/+' 00"],
  ),
  ...both("PUBLISH: a topic with #", topicNameInvalid, ["3.3.2-2", "3.3.2-2"], ["30 03 0001 '#'", "30 04 0001 '#' 00"]),
  ...both("PUBLISH: an empty topic", protocolError, ["4.7.3-1", "4.7.3-1"], ["30 02 0000", "30 03 0000 00"]),
  ...both(
    "PUBLISH: a topic with U+0000",
    malformedPacket,
    ["1.5.3-2", "1.5.4-2"],
    ["30 03 0001 00", "30 04 0001 00 00"],
  ),
  ...both(
    "PUBLISH: a topic with a surrogate",
    malformedPacket,
    ["1.5.3-1", "1.5.4-1"],
    ["30 05 0003 eda080", "30 06 0003 eda080 00"],
  ),
  ...both(
    "PUBLISH: a topic in overlong UTF-8",
    malformedPacket,
    ["1.5.3-1", "1.5.4-1"],
    ["30 04 0002 c0af", "30 05 0002 c0af 00"],
  ),
  five("PUBLISH: an empty topic without an alias", protocolError, any5, "30 05 0000 02 0101"),
  five("PUBLISH: topic alias 0", R.topicAliasInvalid, "3.3.2-8", "30 07 0001 't' 03 230000"),
  five("PUBLISH: a response topic with a wildcard", protocolError, "3.3.2-14", "30 08 0001 't' 04 08 0001 '+'"),
  five("PUBLISH: an empty response topic", protocolError, "3.3.2-14", "30 07 0001 't' 03 08 0000"),
  five("PUBLISH: a response topic that is not UTF-8", malformedPacket, "1.5.4-1", "30 08 0001 't' 04 08 0001 ff"),
  five("PUBLISH: a content type that is not UTF-8", malformedPacket, "1.5.4-1", "30 08 0001 't' 04 03 0001 ff"),
  five(
    "PUBLISH: a user property that is not UTF-8",
    malformedPacket,
    "1.5.4-1",
    "30 0b 0001 't' 07 26 0001 ff 0001 'v'",
  ),
  five("PUBLISH: a user property with U+0000", malformedPacket, "1.5.4-2", "30 0b 0001 't' 07 26 0001 'k' 0001 00"),
  five("PUBLISH: a subscription id from a client", protocolError, "3.3.4-6", "30 06 0001 't' 02 0b01"),
  five("PUBLISH: subscription id 0", protocolError, any5, "30 06 0001 't' 02 0b00", "server"),
  five("PUBLISH: payload format 2", protocolError, any5, "30 06 0001 't' 02 0102"),
  five("PUBLISH: a property twice", protocolError, any5, "30 08 0001 't' 04 0101 0101"),
  five("PUBLISH: a property length in more bytes than it needs", malformedPacket, "1.5.5-1", "30 05 0001 't' 8000"),
  five("PUBLISH: a property length of five bytes", malformedPacket, any5, "30 08 0001 't' 8080808001"),
  five("PUBLISH: a property longer than the properties", malformedPacket, any5, "30 08 0001 't' 04 03 0002 'a'"),
  five("PUBLISH: properties longer than the packet", malformedPacket, any5, "30 04 0001 't' 05"),
  five("PUBLISH: no property length", malformedPacket, any5, "30 03 0001 't'"),
];

const flags = (
  title: string,
  statements: readonly [string, string],
  four_: string,
  five_: string,
): readonly Refusal[] => both(title, malformedPacket, statements, [four_, five_]);

const headerRefusals: readonly Refusal[] = [
  four("a reserved type: 15 in 3.1.1", malformedPacket, any4, "f0 00"),
  ...flags("reserved flags of CONNECT", ["2.2.2-2", "2.1.3-1"], "11 00", "11 00"),
  ...flags("reserved flags of PUBACK", ["2.2.2-2", "2.1.3-1"], "41 02 0001", "48 02 0001"),
  ...flags("reserved flags of PUBREC", ["2.2.2-2", "2.1.3-1"], "52 02 0001", "51 02 0001"),
  ...flags("reserved flags of PUBREL", ["3.6.1-1", "3.6.1-1"], "60 02 0001", "63 02 0001"),
  ...flags("reserved flags of PUBCOMP", ["2.2.2-2", "2.1.3-1"], "72 02 0001", "71 02 0001"),
  ...flags(
    "reserved flags of SUBSCRIBE",
    ["3.8.1-1", "3.8.1-1"],
    "80 06 0001 0001 'f' 00",
    "8a 07 0001 00 0001 'f' 00",
  ),
  ...flags("reserved flags of UNSUBSCRIBE", ["3.10.1-1", "3.10.1-1"], "a0 05 0001 0001 'f'", "a3 06 0001 00 0001 'f'"),
  ...flags("reserved flags of PINGREQ", ["2.2.2-2", "2.1.3-1"], "c1 00", "c8 00"),
  ...flags("reserved flags of DISCONNECT", ["3.14.1-1", "3.14.1-1"], "e1 00", "e2 00"),
  five("reserved flags of AUTH", malformedPacket, "3.15.1-1", "f1 00"),
  ...both("CONNACK from a client", protocolError, any, ["20 02 0000", "20 03 0000 00"]),
  ...both("SUBACK from a client", protocolError, any, ["90 03 0001 00", "90 04 0001 00 00"]),
  ...both("PINGRESP from a client", protocolError, any, ["d0 00", "d0 00"]),
  ...both(
    "SUBSCRIBE from a server",
    protocolError,
    any,
    ["82 06 0001 0001 'f' 00", "82 07 0001 00 0001 'f' 00"],
    "server",
  ),
  four("DISCONNECT from a server (3.1.1)", protocolError, any4, "e0 00", "server"),
  ...both("PINGREQ with a body", malformedPacket, any, ["c0 01 00", "c0 01 00"]),
];

const acknowledgementRefusals: readonly Refusal[] = [
  ...both("PUBACK: packet id 0", protocolError, ["2.3.1-1", "2.2.1-3"], ["40 02 0000", "40 02 0000"]),
  ...both("PUBREL: packet id 0", protocolError, ["2.3.1-1", "2.2.1-3"], ["62 02 0000", "62 02 0000"]),
  ...both("PUBACK: half a packet id", malformedPacket, any, ["40 01 00", "40 01 00"]),
  four("PUBACK: a reason code in 3.1.1", malformedPacket, any4, "40 03 0001 00"),
  five("PUBACK: a reason code of another packet", protocolError, "3.4.2-1", "40 03 0001 01"),
  five("PUBREC: a reason code of another packet", protocolError, "3.5.2-1", "50 03 0001 92"),
  five("PUBREL: a reason code of another packet", protocolError, "3.6.2-1", "62 03 0001 10"),
  five("PUBCOMP: a reason code of another packet", protocolError, "3.7.2-1", "70 03 0001 80"),
  five("PUBACK: a property of another packet", protocolError, any5, "40 06 0001 00 02 0101"),
  five("PUBACK: the reason string twice", protocolError, any5, "40 0c 0001 00 08 1f 0001 'a' 1f 0001 'b'"),
  five("PUBACK: bytes after the properties", malformedPacket, any5, "40 05 0001 00 00 00"),
  four("DISCONNECT: a body in 3.1.1", malformedPacket, any4, "e0 01 00"),
  five("DISCONNECT: a reason code of a server from a client", protocolError, "3.14.2-1", "e0 01 8b"),
  five("DISCONNECT: a reason code of a client from a server", protocolError, "3.14.2-1", "e0 01 04", "server"),
  five("DISCONNECT: a session expiry from a server", protocolError, "3.14.2-2", "e0 07 00 05 1100000001", "server"),
  five("AUTH: a reason code of another packet", protocolError, "3.15.2-1", "f0 02 80 00"),
  five("AUTH: success from a client", protocolError, "3.15.2-1", "f0 06 00 04 15 0001 'm'"),
  five("AUTH: no authentication method", protocolError, "4.12.0-5", "f0 02 18 00"),
  five("AUTH: authentication data without a method", protocolError, any5, "f0 05 19 03 160000"),
];

const noReserved = ["3-8.3-4", "3.8.3-5"] as const;
const subscribeRefusals: readonly Refusal[] = [
  ...both(
    "SUBSCRIBE: packet id 0",
    protocolError,
    ["2.3.1-1", "2.2.1-3"],
    ["82 06 0000 0001 'f' 00", "82 07 0000 00 0001 'f' 00"],
  ),
  ...both("SUBSCRIBE: no filter", protocolError, ["3.8.3-3", "3.8.3-2"], ["82 02 0001", "82 03 0001 00"]),
  ...both("SUBSCRIBE: a filter without options", malformedPacket, any, [
    "82 05 0001 0001 'f'",
    "82 06 0001 00 0001 'f'",
  ]),
  ...both("SUBSCRIBE: reserved option bits", malformedPacket, noReserved, [
    "82 06 0001 0001 'f' 04",
    "82 07 0001 00 0001 'f' 40",
  ]),
  ...both(
    "SUBSCRIBE: QoS 3",
    protocolError,
    ["3-8.3-4", any5],
    ["82 06 0001 0001 'f' 03", "82 07 0001 00 0001 'f' 03"],
  ),
  five("SUBSCRIBE: retain handling 3", protocolError, any5, "82 07 0001 00 0001 'f' 30"),
  five("SUBSCRIBE: no local on a shared subscription", protocolError, "3.8.3-4", "82 10 0001 00 000a '$share/g/a' 04"),
  ...both(
    "SUBSCRIBE: a filter that is not UTF-8",
    malformedPacket,
    ["1.5.3-1", "1.5.4-1"],
    ["82 06 0001 0001 80 00", "82 07 0001 00 0001 80 00"],
  ),
  ...both(
    "SUBSCRIBE: an empty filter",
    topicFilterInvalid,
    ["4.7.3-1", "4.7.3-1"],
    ["82 05 0001 0000 00", "82 06 0001 00 0000 00"],
  ),
  ...both(
    "SUBSCRIBE: # not at the end",
    topicFilterInvalid,
    ["4.7.1-2", "4.7.1-1"],
    ["82 08 0001 0003 '#/a' 00", "82 09 0001 00 0003 '#/a' 00"],
  ),
  ...both(
    "SUBSCRIBE: + in a level with other characters",
    topicFilterInvalid,
    ["4.7.1-3", "4.7.1-2"],
    ["82 07 0001 0002 'a+' 00", "82 08 0001 00 0002 '+a' 00"],
  ),
  five("SUBSCRIBE: an empty share name", topicFilterInvalid, "4.8.2-1", "82 0f 0001 00 0009 '$share//a' 00"),
  five("SUBSCRIBE: a share name without a filter", topicFilterInvalid, "4.8.2-2", "82 0e 0001 00 0008 '$share/g' 00"),
  five("SUBSCRIBE: a share name with a wildcard", topicFilterInvalid, "4.8.2-2", "82 10 0001 00 000a '$share/+/a' 00"),
  five("SUBSCRIBE: two subscription ids", protocolError, any5, "82 0b 0001 04 0b01 0b02 0001 'f' 00"),
  five("SUBSCRIBE: subscription id 0", protocolError, any5, "82 09 0001 02 0b00 0001 'f' 00"),
  ...both(
    "UNSUBSCRIBE: packet id 0",
    protocolError,
    ["2.3.1-1", "2.2.1-3"],
    ["a2 05 0000 0001 'f'", "a2 06 0000 00 0001 'f'"],
  ),
  ...both("UNSUBSCRIBE: no filter", protocolError, ["3.10.3-2", "3.10.3-2"], ["a2 02 0001", "a2 03 0001 00"]),
  ...both(
    "UNSUBSCRIBE: a filter that is not UTF-8",
    malformedPacket,
    ["1.5.3-1", "1.5.4-1"],
    ["a2 05 0001 0001 ff", "a2 06 0001 00 0001 ff"],
  ),
  ...both(
    "UNSUBSCRIBE: a filter that is not legal",
    topicFilterInvalid,
    ["4.7.1-2", "4.7.1-1"],
    ["a2 06 0001 0002 'a#'", "a2 07 0001 00 0002 'a#'"],
  ),
];

const serverRefusals: readonly Refusal[] = [
  ...both("CONNACK: reserved flags", malformedPacket, [any4, "3.2.2-1"], ["20 02 02 00", "20 03 02 00 00"], "server"),
  ...both(
    "CONNACK: a session present though refused",
    protocolError,
    ["3.2.2-4", "3.2.2-6"],
    ["20 02 01 05", "20 03 01 87 00"],
    "server",
  ),
  four("CONNACK: return code 6 (3.1.1)", protocolError, any4, "20 02 00 06", "server"),
  five("CONNACK: a reason code of another packet", protocolError, "3.2.2-8", "20 03 00 01 00", "server"),
  five("CONNACK: maximum QoS 2", protocolError, any5, "20 05 00 00 02 2402", "server"),
  four("SUBACK: a reserved return code (3.1.1)", protocolError, "3.9.3-2", "90 03 0001 87", "server"),
  five("SUBACK: a reason code of another packet", protocolError, "3.9.3-2", "90 04 0001 00 11", "server"),
  ...both("SUBACK: no code", protocolError, ["3.8.4-5", "3.8.4-6"], ["90 02 0001", "90 03 0001 00"], "server"),
  four("UNSUBACK: a code in 3.1.1", malformedPacket, any4, "b0 03 0001 00", "server"),
  five("UNSUBACK: a reason code of another packet", protocolError, "3.11.3-2", "b0 04 0001 00 01", "server"),
];

export const refusals: readonly Refusal[] = [
  ...connectRefusals,
  ...publishRefusals,
  ...headerRefusals,
  ...acknowledgementRefusals,
  ...subscribeRefusals,
  ...serverRefusals,
];

/** The title of the test that shows a refusal. */
export const refusalTitle = (title: string): string => `refused: ${title}`;
