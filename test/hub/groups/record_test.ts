// The stored form of a group: goes through whole; every prefix and every flipped byte is refused or read, never worse.
import assert from "node:assert/strict";
import test from "node:test";
import { HubError } from "../../../hub/errors.ts";
import type { GroupRecord } from "../../../hub/groups/group.ts";
import { decodeGroupRecord, encodeGroupRecord } from "../../../hub/groups/record.ts";

const member = {
  memberId: "c-1",
  instanceId: null,
  clientId: "ü",
  clientHost: "/::1",
  sessionTimeoutMs: 45_000,
  rebalanceTimeoutMs: 300_000,
  protocols: [
    { name: "range", metadata: new Uint8Array([0, 1, 255]) },
    { name: "sticky", metadata: new Uint8Array(0) },
  ],
  assignment: new Uint8Array(2000).fill(7),
};

const record: GroupRecord = {
  generation: 2_147_483_647,
  protocolType: "consumer",
  protocolName: null,
  leader: "c-1",
  emptyMs: 604_800_000,
  members: [member, { ...member, memberId: "i-2", instanceId: "", protocols: [], assignment: new Uint8Array(0) }],
};

test("group record: goes through whole", () => {
  const back = decodeGroupRecord(encodeGroupRecord(record));
  const plain = (value: GroupRecord) =>
    JSON.stringify(value, (_, part: unknown) => {
      return part instanceof Uint8Array ? [...part] : part;
    });
  assert.equal(plain(back), plain(record));
  const empty = { ...record, generation: 0, emptyMs: 0.5, members: [] };
  assert.equal(decodeGroupRecord(encodeGroupRecord(empty)).emptyMs, 0);
});

test("group record: damage ends in a catalogue error or in a record, never in another exception", () => {
  const bytes = encodeGroupRecord(record);
  for (let length = 0; length < bytes.length; length += 1) {
    assert.throws(() => decodeGroupRecord(bytes.subarray(0, length)), HubError, `prefix of ${length}`);
  }
  assert.throws(() => decodeGroupRecord(Uint8Array.from([...bytes, 0])), HubError);
  for (let at = 0; at < 150; at += 1) {
    for (const flip of [1, 0x80, 0xff]) {
      const damaged = Uint8Array.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ flip;
      try {
        decodeGroupRecord(damaged);
      } catch (error) {
        assert.ok(error instanceof HubError, `byte ${at}: ${String(error)}`);
      }
    }
  }
});

test("group record: one of a newer hub is refused by its version", () => {
  const bytes = Uint8Array.from(encodeGroupRecord(record));
  bytes[0] = 2;
  assert.throws(() => decodeGroupRecord(bytes), { kind: "UNSUPPORTED_VERSION" });
});
