// What CONNECT packets get, by version.
import assert from "node:assert/strict";
import test from "node:test";
import { accept, type Admission, checkConnect, refuse } from "../../../bridge/session/connect.ts";
import { type Connect, noProperties, type Properties, Reason } from "../../../bridge/wire/packet.ts";
import { limits } from "../../../hub/mod.ts";

const connect = (version: 4 | 5, more: Partial<Connect> = {}): Connect => {
  const who = { clientId: "c", will: null, username: null, password: null };
  return { kind: "connect", version, clean: true, keepAlive: 60, properties: noProperties, ...who, ...more };
};

function admitted(packet: Connect): Admission {
  const checked = checkConnect(packet, "fresh");
  assert.ok(checked.kind === "admit", JSON.stringify(checked));
  return checked.admission;
}

function refused(packet: Connect): number | null {
  const checked = checkConnect(packet, "fresh");
  assert.ok(checked.kind === "refuse");
  assert.equal(checked.connack?.sessionPresent ?? false, false);
  return checked.connack?.code ?? null;
}

test("a session's expiry: as asked in 5 up to ours, by Clean Session in 3.1.1", () => {
  assert.equal(admitted(connect(5)).expirySeconds, 0);
  assert.equal(admitted(connect(5, { properties: { sessionExpiry: 9 } })).expirySeconds, 9);
  const forever = admitted(connect(5, { properties: { sessionExpiry: 0xffff_ffff } }));
  assert.equal(forever.expirySeconds, limits.mqttSessionExpirySecondsMax);
  assert.equal(accept(forever, true).properties.sessionExpiry, limits.mqttSessionExpirySecondsMax);
  assert.equal(admitted(connect(4)).expirySeconds, 0);
  assert.equal(admitted(connect(4, { clean: false })).expirySeconds, limits.mqttSessionExpirySecondsMax);
  assert.equal(admitted(connect(4, { clean: false })).outbound.durable, true);
});

test("a client without id is given one, and told in 5 [MQTT-3.1.3-6], [MQTT-3.1.3-7]", () => {
  const five = admitted(connect(5, { clientId: "", clean: false }));
  assert.equal(five.clientId, "fresh");
  assert.equal(accept(five, false).properties.assignedClientId, "fresh");
  assert.equal(admitted(connect(4, { clientId: "" })).clientId, "fresh");
  assert.equal(refused(connect(4, { clientId: "", clean: false })), 2);
  assert.equal(
    refused(connect(5, { clientId: "x".repeat(limits.mqttClientIdLengthMax + 1) })),
    Reason.clientIdNotValid,
  );
});

test("keep alive: ours instead of none or too much in 5; 3.1.1 cannot be told", () => {
  const server = (keepAlive: number) => accept(admitted(connect(5, { keepAlive })), false).properties.serverKeepAlive;
  assert.equal(server(60), undefined);
  assert.equal(server(0), limits.mqttKeepAliveSecondsMax);
  assert.equal(server(65_535), limits.mqttKeepAliveSecondsMax);
  assert.equal(admitted(connect(4, { keepAlive: 65_535 })).keepAliveSeconds, 65_535);
  assert.equal(admitted(connect(4, { keepAlive: 0 })).keepAliveSeconds, 0);
});

test("CONNACK tells our bounds in 5 and nothing in 3.1.1", () => {
  const { properties, sessionPresent, code } = accept(admitted(connect(5)), true);
  assert.deepEqual([sessionPresent, code], [true, 0]);
  assert.deepEqual(properties, {
    receiveMaximum: limits.mqttReceiveMax,
    maximumPacketSize: limits.mqttPacketBytesMax,
    topicAliasMaximum: limits.mqttTopicAliasMax,
  });
  assert.equal(accept(admitted(connect(4)), false).properties, noProperties);
});

test("what the client allows", () => {
  const properties: Properties = { receiveMaximum: 3, topicAliasMaximum: 7, maximumPacketSize: 99 };
  const { outbound } = admitted(connect(5, { properties }));
  assert.deepEqual(outbound, { version: 5, durable: false, receiveMax: 3, aliasMax: 7, packetBytesMax: 99 });
  const plain = admitted(connect(5)).outbound;
  assert.deepEqual([plain.receiveMax, plain.aliasMax, plain.packetBytesMax], [65_535, 0, null]);
  assert.equal(admitted(connect(5)).wantsProblems, true);
  assert.equal(admitted(connect(5, { properties: { requestProblemInformation: 0 } })).wantsProblems, false);
  assert.equal(admitted(connect(4)).wantsProblems, false);
});

test("protocol errors and methods of authentication we do not know [MQTT-4.12.0-1]", () => {
  const five = (properties: Properties) => refused(connect(5, { properties }));
  assert.equal(five({ authenticationMethod: "SCRAM-SHA-256" }), Reason.badAuthenticationMethod);
  assert.equal(five({ authenticationData: new Uint8Array() }), Reason.protocolError);
  assert.equal(five({ receiveMaximum: 0 }), Reason.protocolError);
  assert.equal(five({ maximumPacketSize: 0 }), Reason.protocolError);
  const will = { topic: "a/#", payload: new Uint8Array(), qos: 0, retain: false, properties: {} } as const;
  assert.equal(refused(connect(5, { will })), Reason.topicNameInvalid);
  assert.equal(refused(connect(4, { will })), null, "3.1.1 has no code for it");
});

test("refusals: reason codes in 5, return codes in 3.1.1, and where to go instead", () => {
  assert.deepEqual(refuse(5, Reason.serverMoved, "", "b:1883")?.properties, { serverReference: "b:1883" });
  assert.equal(refuse(5, Reason.badUserNameOrPassword)?.code, 0x86);
  const codes = [0x84, 0x85, 0x88, 0x86, 0x87, 0x9c, 0x82] as const;
  assert.deepEqual(
    codes.map((code) => refuse(4, code)?.code ?? null),
    [1, 2, 3, 4, 5, 3, null],
  );
});
