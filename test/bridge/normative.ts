// The normative statements of MQTT 3.1.1 and 5 that bind a server: a paraphrase of each, and what shows that it is kept.
import type { Version } from "../../bridge/wire/packet.ts";

/**
 * Where a statement is kept: tests of the codec by their titles, the session machines (one client's packets in and
 * out, its state and timers), or the broker around them (many clients, retained messages, sockets). Absent: it is
 * about what the hub does not do.
 */
export type Keeper = "codec" | "session" | "broker" | "absent";

export interface Statement {
  readonly version: Version;
  /** The number as the standard prints it, without "MQTT-". */
  readonly id: string;
  readonly text: string;
  readonly keeper: Keeper;
  /** Titles of the tests that show it. */
  readonly tests: readonly string[];
}

/** Lines of `id | keeper | text | test && test`. */
function parse(version: Version, lines: string): readonly Statement[] {
  return lines
    .trim()
    .split("\n")
    .map((line) => {
      const [id, keeper, text, tests = ""] = line.split(" | ").map((part) => part.trim());
      const titles = tests === "" ? [] : tests.split(" && ");
      return { version, id: id!, keeper: keeper as Keeper, text: text!, tests: titles };
    });
}

/**
 * Sections of the standards and how many statements each has: 141 in 3.1.1 (appendix B of the OASIS standard of
 * 29 October 2014), 251 in 5 (of 7 March 2019). The number 2.2.1-1 of 5 is not given.
 */
export const sections: Readonly<Record<Version, string>> = {
  4: `1.5.3:3 2.2.2:2 2.3.1:7 3.1.0:2 3.1.2:24 3.1.3:11 3.1.4:5 3.2.0:1 3.2.2:6 3.3.1:12 3.3.2:3 3.3.4:1 3.3.5:2 3.6.1:1
    3.8.1:1 3.8.3:4 3.8.4:6 3.9.3:2 3.10.1:1 3.10.3:2 3.10.4:6 3.12.4:1 3.14.1:1 3.14.4:3 4.1.0:2 4.3.1:1 4.3.2:2 4.3.3:2
    4.4.0:1 4.5.0:2 4.6.0:6 4.7.1:3 4.7.2:1 4.7.3:4 4.8.0:2 6.0.0:4 7.0.0:2 7.1.1:1 7.1.2:1`,
  5: `1.5.4:3 1.5.5:1 1.5.7:1 2.1.3:1 2.2.1:6 2.2.2:1 3.1.0:2 3.1.2:30 3.1.3:12 3.1.4:6 3.2.0:2 3.2.2:22 3.3.1:13
    3.3.2:20 3.3.4:10 3.4.2:3 3.5.2:3 3.6.1:1 3.6.2:3 3.7.2:3 3.8.1:1 3.8.3:5 3.8.4:8 3.9.2:2 3.9.3:2 3.10.1:1 3.10.3:2
    3.10.4:6 3.11.2:2 3.11.3:2 3.12.4:1 3.14.0:1 3.14.1:1 3.14.2:4 3.14.4:3 3.15.1:1 3.15.2:3 4.1.0:2 4.2.0:1 4.3.1:1
    4.3.2:5 4.3.3:13 4.4.0:2 4.5.0:2 4.6.0:6 4.7.0:1 4.7.1:2 4.7.2:1 4.7.3:4 4.8.2:6 4.9.0:3 4.12.0:7 4.12.1:2 4.13.1:1
    4.13.2:1 6.0.0:4`,
};

/** Statements that bind a client alone, and have no row. */
export const clientOnly: Readonly<Record<Version, string>> = {
  4: "2.3.1-2 2.3.1-3 3.1.2-23 3.14.4-1 3.14.4-2 4.5.0-2 4.6.0-2 4.6.0-3 4.6.0-4 6.0.0-3 7.1.2-1",
  5: `3.1.2-20 3.1.2-21 3.1.2-30 3.2.2-4 3.2.2-5 3.2.2-11 3.2.2-14 3.2.2-17 3.2.2-18 3.2.2-21 3.3.2-9 3.3.2-10 3.3.4-7
    3.3.4-8 4.5.0-2 4.6.0-1 4.6.0-2 4.6.0-3 4.6.0-4 4.12.0-3 4.12.0-7 4.12.1-1 6.0.0-3`,
};

export const statements311 = parse(
  4,
  `
1.5.3-1 | codec | text that is not well-formed UTF-8 closes the connection | refused: CONNECT: a client id that is not UTF-8 && refused: PUBLISH: a topic with a surrogate && refused: PUBLISH: a topic in overlong UTF-8 && textKind knows the edges of well-formed UTF-8
1.5.3-2 | codec | text with U+0000 closes the connection | refused: PUBLISH: a topic with U+0000
1.5.3-3 | codec | the bytes of U+FEFF are a character like others, wherever they stand | decodePacket keeps a byte order mark and characters that are no ASCII
2.2.2-1 | codec | reserved flags are sent with their fixed values | decodePacket and encodePacket know the bytes of the standards' figures
2.2.2-2 | codec | other values of reserved flags close the connection | refused: reserved flags of CONNECT && refused: reserved flags of PUBACK && refused: reserved flags of PUBREC && refused: reserved flags of PUBCOMP && refused: reserved flags of PINGREQ
2.3.1-1 | codec | SUBSCRIBE, UNSUBSCRIBE and PUBLISH with QoS have a packet id that is not 0 | refused: PUBLISH: packet id 0 && refused: PUBLISH: no packet id && refused: SUBSCRIBE: packet id 0 && refused: UNSUBSCRIBE: packet id 0 && encodePacket throws RangeError for what no packet can say
2.3.1-4 | session | a PUBLISH of the server with QoS takes a free packet id, keeps it when sent again, and frees it when acknowledged | packet ids go round and pass over those in use [MQTT-2.2.1-4] && after a reconnect: PUBRELs in the order of PUBRECs, then PUBLISHes in their order with DUP [MQTT-4.6.0-1]
2.3.1-5 | codec | a PUBLISH with QoS 0 has no packet id | encodePacket throws RangeError for what no packet can say && FrameBatch.publish refuses what no PUBLISH can say
2.3.1-6 | session | acknowledgements of a PUBLISH name its packet id | acknowledgements leave in the order of their PUBLISHes though commits end in any order [MQTT-4.6.0-2] && QoS 0, 1 and 2 take their ways and give their ids back
2.3.1-7 | session | SUBACK and UNSUBACK name the packet id they answer | SUBSCRIBE and UNSUBSCRIBE of both versions
3.1.0-1 | broker | the first packet of a client is CONNECT | what does not begin with CONNECT is closed without an answer [MQTT-3.1.0-1]
3.1.0-2 | session | a second CONNECT ends the connection | packets out of place end the connection with a code [MQTT-3.1.0-2], [MQTT-4.12.0-7]
3.1.2-1 | codec | a protocol name other than MQTT is not served as 3.1.1 | connectRefusal says nothing to what is not MQTT && refused: CONNECT: the protocol is not MQTT
3.1.2-2 | codec | a level that is not served gets return code 1, and the end | connectRefusal answers a level that is not served with the 0x01 of 3.1.1 && refused: CONNECT: the level is not served
3.1.2-3 | codec | the reserved connect flag is checked to be 0 | refused: CONNECT: the reserved flag
3.1.2-4 | session | without clean session the stored session goes on, or one is made that outlives the connection | 3.1.1: Clean Session ends with the connection, the other one stays
3.1.2-5 | session | messages with QoS that come while such a client is away are kept for it | sessions keep their promises over cuts, takeovers and crashes && a session that does not keep up is refused, reads by itself and joins the tail again, nothing lost
3.1.2-6 | session | clean session forgets the one before, and ends with its connection | 3.1.1: Clean Session ends with the connection, the other one stays
3.1.2.7 | broker | retained messages outlive sessions | retained messages outlive the session that published them
3.1.2-8 | session | a will is kept and published when the connection ends without DISCONNECT | a will is published when the connection is lost, once, and not after DISCONNECT 0x00
3.1.2-9 | codec | the will flag: will topic and will message are there | refused: CONNECT: the flags promise a will that is not there
3.1.2-10 | session | a will that was published or called off is forgotten | a will is published when the connection is lost, once, and not after DISCONNECT 0x00
3.1.2-11 | codec | no will flag: no will fields | refused: CONNECT: a will that the flags do not promise && refused: CONNECT: a will QoS without a will && refused: CONNECT: a will retain without a will
3.1.2-12 | session | no will flag: nothing is published when the connection ends | 3.1.1: Clean Session ends with the connection, the other one stays
3.1.2-13 | codec | no will flag: will QoS 0 | refused: CONNECT: a will QoS without a will
3.1.2-14 | codec | will QoS is 0, 1 or 2 | refused: CONNECT: will QoS 3
3.1.2-15 | codec | no will flag: no will retain | refused: CONNECT: a will retain without a will
3.1.2-16 | broker | without will retain the will is published as not retained | a will is published with and without RETAIN, as its CONNECT says [MQTT-3.1.2-14]
3.1.2-17 | broker | with will retain the will is published as retained | a will is published with and without RETAIN, as its CONNECT says [MQTT-3.1.2-14]
3.1.2-18 | codec | no user name flag: no user name | refused: CONNECT: a user name that the flags do not promise
3.1.2-19 | codec | the user name flag: a user name | refused: CONNECT: the flags promise a user name that is not there
3.1.2-20 | codec | no password flag: no password | refused: CONNECT: a password that the flags do not promise
3.1.2-21 | codec | the password flag: a password | refused: CONNECT: the flags promise a password that is not there
3.1.2-22 | codec | no user name flag: no password flag | refused: CONNECT: a password without a user name (3.1.1)
3.1.2-24 | session | silence of one and a half keep alives ends the connection | keep alive: nothing for one and a half is the end [MQTT-3.1.2-22]
3.1.3-1 | codec | the fields of CONNECT stand in their order | decodeConnect takes fields in the standard's order
3.1.3-2 | session | state is held by client id | takeover: the old connection hears 0x8e and is closed; the session goes on or begins anew [MQTT-3.1.4-3]
3.1.3-3 | codec | a client id is there, and is the first field | refused: CONNECT: no client id
3.1.3-4 | codec | the client id is UTF-8 | refused: CONNECT: a client id that is not UTF-8
3.1.3-5 | session | client ids of 1 to 23 letters and digits are allowed | a client without id is given one, and told in 5 [MQTT-3.1.3-6], [MQTT-3.1.3-7]
3.1.3-6 | session | a client without id, where taken, gets one of its own and is served as if it had sent it | a client without id is given one, and told in 5 [MQTT-3.1.3-6], [MQTT-3.1.3-7]
3.1.3-7 | codec | no client id only with clean session | decodeConnect takes an empty client id where it may be given one && refused: CONNECT: an empty client id without a clean session (3.1.1)
3.1.3-8 | codec | no client id without clean session gets return code 2, and the end | connectRefusal answers an empty client id of a session that stays with 0x02 in 3.1.1 && refused: CONNECT: an empty client id without a clean session (3.1.1)
3.1.3-9 | session | a client id that is refused gets return code 2, and the end | a client without id is given one, and told in 5 [MQTT-3.1.3-6], [MQTT-3.1.3-7] && refusals: reason codes in 5, return codes in 3.1.1, and where to go instead
3.1.3-10 | codec | the will topic is UTF-8 | refused: CONNECT: a will topic that is not UTF-8
3.1.3-11 | codec | the user name is UTF-8 | refused: CONNECT: a user name that is not UTF-8
3.1.4-1 | codec | a CONNECT that is not of the form ends the connection without a CONNACK | connectRefusal closes a malformed CONNECT of 3.1.1 without a CONNACK, and tells a client of 5 why
3.1.4-2 | session | a client that connects ends the connection of the one with its id | takeover: the old connection hears 0x8e and is closed; the session goes on or begins anew [MQTT-3.1.4-3]
3.1.4-3 | session | clean session is processed | 3.1.1: Clean Session ends with the connection, the other one stays
3.1.4-4 | session | a CONNECT that is taken gets CONNACK 0 | 3.1.1: Clean Session ends with the connection, the other one stays
3.1.4-5 | broker | after a CONNECT that is refused nothing is processed | after a CONNACK that refuses comes the end, and nothing else of the client is done [MQTT-3.1.4-6]
3.2.0-1 | session | the first packet to a client is CONNACK | CONNACK and SUBACK wait until a session that lasts is stored; packets meanwhile wait, too
3.2.2-1 | session | clean session: no session present | 3.1.1: Clean Session ends with the connection, the other one stays
3.2.2-2 | session | a session that was stored: session present | 3.1.1: Clean Session ends with the connection, the other one stays
3.2.2-3 | session | none was stored: no session present | 3.1.1: Clean Session ends with the connection, the other one stays
3.2.2-4 | codec | a CONNACK that refuses says that no session is present | encodePacket throws RangeError for what no packet can say && refused: CONNACK: a session present though refused
3.2.2-5 | broker | a CONNACK that refuses is followed by the end | after a CONNACK that refuses comes the end, and nothing else of the client is done [MQTT-3.1.4-6]
3.2.2-6 | codec | where no return code fits, the connection ends without a CONNACK | encodePacket says in 3.1.1 what 3.1.1 can say && returnCodeOf says in 3.1.1 what it can say, and null for the rest
3.3.1-1 | session | DUP is set on what is delivered again | after a reconnect: PUBRELs in the order of PUBRECs, then PUBLISHes in their order with DUP [MQTT-4.6.0-1]
3.3.1-2 | codec | DUP is not set on QoS 0 | refused: PUBLISH: DUP on QoS 0 && FrameBatch.publish refuses what no PUBLISH can say
3.3.1-3 | session | DUP of a delivery does not come from the publisher's DUP | after a reconnect: PUBRELs in the order of PUBRECs, then PUBLISHes in their order with DUP [MQTT-4.6.0-1] && a message carries its lifetime and the properties that go on, not those of the hop
3.3.1-4 | codec | both QoS bits close the connection | refused: PUBLISH: both QoS bits
3.3.1-5 | broker | a retained message is stored with its QoS for subscribers to come | a new subscription gets the last retained message, with RETAIN and its QoS [MQTT-3.3.1-5]
3.3.1-6 | broker | a new subscription gets the retained messages it matches | a new subscription gets the last retained message, with RETAIN and its QoS [MQTT-3.3.1-5]
3.3.1-7 | broker | a retained message of QoS 0 puts away the one before | a new subscription gets the last retained message, with RETAIN and its QoS [MQTT-3.3.1-5]
3.3.1-8 | broker | RETAIN is set on what a new subscription gets | a new subscription gets the last retained message, with RETAIN and its QoS [MQTT-3.3.1-5]
3.3.1-9 | broker | RETAIN is not set on what an old subscription gets | a subscription that was there gets a retained message without RETAIN [MQTT-3.3.1-9]
3.3.1-10 | broker | an empty retained message is delivered and removes the stored one | an empty retained message is delivered, removes what is stored, and is not stored [MQTT-3.3.1-6]
3.3.1-11 | broker | an empty retained message is not stored | an empty retained message is delivered, removes what is stored, and is not stored [MQTT-3.3.1-6]
3.3.1-12 | broker | a message that is not retained changes no stored one | a message without RETAIN neither stores nor removes [MQTT-3.3.1-8]
3.3.2-1 | codec | the topic is the first field of PUBLISH, and UTF-8 | refused: PUBLISH: no topic && refused: PUBLISH: the topic is longer than the packet && refused: PUBLISH: a topic with a surrogate
3.3.2-2 | codec | the topic of a PUBLISH has no wildcards | refused: PUBLISH: a topic with + && refused: PUBLISH: a topic with # && refused: CONNECT: a will topic with a wildcard
3.3.2-3 | session | the topic of a delivery matches the filter | sessions keep their promises over cuts, takeovers and crashes && FilterTree agrees with a list of subscriptions after any changes, from memory too
3.3.4-1 | session | a PUBLISH is answered as its QoS says | acknowledgements leave in the order of their PUBLISHes though commits end in any order [MQTT-4.6.0-2] && QoS 2: stored once, acknowledged as often as it comes, free after PUBREL [MQTT-4.3.3-10]
3.3.5-1 | session | overlapping subscriptions: the highest of their QoS holds | merge takes the highest QoS and every identifier once
3.3.5-2 | broker | a PUBLISH that is not allowed is acknowledged, or ends the connection | a PUBLISH that is not allowed is told in 5, and ends the connection in 3.1.1 [MQTT-3.3.5-2]
3.6.1-1 | codec | the flags of PUBREL are 0010 | refused: reserved flags of PUBREL
3.8.1-1 | codec | the flags of SUBSCRIBE are 0010 | refused: reserved flags of SUBSCRIBE
3.8.3-1 | codec | filters of a SUBSCRIBE are UTF-8 | refused: SUBSCRIBE: a filter that is not UTF-8
3.8.3-2 | broker | a server without wildcards refuses filters that have them | filters with wildcards are granted [MQTT-3.8.3-2]
3.8.3-3 | codec | a SUBSCRIBE names at least one filter | refused: SUBSCRIBE: no filter
3-8.3-4 | codec | reserved bits beside the requested QoS, and QoS 3, close the connection | refused: SUBSCRIBE: reserved option bits && refused: SUBSCRIBE: QoS 3
3.8.4-1 | session | SUBSCRIBE is answered by SUBACK | SUBSCRIBE and UNSUBSCRIBE of both versions
3.8.4-2 | session | SUBACK has the packet id of its SUBSCRIBE | SUBSCRIBE and UNSUBSCRIBE of both versions
3.8.4-3 | session | the same filter again replaces the subscription, sends retained messages again and loses nothing | retained messages by handling; shared subscriptions get none [MQTT-3.3.1-9] to -11 && replacing keeps its place in time, and takes the new options [MQTT-3.8.4-3]
3.8.4-4 | session | many filters in one SUBSCRIBE are as many SUBSCRIBEs with one answer | one code for each filter: granted, none, forbidden [MQTT-3.9.3-1]
3.8.4-5 | session | SUBACK has a code for each filter: the QoS granted, or failure | one code for each filter: granted, none, forbidden [MQTT-3.9.3-1]
3.8.4-6 | session | a delivery has the lesser QoS of message and subscription | deliveries: QoS and RETAIN by the subscription, own ones by No Local, retained ones with RETAIN
3.9.3-1 | session | the codes of SUBACK stand in the order of the filters | one code for each filter: granted, none, forbidden [MQTT-3.9.3-1]
3.9.3-2 | codec | SUBACK has no codes but 0, 1, 2 and 0x80 | encodePacket says in 3.1.1 what 3.1.1 can say && subackCode makes one failure of all in 3.1.1 && refused: SUBACK: a reserved return code (3.1.1)
3.10.1-1 | codec | the flags of UNSUBSCRIBE are 0010 | refused: reserved flags of UNSUBSCRIBE
3.10.3-1 | codec | filters of an UNSUBSCRIBE are UTF-8 | refused: UNSUBSCRIBE: a filter that is not UTF-8
3.10.3-2 | codec | an UNSUBSCRIBE names at least one filter | refused: UNSUBSCRIBE: no filter
3.10.4-1 | session | a filter that is the same character by character is deleted | UNSUBSCRIBE: gone, not there, none [MQTT-3.11.3-1]
3.10.4-2 | session | nothing new is delivered for a deleted subscription | sessions keep their promises over cuts, takeovers and crashes
3.10.4-3 | session | deliveries with QoS that began are finished all the same | sessions keep their promises over cuts, takeovers and crashes
3.10.4-4 | session | UNSUBSCRIBE is answered by UNSUBACK with its packet id | SUBSCRIBE and UNSUBSCRIBE of both versions
3.10.4-5 | session | also where nothing was deleted | SUBSCRIBE and UNSUBSCRIBE of both versions
3.10.4-6 | session | many filters in one UNSUBSCRIBE are as many UNSUBSCRIBEs with one answer | UNSUBSCRIBE: gone, not there, none [MQTT-3.11.3-1]
3.12.4-1 | session | PINGREQ is answered by PINGRESP | keep alive: nothing for one and a half is the end [MQTT-3.1.2-22]
3.14.1-1 | codec | reserved flags of DISCONNECT are checked | refused: reserved flags of DISCONNECT
3.14.4-3 | session | DISCONNECT calls the will off | a will is published when the connection is lost, once, and not after DISCONNECT 0x00
4.1.0-1 | session | the state of a session is kept as long as the session | 3.1.1: Clean Session ends with the connection, the other one stays
4.1.0-2 | session | a session lasts at least as long as its connection | 3.1.1: Clean Session ends with the connection, the other one stays
4.3.1-1 | session | a delivery with QoS 0 has no DUP | QoS 0, 1 and 2 take their ways and give their ids back && sessions keep their promises over cuts, takeovers and crashes
4.3.2-1 | session | sending with QoS 1: a free id, no DUP at first, unacknowledged until PUBACK | packet ids go round and pass over those in use [MQTT-2.2.1-4] && QoS 0, 1 and 2 take their ways and give their ids back && after a reconnect: PUBRELs in the order of PUBRECs, then PUBLISHes in their order with DUP [MQTT-4.6.0-1]
4.3.2-2 | session | receiving with QoS 1: PUBACK once it is ours; the same id after that is a new message | acknowledgements leave in the order of their PUBLISHes though commits end in any order [MQTT-4.6.0-2] && an old connection's QoS 1 commit acknowledges nothing on the new one
4.3.3-1 | session | sending with QoS 2: a free id, PUBREL after PUBREC, no PUBLISH after PUBREL, until PUBCOMP | packet ids go round and pass over those in use [MQTT-2.2.1-4] && QoS 0, 1 and 2 take their ways and give their ids back && after a reconnect: PUBRELs in the order of PUBRECs, then PUBLISHes in their order with DUP [MQTT-4.6.0-1]
4.3.3-2 | session | receiving with QoS 2: PUBREC for the id as often as it comes, one delivery, PUBCOMP for PUBREL | QoS 2: stored once, acknowledged as often as it comes, free after PUBREL [MQTT-4.3.3-10]
4.4.0-1 | session | what is unacknowledged is sent again with its id when a client comes back | after a reconnect: PUBRELs in the order of PUBRECs, then PUBLISHes in their order with DUP [MQTT-4.6.0-1] && sessions keep their promises over cuts, takeovers and crashes
4.5.0-1 | session | a message that was taken goes to every session with a matching subscription | sessions keep their promises over cuts, takeovers and crashes
4.6.0-1 | session | PUBLISHes that are sent again keep their order | after a reconnect: PUBRELs in the order of PUBRECs, then PUBLISHes in their order with DUP [MQTT-4.6.0-1] && sessions keep their promises over cuts, takeovers and crashes
4.6.0-5 | broker | every topic is ordered unless an operator says otherwise | every subscription gets a topic's messages in their order [MQTT-4.6.0-6]
4.6.0-6 | session | a topic's messages of one client and QoS arrive in their order | sessions keep their promises over cuts, takeovers and crashes
4.7.1-1 | codec | no wildcards in topic names | topicNameProblem: at least one character, no wildcard, no U+0000
4.7.1-2 | codec | # alone or after a separator, and last | refused: SUBSCRIBE: # not at the end && filterProblem: wildcards fill their level, # is the last && refused: UNSUBSCRIBE: a filter that is not legal
4.7.1-3 | codec | + fills its level | refused: SUBSCRIBE: + in a level with other characters && filterProblem: wildcards fill their level, # is the last
4.7.2-1 | session | filters that begin with a wildcard do not match topics that begin with $ | filterMatches follows 4.7 && FilterTree agrees with a list of subscriptions after any changes, from memory too
4.7.3-1 | codec | names and filters have at least one character | refused: PUBLISH: an empty topic && refused: SUBSCRIBE: an empty filter && refused: CONNECT: an empty will topic
4.7.3-2 | codec | names and filters have no U+0000 | topicNameProblem: at least one character, no wildcard, no U+0000 && refused: PUBLISH: a topic with U+0000
4.7.3-3 | codec | names and filters have at most 65,535 bytes | Writer refuses what MQTT cannot carry && encodePacket throws RangeError for what no packet can say
4.7.3-4 | session | matching compares characters as they are | FilterTree agrees with a list of subscriptions after any changes, from memory too
4.8.0-1 | session | a protocol violation ends the connection it came on | packets out of place end the connection with a code [MQTT-3.1.0-2], [MQTT-4.12.0-7]
4.8.0-2 | session | a passing error while a packet is processed ends the connection it came on | a store that fails ends the connection
6.0.0-1 | broker | WebSocket: binary frames only, others end the connection | a WebSocket carries binary frames; a text frame ends it [MQTT-6.0.0-1]
6.0.0-2 | codec | packets and WebSocket frames need not coincide | FrameScanner finds the same packets however the bytes are cut
6.0.0-4 | broker | WebSocket: the subprotocol is mqtt | the subprotocol of a WebSocket is mqtt, in the offer and in the answer [MQTT-6.0.0-4]
7.0.0-1 | absent | a server that connects to others is a client there, as the standard has it; it connects to none
7.0.0-2 | broker | nothing beyond the standard is needed to work together | clients of both versions speak over TCP, and with each other [MQTT-4.2.0-1]
7.1.1-1 | broker | at least one transport of ordered bytes without loss | clients of both versions speak over TCP, and with each other [MQTT-4.2.0-1]
`,
);

export const statements5 = parse(
  5,
  `
1.5.4-1 | codec | text is well-formed UTF-8 without surrogates | refused: CONNECT: a client id that is not UTF-8 && refused: PUBLISH: a topic with a surrogate && refused: PUBLISH: a topic in overlong UTF-8 && textKind knows the edges of well-formed UTF-8 && textKind agrees with the runtime's decoder for random bytes
1.5.4-2 | codec | text has no U+0000 | refused: PUBLISH: a topic with U+0000 && refused: PUBLISH: a user property with U+0000 && isSendable refuses U+0000 and halves of pairs
1.5.4-3 | codec | the bytes of U+FEFF are a character like others, wherever they stand | decodePacket keeps a byte order mark and characters that are no ASCII
1.5.5-1 | codec | a variable byte integer has as few bytes as it needs | FrameScanner takes a padded remaining length in 3.1.1, and refuses it in 5 && refused: PUBLISH: a property length in more bytes than it needs && putVarint writes in as few bytes as the value needs
1.5.7-1 | codec | both texts of a pair are UTF-8 | refused: PUBLISH: a user property that is not UTF-8 && refused: PUBLISH: a user property with U+0000
2.1.3-1 | codec | reserved flags have their fixed values | refused: reserved flags of CONNECT && refused: reserved flags of PUBACK && refused: reserved flags of PUBREC && refused: reserved flags of PUBCOMP && refused: reserved flags of PINGREQ
2.2.1-2 | codec | a PUBLISH with QoS 0 has no packet id | encodePacket throws RangeError for what no packet can say && FrameBatch.publish refuses what no PUBLISH can say
2.2.1-3 | codec | SUBSCRIBE, UNSUBSCRIBE and PUBLISH with QoS of a client have a packet id that is not 0 (and free, which is the client's) | refused: PUBLISH: packet id 0 && refused: PUBLISH: no packet id && refused: SUBSCRIBE: packet id 0 && refused: UNSUBSCRIBE: packet id 0
2.2.1-4 | session | a PUBLISH of the server with QoS has a packet id that is not 0 and free | packet ids go round and pass over those in use [MQTT-2.2.1-4]
2.2.1-5 | session | acknowledgements of a PUBLISH name its packet id | acknowledgements leave in the order of their PUBLISHes though commits end in any order [MQTT-4.6.0-2] && QoS 0, 1 and 2 take their ways and give their ids back
2.2.1-6 | session | SUBACK and UNSUBACK name the packet id they answer | SUBSCRIBE and UNSUBSCRIBE of both versions
2.2.2-1 | codec | no properties: a property length of 0 | decodePacket and encodePacket know the bytes of the standards' figures && refused: PUBLISH: no property length
3.1.0-1 | broker | the first packet of a client is CONNECT | what does not begin with CONNECT is closed without an answer [MQTT-3.1.0-1]
3.1.0-2 | session | a second CONNECT is a protocol error and ends the connection | packets out of place end the connection with a code [MQTT-3.1.0-2], [MQTT-4.12.0-7]
3.1.2-1 | codec | the protocol name is MQTT; others are not served, and may be told 0x84 | refused: CONNECT: the protocol is not MQTT && connectRefusal says nothing to what is not MQTT
3.1.2-2 | codec | a version that is not served may be told 0x84, and is closed | refused: CONNECT: the level is not served && connectRefusal answers a level that is not served with the 0x01 of 3.1.1
3.1.2-3 | codec | the reserved connect flag is checked to be 0 | refused: CONNECT: the reserved flag
3.1.2-4 | session | clean start forgets the session that was there | a will that waits is not sent when its session goes on, and is when it ends [MQTT-3.1.3-9] && takeover: the old connection hears 0x8e and is closed; the session goes on or begins anew [MQTT-3.1.4-3]
3.1.2-5 | session | without clean start the session that is there goes on | a session with an expiry is found again within it, and not after
3.1.2-6 | session | without clean start and without a session one is made | a session with an expiry is found again within it, and not after
3.1.2-7 | session | a will is kept with the session | a will is published when the connection is lost, once, and not after DISCONNECT 0x00 && a will that outlived its hub waits for its delay, and is not sent when the client is back
3.1.2-8 | session | the will is published after the end, when its delay or the session is over, unless it was called off or the client came back | a will is published when the connection is lost, once, and not after DISCONNECT 0x00 && a will waits for its delay, or for the end of its session && a will that waits is not sent when its session goes on, and is when it ends [MQTT-3.1.3-9]
3.1.2-9 | codec | the will flag: will properties, topic and payload are there | refused: CONNECT: the flags promise a will that is not there && refused: CONNECT: a will that the flags do not promise
3.1.2-10 | session | a will that was published or called off is forgotten | a will is published when the connection is lost, once, and not after DISCONNECT 0x00
3.1.2-11 | codec | no will flag: will QoS 0 | refused: CONNECT: a will QoS without a will
3.1.2-12 | codec | will QoS is 0, 1 or 2 | refused: CONNECT: will QoS 3
3.1.2-13 | codec | no will flag: no will retain | refused: CONNECT: a will retain without a will
3.1.2-14 | broker | without will retain the will is published as not retained | a will is published with and without RETAIN, as its CONNECT says [MQTT-3.1.2-14]
3.1.2-15 | broker | with will retain the will is published as retained | a will is published with and without RETAIN, as its CONNECT says [MQTT-3.1.2-14]
3.1.2-16 | codec | no user name flag: no user name | refused: CONNECT: a user name that the flags do not promise
3.1.2-17 | codec | the user name flag: a user name | refused: CONNECT: the flags promise a user name that is not there
3.1.2-18 | codec | no password flag: no password | refused: CONNECT: a password that the flags do not promise
3.1.2-19 | codec | the password flag: a password | refused: CONNECT: the flags promise a password that is not there && decodePacket and encodePacket know the bytes of the standards' figures
3.1.2-22 | session | silence of one and a half keep alives ends the connection | keep alive: nothing for one and a half is the end [MQTT-3.1.2-22]
3.1.2-23 | session | a session with an expiry above 0 outlives its connection | a session with an expiry is found again within it, and not after
3.1.2-24 | codec | no packet is larger than the client's maximum | encodePacket keeps user properties of packets that are not explanations, and says that they do not fit && FrameBatch.publish adds nothing that the receiver does not take
3.1.2-25 | session | a PUBLISH that is too large counts as delivered | a message over the client's packet size counts as sent [MQTT-3.1.2-25]
3.1.2-26 | session | no topic alias above the client's maximum | topic aliases within the client's maximum; the least recently used goes; none over a reconnect
3.1.2-27 | session | no topic alias where the client has no maximum | topic aliases within the client's maximum; the least recently used goes; none over a reconnect
3.1.2-28 | session | no response information unless it was asked for | CONNACK tells our bounds in 5 and nothing in 3.1.1
3.1.2-29 | codec | no reason string and user properties, but on PUBLISH, CONNACK and DISCONNECT, where the client wants none | encodePacket sends no explanation to a client that asked for none, but on CONNACK and DISCONNECT
3.1.3-1 | codec | the fields of CONNECT stand in their order | decodeConnect takes fields in the standard's order
3.1.3-2 | session | state is held by client id | takeover: the old connection hears 0x8e and is closed; the session goes on or begins anew [MQTT-3.1.4-3]
3.1.3-3 | codec | a client id is there, and is the first field | refused: CONNECT: no client id
3.1.3-4 | codec | the client id is UTF-8 | refused: CONNECT: a client id that is not UTF-8
3.1.3-5 | session | client ids of 1 to 23 letters and digits are allowed | a client without id is given one, and told in 5 [MQTT-3.1.3-6], [MQTT-3.1.3-7]
3.1.3-6 | session | a client without id, where taken, gets one of its own | a client without id is given one, and told in 5 [MQTT-3.1.3-6], [MQTT-3.1.3-7]
3.1.3-7 | session | it is served as if it had sent that id, and told it in the CONNACK | a client without id is given one, and told in 5 [MQTT-3.1.3-6], [MQTT-3.1.3-7]
3.1.3-8 | session | a client id that is refused may be told 0x85, and is closed | a client without id is given one, and told in 5 [MQTT-3.1.3-6], [MQTT-3.1.3-7]
3.1.3-9 | session | a client that is back before its will delay is over has its will not published | a will that waits is not sent when its session goes on, and is when it ends [MQTT-3.1.3-9]
3.1.3-10 | broker | the user properties of a will keep their order when it is published | a will has its properties, the user properties in their order [MQTT-3.1.3-10]
3.1.3-11 | codec | the will topic is UTF-8 | refused: CONNECT: a will topic that is not UTF-8
3.1.3-12 | codec | the user name is UTF-8 | refused: CONNECT: a user name that is not UTF-8
3.1.4-1 | codec | a CONNECT that is not of the form ends the connection | connectRefusal closes a malformed CONNECT of 3.1.1 without a CONNACK, and tells a client of 5 why
3.1.4-2 | broker | a CONNECT that further checks refuse ends the connection | a client that may not connect is told and closed [MQTT-3.1.4-2]
3.1.4-3 | session | a client that connects ends the connection of the one with its id, which is told 0x8E | takeover: the old connection hears 0x8e and is closed; the session goes on or begins anew [MQTT-3.1.4-3]
3.1.4-4 | session | clean start is processed | a will that waits is not sent when its session goes on, and is when it ends [MQTT-3.1.3-9] && takeover: the old connection hears 0x8e and is closed; the session goes on or begins anew [MQTT-3.1.4-3]
3.1.4-5 | session | a CONNECT that is taken gets CONNACK 0 | a session with an expiry is found again within it, and not after
3.1.4-6 | broker | after a CONNECT that is refused nothing but AUTH is processed | after a CONNACK that refuses comes the end, and nothing else of the client is done [MQTT-3.1.4-6]
3.2.0-1 | session | nothing but AUTH is sent before CONNACK 0 | CONNACK and SUBACK wait until a session that lasts is stored; packets meanwhile wait, too
3.2.0-2 | session | one CONNACK a connection | CONNACK and SUBACK wait until a session that lasts is stored; packets meanwhile wait, too
3.2.2-1 | codec | reserved acknowledge flags are 0 | refused: CONNACK: reserved flags
3.2.2-2 | session | clean start: no session present | a will that waits is not sent when its session goes on, and is when it ends [MQTT-3.1.3-9]
3.2.2-3 | session | without clean start: session present says whether one was there | a session with an expiry is found again within it, and not after
3.2.2-6 | codec | a CONNACK that refuses says that no session is present | encodePacket throws RangeError for what no packet can say && refused: CONNACK: a session present though refused
3.2.2-7 | broker | a CONNACK of 0x80 or more is followed by the end | after a CONNACK that refuses comes the end, and nothing else of the client is done [MQTT-3.1.4-6]
3.2.2-8 | codec | CONNACK has codes of its table alone | isCodeOf knows the tables of MQTT5 chapter 3 && refused: CONNACK: a reason code of another packet && encodePacket throws RangeError for what no packet can say
3.2.2-9 | session | a server without QoS 1 or 2 says so in the CONNACK | CONNACK tells our bounds in 5 and nothing in 3.1.1
3.2.2-10 | session | such a server takes SUBSCRIBEs of any QoS | one code for each filter: granted, none, forbidden [MQTT-3.9.3-1]
3.2.2-12 | session | a will QoS that is not supported refuses the CONNECT | a will is published when the connection is lost, once, and not after DISCONNECT 0x00
3.2.2-13 | session | a will retain that is not supported refuses the CONNECT | a will is published when the connection is lost, once, and not after DISCONNECT 0x00
3.2.2-15 | codec | packets above the server's maximum are not to be sent, and are refused | FrameScanner refuses a packet that is too large at its header, before its body
3.2.2-16 | session | an assigned client id is in the CONNACK, and no other session has it | a client without id is given one, and told in 5 [MQTT-3.1.3-6], [MQTT-3.1.3-7]
3.2.2-19 | codec | the reason string of a CONNACK only as far as the client's maximum allows | encodePacket leaves out user properties, then the reason string, where the receiver takes no more
3.2.2-20 | codec | user properties of a CONNACK only as far as the client's maximum allows | encodePacket leaves out user properties, then the reason string, where the receiver takes no more
3.2.2-22 | session | without a keep alive of the server, the client's holds | keep alive: ours instead of none or too much in 5; 3.1.1 cannot be told
3.3.1-1 | session | DUP is set on what is delivered again | after a reconnect: PUBRELs in the order of PUBRECs, then PUBLISHes in their order with DUP [MQTT-4.6.0-1]
3.3.1-2 | codec | DUP is not set on QoS 0 | refused: PUBLISH: DUP on QoS 0 && FrameBatch.publish refuses what no PUBLISH can say
3.3.1-3 | session | DUP of a delivery does not come from the publisher's DUP | after a reconnect: PUBRELs in the order of PUBRECs, then PUBLISHes in their order with DUP [MQTT-4.6.0-1] && a message carries its lifetime and the properties that go on, not those of the hop
3.3.1-4 | codec | not both QoS bits | refused: PUBLISH: both QoS bits
3.3.1-5 | broker | a retained message replaces the stored one of its topic | a new subscription gets the last retained message, with RETAIN and its QoS [MQTT-3.3.1-5]
3.3.1-6 | broker | an empty retained message is processed and removes the stored one | an empty retained message is delivered, removes what is stored, and is not stored [MQTT-3.3.1-6]
3.3.1-7 | broker | an empty retained message is not stored | an empty retained message is delivered, removes what is stored, and is not stored [MQTT-3.3.1-6]
3.3.1-8 | broker | a message that is not retained changes no stored one | a message without RETAIN neither stores nor removes [MQTT-3.3.1-8]
3.3.1-9 | session | retain handling 0: retained messages are sent | retained messages by handling; shared subscriptions get none [MQTT-3.3.1-9] to -11
3.3.1-10 | session | retain handling 1: retained messages are sent where the subscription is new, else not | retained messages by handling; shared subscriptions get none [MQTT-3.3.1-9] to -11
3.3.1-11 | session | retain handling 2: no retained messages are sent | retained messages by handling; shared subscriptions get none [MQTT-3.3.1-9] to -11
3.3.1-12 | session | without retain as published RETAIN is cleared on forwarding | deliveries: QoS and RETAIN by the subscription, own ones by No Local, retained ones with RETAIN
3.3.1-13 | session | with retain as published RETAIN is as it was published | deliveries: QoS and RETAIN by the subscription, own ones by No Local, retained ones with RETAIN
3.3.2-1 | codec | the topic is the first field of PUBLISH, and UTF-8 | refused: PUBLISH: no topic && refused: PUBLISH: the topic is longer than the packet && refused: PUBLISH: a topic with a surrogate
3.3.2-2 | codec | the topic of a PUBLISH has no wildcards | refused: PUBLISH: a topic with + && refused: PUBLISH: a topic with # && refused: CONNECT: a will topic with a wildcard
3.3.2-3 | session | the topic of a delivery matches the filter | sessions keep their promises over cuts, takeovers and crashes && FilterTree agrees with a list of subscriptions after any changes, from memory too
3.3.2-4 | broker | the payload format is forwarded as it is | properties of a message are forwarded as they are [MQTT-3.3.2-17]
3.3.2-5 | session | a message that expired before its delivery began is not delivered | a message that expired before it was sent is dropped, one that was sent is not [MQTT-4.3.3-7]
3.3.2-6 | session | the expiry of a delivery is less what the message waited | a message that expired before it was sent is dropped, one that was sent is not [MQTT-4.3.3-7]
3.3.2-7 | session | topic aliases end with their connection | topic aliases: set, used, set anew, forgotten with the connection [MQTT-3.3.2-7] && topic aliases within the client's maximum; the least recently used goes; none over a reconnect
3.3.2-8 | codec | no topic alias 0 | refused: PUBLISH: topic alias 0 && encodePacket throws RangeError for what no packet can say
3.3.2-11 | session | no topic alias above the client's maximum | topic aliases within the client's maximum; the least recently used goes; none over a reconnect
3.3.2-12 | session | every topic alias up to the server's maximum is taken | topic aliases: set, used, set anew, forgotten with the connection [MQTT-3.3.2-7]
3.3.2-13 | codec | the response topic is UTF-8 | refused: PUBLISH: a response topic that is not UTF-8
3.3.2-14 | codec | the response topic has no wildcards | refused: PUBLISH: a response topic with a wildcard
3.3.2-15 | broker | the response topic is forwarded as it is | properties of a message are forwarded as they are [MQTT-3.3.2-17]
3.3.2-16 | broker | the correlation data are forwarded as they are | properties of a message are forwarded as they are [MQTT-3.3.2-17]
3.3.2-17 | broker | user properties are forwarded as they are | properties of a message are forwarded as they are [MQTT-3.3.2-17]
3.3.2-18 | codec | user properties keep their order | decodePacket takes the properties of 5 in any order, a user property as often as it comes && FrameBatch.publish writes what encodePacket writes, with the delivery's own parts
3.3.2-19 | codec | the content type is UTF-8 | refused: PUBLISH: a content type that is not UTF-8
3.3.2-20 | broker | the content type is forwarded as it is | properties of a message are forwarded as they are [MQTT-3.3.2-17]
3.3.4-1 | session | a PUBLISH is answered as its QoS says | acknowledgements leave in the order of their PUBLISHes though commits end in any order [MQTT-4.6.0-2] && QoS 2: stored once, acknowledged as often as it comes, free after PUBREL [MQTT-4.3.3-10]
3.3.4-2 | session | overlapping subscriptions: the highest of their QoS holds | merge takes the highest QoS and every identifier once
3.3.4-3 | session | overlapping subscriptions: their subscription ids are sent | merge takes the highest QoS and every identifier once
3.3.4-4 | session | one copy for overlapping subscriptions has all their subscription ids | merge takes the highest QoS and every identifier once
3.3.4-5 | broker | each of several copies has the subscription id of its subscription | overlapping subscriptions get one copy, which has all their identifiers [MQTT-3.3.4-5]
3.3.4-6 | codec | a PUBLISH of a client has no subscription id | refused: PUBLISH: a subscription id from a client
3.3.4-9 | session | no more unacknowledged PUBLISHes with QoS than the client's receive maximum | the client's receive maximum is kept, and room is used at once [MQTT-3.3.4-9] && sessions keep their promises over cuts, takeovers and crashes
3.3.4-10 | session | that holds back no other packets | the client's receive maximum is kept, and room is used at once [MQTT-3.3.4-9]
3.4.2-1 | codec | PUBACK has codes of its table alone | isCodeOf knows the tables of MQTT5 chapter 3 && refused: PUBACK: a reason code of another packet
3.4.2-2 | codec | the reason string of a PUBACK only as far as the receiver's maximum allows | encodePacket leaves out user properties, then the reason string, where the receiver takes no more
3.4.2-3 | codec | user properties of a PUBACK only as far as the receiver's maximum allows | encodePacket leaves out user properties, then the reason string, where the receiver takes no more
3.5.2-1 | codec | PUBREC has codes of its table alone | isCodeOf knows the tables of MQTT5 chapter 3 && refused: PUBREC: a reason code of another packet
3.5.2-2 | codec | the reason string of a PUBREC only as far as the receiver's maximum allows | encodePacket leaves out user properties, then the reason string, where the receiver takes no more
3.5.2-3 | codec | user properties of a PUBREC only as far as the receiver's maximum allows | encodePacket leaves out user properties, then the reason string, where the receiver takes no more
3.6.1-1 | codec | the flags of PUBREL are 0010 | refused: reserved flags of PUBREL
3.6.2-1 | codec | PUBREL has codes of its table alone | isCodeOf knows the tables of MQTT5 chapter 3 && refused: PUBREL: a reason code of another packet
3.6.2-2 | codec | the reason string of a PUBREL only as far as the receiver's maximum allows | encodePacket leaves out user properties, then the reason string, where the receiver takes no more
3.6.2-3 | codec | user properties of a PUBREL only as far as the receiver's maximum allows | encodePacket leaves out user properties, then the reason string, where the receiver takes no more
3.7.2-1 | codec | PUBCOMP has codes of its table alone | isCodeOf knows the tables of MQTT5 chapter 3 && refused: PUBCOMP: a reason code of another packet
3.7.2-2 | codec | the reason string of a PUBCOMP only as far as the receiver's maximum allows | encodePacket leaves out user properties, then the reason string, where the receiver takes no more
3.7.2-3 | codec | user properties of a PUBCOMP only as far as the receiver's maximum allows | encodePacket leaves out user properties, then the reason string, where the receiver takes no more
3.8.1-1 | codec | the flags of SUBSCRIBE are 0010 | refused: reserved flags of SUBSCRIBE
3.8.3-1 | codec | filters of a SUBSCRIBE are UTF-8 | refused: SUBSCRIBE: a filter that is not UTF-8
3.8.3-2 | codec | a SUBSCRIBE names at least one filter | refused: SUBSCRIBE: no filter
3.8.3-3 | session | no local: a client does not get what it published itself | merge leaves No Local subscriptions out of what goes back to their own client && deliveries: QoS and RETAIN by the subscription, own ones by No Local, retained ones with RETAIN
3.8.3-4 | codec | no local is a protocol error on a shared subscription | refused: SUBSCRIBE: no local on a shared subscription
3.8.3-5 | codec | reserved option bits are malformed | refused: SUBSCRIBE: reserved option bits
3.8.4-1 | session | SUBSCRIBE is answered by SUBACK | SUBSCRIBE and UNSUBSCRIBE of both versions
3.8.4-2 | session | SUBACK has the packet id of its SUBSCRIBE | SUBSCRIBE and UNSUBSCRIBE of both versions
3.8.4-3 | session | the same filter again replaces the subscription | replacing keeps its place in time, and takes the new options [MQTT-3.8.4-3]
3.8.4-4 | session | retain handling 0 sends retained messages again then, and no message is lost | retained messages by handling; shared subscriptions get none [MQTT-3.3.1-9] to -11 && replacing keeps its place in time, and takes the new options [MQTT-3.8.4-3]
3.8.4-5 | session | many filters in one SUBSCRIBE are as many SUBSCRIBEs with one answer | one code for each filter: granted, none, forbidden [MQTT-3.9.3-1]
3.8.4-6 | session | SUBACK has a code for each filter | one code for each filter: granted, none, forbidden [MQTT-3.9.3-1]
3.8.4-7 | session | the code is the QoS granted, or failure | one code for each filter: granted, none, forbidden [MQTT-3.9.3-1]
3.8.4-8 | session | a delivery has the lesser QoS of message and subscription | deliveries: QoS and RETAIN by the subscription, own ones by No Local, retained ones with RETAIN
3.9.2-1 | codec | the reason string of a SUBACK only as far as the client's maximum allows | encodePacket leaves out user properties, then the reason string, where the receiver takes no more
3.9.2-2 | codec | user properties of a SUBACK only as far as the client's maximum allows | encodePacket leaves out user properties, then the reason string, where the receiver takes no more
3.9.3-1 | session | the codes of SUBACK stand in the order of the filters | one code for each filter: granted, none, forbidden [MQTT-3.9.3-1]
3.9.3-2 | codec | SUBACK has codes of its table alone | isCodeOf knows the tables of MQTT5 chapter 3 && refused: SUBACK: a reason code of another packet && encodePacket throws RangeError for what no packet can say
3.10.1-1 | codec | the flags of UNSUBSCRIBE are 0010 | refused: reserved flags of UNSUBSCRIBE
3.10.3-1 | codec | filters of an UNSUBSCRIBE are UTF-8 | refused: UNSUBSCRIBE: a filter that is not UTF-8
3.10.3-2 | codec | an UNSUBSCRIBE names at least one filter | refused: UNSUBSCRIBE: no filter
3.10.4-1 | session | a filter that is the same character by character is deleted | UNSUBSCRIBE: gone, not there, none [MQTT-3.11.3-1]
3.10.4-2 | session | nothing new is delivered for a deleted subscription | sessions keep their promises over cuts, takeovers and crashes
3.10.4-3 | session | deliveries with QoS that began are finished all the same | sessions keep their promises over cuts, takeovers and crashes
3.10.4-4 | session | UNSUBSCRIBE is answered by UNSUBACK | SUBSCRIBE and UNSUBSCRIBE of both versions
3.10.4-5 | session | UNSUBACK has the packet id of its UNSUBSCRIBE, and comes also where nothing was deleted | SUBSCRIBE and UNSUBSCRIBE of both versions
3.10.4-6 | session | many filters in one UNSUBSCRIBE are as many UNSUBSCRIBEs with one answer | UNSUBSCRIBE: gone, not there, none [MQTT-3.11.3-1]
3.11.2-1 | codec | the reason string of an UNSUBACK only as far as the client's maximum allows | encodePacket leaves out user properties, then the reason string, where the receiver takes no more
3.11.2-2 | codec | user properties of an UNSUBACK only as far as the client's maximum allows | encodePacket leaves out user properties, then the reason string, where the receiver takes no more
3.11.3-1 | session | the codes of UNSUBACK stand in the order of the filters | UNSUBSCRIBE: gone, not there, none [MQTT-3.11.3-1]
3.11.3-2 | codec | UNSUBACK has codes of its table alone | isCodeOf knows the tables of MQTT5 chapter 3 && refused: UNSUBACK: a reason code of another packet
3.12.4-1 | session | PINGREQ is answered by PINGRESP | keep alive: nothing for one and a half is the end [MQTT-3.1.2-22]
3.14.0-1 | session | a server sends no DISCONNECT before it sent a CONNACK below 0x80 | a store that fails ends the connection
3.14.1-1 | codec | reserved flags of DISCONNECT are malformed | refused: reserved flags of DISCONNECT
3.14.2-1 | codec | DISCONNECT has codes of its table and side alone | isCodeOf knows the tables of MQTT5 chapter 3 && refused: DISCONNECT: a reason code of a server from a client && refused: DISCONNECT: a reason code of a client from a server
3.14.2-2 | codec | a DISCONNECT of a server has no session expiry | refused: DISCONNECT: a session expiry from a server
3.14.2-3 | codec | the reason string of a DISCONNECT only as far as the receiver's maximum allows | encodePacket leaves out user properties, then the reason string, where the receiver takes no more
3.14.2-4 | codec | user properties of a DISCONNECT only as far as the receiver's maximum allows | encodePacket leaves out user properties, then the reason string, where the receiver takes no more
3.14.4-1 | session | nothing is sent after a DISCONNECT | after DISCONNECT and the end nothing is sent, and nothing is heard [MQTT-3.14.4-1]
3.14.4-2 | session | a DISCONNECT that was sent is followed by the end | packets out of place end the connection with a code [MQTT-3.1.0-2], [MQTT-4.12.0-7] && takeover: the old connection hears 0x8e and is closed; the session goes on or begins anew [MQTT-3.1.4-3]
3.14.4-3 | session | DISCONNECT 0 of a client calls the will off | a will is published when the connection is lost, once, and not after DISCONNECT 0x00
3.15.1-1 | codec | the flags of AUTH are 0; others are malformed | refused: reserved flags of AUTH
3.15.2-1 | codec | AUTH has codes of its table alone | isCodeOf knows the tables of MQTT5 chapter 3 && refused: AUTH: a reason code of another packet && refused: AUTH: success from a client
3.15.2-2 | codec | the reason string of an AUTH only as far as the receiver's maximum allows | encodePacket leaves out user properties, then the reason string, where the receiver takes no more
3.15.2-3 | codec | user properties of an AUTH only as far as the receiver's maximum allows | encodePacket leaves out user properties, then the reason string, where the receiver takes no more
4.1.0-1 | session | the state of a session is kept while its connection is open | a session with an expiry is found again within it, and not after
4.1.0-2 | session | the state of a session goes when its connection is closed and its expiry is over | a session with an expiry is found again within it, and not after
4.2.0-1 | broker | at least one transport of ordered bytes without loss | clients of both versions speak over TCP, and with each other [MQTT-4.2.0-1]
4.3.1-1 | session | a delivery with QoS 0 has no DUP | QoS 0, 1 and 2 take their ways and give their ids back && sessions keep their promises over cuts, takeovers and crashes
4.3.2-1 | session | sending with QoS 1: a free id for each new message | packet ids go round and pass over those in use [MQTT-2.2.1-4]
4.3.2-2 | session | sending with QoS 1: no DUP at first | QoS 0, 1 and 2 take their ways and give their ids back
4.3.2-3 | session | sending with QoS 1: unacknowledged until PUBACK | QoS 0, 1 and 2 take their ways and give their ids back && after a reconnect: PUBRELs in the order of PUBRECs, then PUBLISHes in their order with DUP [MQTT-4.6.0-1]
4.3.2-4 | session | receiving with QoS 1: PUBACK once the message is ours | acknowledgements leave in the order of their PUBLISHes though commits end in any order [MQTT-4.6.0-2]
4.3.2-5 | session | receiving with QoS 1: the same id after PUBACK is a new message, whatever its DUP | an old connection's QoS 1 commit acknowledges nothing on the new one
4.3.3-1 | session | sending with QoS 2: a free id for each new message | packet ids go round and pass over those in use [MQTT-2.2.1-4]
4.3.3-2 | session | sending with QoS 2: no DUP at first | QoS 0, 1 and 2 take their ways and give their ids back
4.3.3-3 | session | sending with QoS 2: unacknowledged until PUBREC | after a reconnect: PUBRELs in the order of PUBRECs, then PUBLISHes in their order with DUP [MQTT-4.6.0-1]
4.3.3-4 | session | sending with QoS 2: PUBREL with the same id for a PUBREC below 0x80 | QoS 0, 1 and 2 take their ways and give their ids back
4.3.3-5 | session | sending with QoS 2: PUBREL is unacknowledged until PUBCOMP | after a reconnect: PUBRELs in the order of PUBRECs, then PUBLISHes in their order with DUP [MQTT-4.6.0-1]
4.3.3-6 | session | sending with QoS 2: no PUBLISH after its PUBREL | after a reconnect: PUBRELs in the order of PUBRECs, then PUBLISHes in their order with DUP [MQTT-4.6.0-1]
4.3.3-7 | session | sending with QoS 2: a message that was sent does not expire | a message that expired before it was sent is dropped, one that was sent is not [MQTT-4.3.3-7]
4.3.3-8 | session | receiving with QoS 2: PUBREC once the message is ours | QoS 2: stored once, acknowledged as often as it comes, free after PUBREL [MQTT-4.3.3-10] && acknowledgements leave in the order of their PUBLISHes though commits end in any order [MQTT-4.6.0-2]
4.3.3-9 | session | receiving with QoS 2: the same id after a PUBREC of 0x80 or more is a new message | a refused commit is told in 5 and withheld in 3.1.1, and others go on
4.3.3-10 | session | receiving with QoS 2: until PUBREL the same id gets PUBREC, and is not delivered twice | QoS 2: stored once, acknowledged as often as it comes, free after PUBREL [MQTT-4.3.3-10]
4.3.3-11 | session | receiving with QoS 2: PUBREL is answered by PUBCOMP with its id | QoS 2: stored once, acknowledged as often as it comes, free after PUBREL [MQTT-4.3.3-10]
4.3.3-12 | session | receiving with QoS 2: the same id after PUBCOMP is a new message | QoS 2: stored once, acknowledged as often as it comes, free after PUBREL [MQTT-4.3.3-10]
4.3.3-13 | session | receiving with QoS 2: the exchange goes on for a message that expired | a message whose lifetime is over when it comes is acknowledged like any other [MQTT-4.3.3-13]
4.4.0-1 | session | what is unacknowledged is sent again with its id when a client comes back, and at no other time | after a reconnect: PUBRELs in the order of PUBRECs, then PUBLISHes in their order with DUP [MQTT-4.6.0-1] && sessions keep their promises over cuts, takeovers and crashes
4.4.0-2 | session | a PUBLISH that was answered 0x80 or more is not sent again | a failing PUBACK or PUBREC acknowledges all the same [MQTT-4.4.0-2]
4.5.0-1 | session | a message that was taken goes to every session with a matching subscription | sessions keep their promises over cuts, takeovers and crashes
4.6.0-5 | session | a topic's messages of one client and QoS arrive in their order | sessions keep their promises over cuts, takeovers and crashes
4.6.0-6 | broker | every topic is ordered for subscriptions that are not shared | every subscription gets a topic's messages in their order [MQTT-4.6.0-6]
4.7.0-1 | codec | no wildcards in topic names | topicNameProblem: at least one character, no wildcard, no U+0000
4.7.1-1 | codec | # alone or after a separator, and last | refused: SUBSCRIBE: # not at the end && filterProblem: wildcards fill their level, # is the last && refused: UNSUBSCRIBE: a filter that is not legal
4.7.1-2 | codec | + fills its level | refused: SUBSCRIBE: + in a level with other characters && filterProblem: wildcards fill their level, # is the last
4.7.2-1 | session | filters that begin with a wildcard do not match topics that begin with $ | filterMatches follows 4.7 && FilterTree agrees with a list of subscriptions after any changes, from memory too
4.7.3-1 | codec | names and filters have at least one character | refused: PUBLISH: an empty topic && refused: PUBLISH: an empty topic without an alias && refused: SUBSCRIBE: an empty filter && refused: CONNECT: an empty will topic
4.7.3-2 | codec | names and filters have no U+0000 | topicNameProblem: at least one character, no wildcard, no U+0000 && refused: PUBLISH: a topic with U+0000
4.7.3-3 | codec | names and filters have at most 65,535 bytes | Writer refuses what MQTT cannot carry && encodePacket throws RangeError for what no packet can say
4.7.3-4 | session | matching compares characters as they are | FilterTree agrees with a list of subscriptions after any changes, from memory too
4.8.2-1 | codec | a shared filter is $share/, and a name of at least one character | refused: SUBSCRIBE: an empty share name && filterProblem: a shared subscription has a name without wildcards, and a filter
4.8.2-2 | codec | the share name has no / + #, and is followed by / and a filter | refused: SUBSCRIBE: a share name with a wildcard && refused: SUBSCRIBE: a share name without a filter && filterProblem: a shared subscription has a name without wildcards, and a filter
4.8.2-3 | broker | a shared delivery has at most the QoS granted to its client | a shared delivery has at most the QoS that its client was granted [MQTT-4.8.2-3]
4.8.2-4 | session | a shared delivery with QoS 2 that a broken connection cut is finished with the same client | a partition of a group: what is settled can be committed, what is not goes to the next member
4.8.2-5 | session | if that session ends first, no other client gets the message | a partition of a group: what is settled can be committed, what is not goes to the next member
4.8.2-6 | broker | a shared delivery that is answered 0x80 or more is dropped, and goes to no other | a shared delivery that its client refuses goes to no other [MQTT-4.8.2-6]
4.9.0-1 | session | the send quota begins at most at the receive maximum, and not at 0 | the client's receive maximum is kept, and room is used at once [MQTT-3.3.4-9]
4.9.0-2 | session | at quota 0 no PUBLISH with QoS is sent | the client's receive maximum is kept, and room is used at once [MQTT-3.3.4-9] && sessions keep their promises over cuts, takeovers and crashes
4.9.0-3 | session | at quota 0 everything else goes on | the client's receive maximum is kept, and room is used at once [MQTT-3.3.4-9]
4.12.0-1 | session | an authentication method that is not supported ends the connection, and may be told 0x8C or 0x87 | protocol errors and methods of authentication we do not know [MQTT-4.12.0-1]
4.12.0-2 | session | a server that needs more sends AUTH 0x18 | protocol errors and methods of authentication we do not know [MQTT-4.12.0-1]
4.12.0-4 | session | authentication that is refused ends the connection | protocol errors and methods of authentication we do not know [MQTT-4.12.0-1]
4.12.0-5 | session | AUTH and CONNACK have the authentication method of the CONNECT | protocol errors and methods of authentication we do not know [MQTT-4.12.0-1]
4.12.0-6 | session | without a method in the CONNECT the server sends no AUTH, and no method in the CONNACK | protocol errors and methods of authentication we do not know [MQTT-4.12.0-1] && CONNACK tells our bounds in 5 and nothing in 3.1.1
4.12.1-2 | session | authentication again that fails ends the connection | packets out of place end the connection with a code [MQTT-3.1.0-2], [MQTT-4.12.0-7]
4.13.1-1 | session | a malformed packet or a protocol error ends the connection | packets out of place end the connection with a code [MQTT-3.1.0-2], [MQTT-4.12.0-7]
4.13.2-1 | session | CONNACK or DISCONNECT of 0x80 or more end the connection, sent or not | takeover: the old connection hears 0x8e and is closed; the session goes on or begins anew [MQTT-3.1.4-3] && a CONNECT of 5 that finds no room gets 0x9c with the address of a hub that has some, and the end
6.0.0-1 | broker | WebSocket: binary frames only, others end the connection | a WebSocket carries binary frames; a text frame ends it [MQTT-6.0.0-1]
6.0.0-2 | codec | packets and WebSocket frames need not coincide | FrameScanner finds the same packets however the bytes are cut
6.0.0-4 | broker | WebSocket: the subprotocol is mqtt | the subprotocol of a WebSocket is mqtt, in the offer and in the answer [MQTT-6.0.0-4]
`,
);

export const statements: readonly Statement[] = [...statements311, ...statements5];
