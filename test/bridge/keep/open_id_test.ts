// QoS 2 ids as bytes, and what an owner makes of messages that it finds noted and not known to be stored.
import assert from "node:assert/strict";
import test from "node:test";
import { decodeOpenId, encodeOpenId, type OpenId, unfinishedOf } from "../../../bridge/keep/open_id.ts";
import { bytes } from "./stage.ts";

const at = { topic: "sensors", partition: 3 };

function noted(packetId: number, producerId: number, place: number, count: number, isStored = false): OpenId {
  const identity = { producerId, producerEpoch: 7 };
  const record = { key: bytes("k"), value: bytes(`${packetId}`), headers: [], timestamp: 5 };
  return { packetId, batch: { identity, place, count }, pending: isStored ? null : { at, record } };
}

test("ids are there and back: alone, stored, and with a message of any shape", () => {
  const headers = [
    { key: "mqtt.topic", value: bytes("sensors/ü") },
    { key: "", value: null },
  ];
  const records = [
    { key: null, value: null, headers: [] },
    { key: bytes(""), value: bytes("x".repeat(70_000)), headers, timestamp: 0 },
  ];
  const identity = { producerId: 2 ** 52 - 1, producerEpoch: 32_767 };
  const batch = { identity, place: 1, count: 2 };
  const ids: OpenId[] = [
    { packetId: 65_535, batch: null, pending: null },
    { packetId: 1, batch, pending: null },
    ...records.map((record) => ({ packetId: 2, batch, pending: { at, record } })),
  ];
  for (const id of ids) assert.deepEqual(decodeOpenId(encodeOpenId(id)), id);
  assert.throws(() => decodeOpenId(Uint8Array.of(9, 1)), { kind: "INVALID_RECORD" });
  const whole = encodeOpenId(ids[3]!);
  for (const size of [0, 1, 5, whole.length - 1])
    assert.throws(() => decodeOpenId(whole.subarray(0, size)), { kind: "INVALID_REQUEST" });
});

test("a batch that is noted as a whole is appended again, in its order", () => {
  const [first, second] = [noted(9, 1, 0, 2), noted(4, 1, 1, 2)];
  const alone = { packetId: 5, batch: null, pending: null };
  assert.deepEqual(unfinishedOf([second, alone, first]), { redo: [[first, second]], stored: [], never: [] });
  const other = noted(6, 2, 0, 1);
  assert.deepEqual(unfinishedOf([other, second, first]).redo, [[other], [first, second]]);
});

test("what goes with messages that are known to be stored is stored; what was noted in part was never appended", () => {
  const [stored, rest] = [noted(9, 1, 0, 3, true), noted(4, 1, 1, 3)];
  assert.deepEqual(unfinishedOf([stored, rest]), { redo: [], stored: [rest], never: [] });
  const part = [noted(9, 1, 0, 3), noted(4, 1, 1, 3)];
  assert.deepEqual(unfinishedOf(part), { redo: [], stored: [], never: part });
  // noted anew as a smaller batch, and not all of it
  const mixed = [noted(9, 1, 0, 2), noted(4, 1, 1, 3)];
  assert.deepEqual(unfinishedOf(mixed).never, mixed);
  const twice = [noted(9, 1, 0, 2), noted(4, 1, 0, 2)];
  assert.deepEqual(unfinishedOf(twice).never, twice);
  assert.deepEqual(unfinishedOf([]), { redo: [], stored: [], never: [] });
});
