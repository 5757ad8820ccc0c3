// Reason codes: the tables of the packets, and what 3.1.1 says instead.
import assert from "node:assert/strict";
import test from "node:test";
import { type CodePacket, isCodeOf, returnCodeOf, subackCode } from "../../../bridge/wire/codes.ts";
import { Reason, type Sender } from "../../../bridge/wire/packet.ts";

/** All codes of a packet, in hex. */
function codes(packet: CodePacket, sender: Sender): string {
  const found = Array.from({ length: 256 }, (_, code) => code).filter((code) => isCodeOf(packet, code, sender));
  return found.map((code) => code.toString(16)).join(" ");
}

test("isCodeOf knows the tables of MQTT5 chapter 3", () => {
  for (const sender of ["client", "server"] as const) {
    assert.equal(codes("puback", sender), "0 10 80 83 87 90 91 97 99");
    assert.equal(codes("pubrec", sender), "0 10 80 83 87 90 91 97 99");
    assert.equal(codes("pubrel", sender), "0 92");
    assert.equal(codes("pubcomp", sender), "0 92");
  }
  assert.equal(codes("connack", "server"), "0 80 81 82 83 84 85 86 87 88 89 8a 8c 90 95 97 99 9a 9b 9c 9d 9f");
  assert.equal(codes("suback", "server"), "0 1 2 80 83 87 8f 91 97 9e a1 a2");
  assert.equal(codes("unsuback", "server"), "0 11 80 83 87 8f 91");
  assert.equal(codes("disconnect", "client"), "0 4 80 81 82 83 8c 90 93 94 95 96 97 98 99");
  assert.equal(
    codes("disconnect", "server"),
    "0 80 81 82 83 87 89 8b 8c 8d 8e 8f 90 93 94 95 96 97 98 99 9a 9b 9c 9d 9e 9f a0 a1 a2",
  );
  assert.equal(codes("auth", "server"), "0 18");
  assert.equal(codes("auth", "client"), "18 19");
});

test("returnCodeOf says in 3.1.1 what it can say, and null for the rest", () => {
  const known = Object.values(Reason).filter((code) => code >= 0x80 && returnCodeOf(code) !== null);
  const pairs = known.map((code) => `${code.toString(16)}:${returnCodeOf(code)}`);
  assert.deepEqual(pairs, [
    "84:1",
    "85:2",
    "86:4",
    "87:5",
    "88:3",
    "89:3",
    "8a:5",
    "8b:3",
    "8c:4",
    "97:3",
    "9c:3",
    "9d:3",
    "9f:3",
  ]);
  for (let code = 0; code <= 5; code++) assert.equal(returnCodeOf(code), code);
  assert.equal(returnCodeOf(6), null);
});

test("subackCode makes one failure of all in 3.1.1", () => {
  assert.deepEqual(
    [0, 1, 2, 0x87, 0x8f].map((code) => subackCode(code, 4)),
    [0, 1, 2, 0x80, 0x80],
  );
  assert.equal(subackCode(0x8f, 5), 0x8f);
});
