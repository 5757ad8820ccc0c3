// CONNECTs that are not taken: which CONNACK answers them.
import assert from "node:assert/strict";
import test from "node:test";
import { connectRefusal, decodeConnect } from "../../../bridge/wire/connect.ts";
import { type MqttProblem, Reason } from "../../../bridge/wire/packet.ts";
import { hex, problemOf } from "./bytes.ts";

/** Body of a CONNECT -> its problem and the answer in hex. */
function refused(source: string): { problem: MqttProblem; answer: string | undefined } {
  const bytes = Buffer.concat([Buffer.from("xx"), hex(source), Buffer.from("xx")]);
  const end = bytes.length - 2;
  const problem = problemOf(() => decodeConnect(bytes, 2, end));
  return { problem, answer: connectRefusal(bytes, 2, end, problem)?.toString("hex") };
}

test("connectRefusal answers a level that is not served with the 0x01 of 3.1.1", () => {
  for (const source of [
    "0006 'MQIsdp' 03 02 003c 0001 'c'",
    "0004 'MQTT' 03 02 003c 0001 'c'",
    "0004 'MQTT' 06 02 003c 0001 'c'",
    "0004 'MQTT' 84 02 003c 0001 'c' // a bridge of mosquitto, which tries 4 next",
  ]) {
    const { problem, answer } = refused(source);
    assert.equal(problem.code, Reason.unsupportedVersion);
    assert.equal(answer, "20020001");
  }
});

test("connectRefusal says nothing to what is not MQTT", () => {
  for (const source of [
    "0004 'HTTP' 04 02 003c 0001 'c'",
    "0003 'GET' 04",
    "0004 ff4d5154 04 02",
    "4745 5420",
    "0004",
  ]) {
    assert.equal(refused(source).answer, undefined, source);
  }
  assert.equal(refused("0004 'HTTP' 04 02 003c 0001 'c'").problem.code, Reason.unsupportedVersion);
});

test("connectRefusal closes a malformed CONNECT of 3.1.1 without a CONNACK, and tells a client of 5 why", () => {
  assert.equal(refused("0004 'MQTT' 04 03 003c 0001 'c'").answer, undefined);
  assert.equal(refused("0004 'MQTT' 05 03 003c 00 0001 'c'").answer, "2003008100");
  assert.equal(refused("0004 'MQTT' 05 02 003c 03 210000 0001 'c'").answer, "2003008200");
  assert.equal(refused("0004 'MQTT' 05").answer, "2003008100");
});

test("connectRefusal answers an empty client id of a session that stays with 0x02 in 3.1.1", () => {
  const { problem, answer } = refused("0004 'MQTT' 04 00 003c 0000");
  assert.deepEqual([problem.code, answer], [Reason.clientIdNotValid, "20020002"]);
});

test("decodeConnect takes an empty client id where it may be given one", () => {
  for (const source of ["0004 'MQTT' 04 02 003c 0000", "0004 'MQTT' 05 00 003c 00 0000"]) {
    const bytes = hex(source);
    assert.equal(decodeConnect(bytes, 0, bytes.length).clientId, "");
  }
});

test("decodeConnect takes fields in the standard's order", () => {
  const bytes = hex(`0004 'MQTT' 05 f6 0001 00 0001 'c' 05 18 00000009 0002 'wt' 0002 'wp' 0001 'u' 0002 00ff`);
  const { clientId, will, username, password } = decodeConnect(bytes, 0, bytes.length);
  assert.deepEqual([clientId, will?.topic, will?.qos, will?.retain, username], ["c", "wt", 2, true, "u"]);
  assert.deepEqual([will?.properties, [...password!]], [{ willDelay: 9 }, [0, 255]]);
});
