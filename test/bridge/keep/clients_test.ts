// What the records of a client mean: the highest epoch counts, the newest claim owns, and compaction changes nothing.
import assert from "node:assert/strict";
import test from "node:test";
import { Clients, encodeClaim, epochsOf, type KeptRecord } from "../../../bridge/keep/clients.ts";
import { encodeOpenId } from "../../../bridge/keep/open_id.ts";
import { Kind, keyOf } from "../../../bridge/keep/keys.ts";
import { encodeSession } from "../../../bridge/session/record.ts";
import { seeded } from "../../sim/clock.ts";
import { session } from "./stage.ts";

function all(records: readonly (readonly [Uint8Array, Uint8Array | null])[]): Clients {
  const clients = new Clients();
  records.forEach(([key, value], offset) => void clients.apply({ key, value, offset }));
  return clients;
}

const stored = (number: number): Uint8Array => encodeSession(session(number));

test("what a hub wrote before a takeover counts until the new owner writes, and never again after", () => {
  const old = keyOf(Kind.session, "c", 1);
  const records: [Uint8Array, Uint8Array | null][] = [
    [keyOf(Kind.claim, "c"), encodeClaim(1)],
    [old, stored(1)],
    [keyOf(Kind.claim, "c"), encodeClaim(2)],
  ];
  assert.deepEqual(all(records).ownerOf("c"), { hub: 2, epoch: 3, of: 0 });
  assert.deepEqual(all(records).pastOf("c")?.session, session(1));
  records.push([keyOf(Kind.session, "c", 3), stored(2)], [old, stored(9)]);
  assert.deepEqual(all(records).pastOf("c")?.session, session(2));
  assert.deepEqual(epochsOf(all(records).get("c")!.session), [3, 1]);
  records.push([old, null], [keyOf(Kind.session, "c", 3), null], [keyOf(Kind.claim, "c"), null]);
  assert.equal(all(records).size, 0);
});

test("an heir owns what it inherits until somebody claims the client", () => {
  const claim = (hub: number): [Uint8Array, Uint8Array] => [keyOf(Kind.claim, "c"), encodeClaim(hub)];
  const heir = (hub: number, of: number): [Uint8Array, Uint8Array] => [keyOf(Kind.heir, "c", of), encodeClaim(hub, of)];
  assert.deepEqual(all([heir(3, 0)]).ownerOf("c"), { hub: 3, epoch: 1, of: 0 });
  assert.deepEqual(all([claim(1), heir(3, 1)]).ownerOf("c"), { hub: 3, epoch: 2, of: 1 });
  assert.deepEqual(all([claim(1), heir(3, 1), heir(4, 1)]).ownerOf("c")?.hub, 4);
  assert.deepEqual(all([claim(1), claim(2), heir(3, 1)]).ownerOf("c"), { hub: 2, epoch: 2, of: 0 }, "it came too late");
  assert.deepEqual(all([claim(1), heir(3, 1), claim(2)]).ownerOf("c"), { hub: 2, epoch: 3, of: 0 });
  const late = [claim(1), claim(2), heir(4, 2), heir(3, 1)] as const;
  assert.deepEqual(all(late).ownerOf("c"), { hub: 4, epoch: 3, of: 2 }, "it takes nobody's place");
  assert.equal(all([]).ownerOf("c"), null);
});

test("an id is open while its slot holds it in any epoch", () => {
  const id = (epoch: number, slot: number): Uint8Array => keyOf(Kind.inboundId, "c", epoch, slot);
  const openId = (packetId: number): Uint8Array => encodeOpenId({ packetId, batch: null, pending: null });
  const open = all([
    [id(1, 5), openId(7)],
    [id(1, 6), openId(8)],
    [id(4, 5), openId(7)],
    [id(1, 5), null],
    [id(1, 6), null],
  ]);
  assert.deepEqual(open.pastOf("c"), { session: null, inboundIds: [7], will: null });
});

test("compaction at any moment changes nothing", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const chance = seeded(seed);
    const pick = (max: number): number => Math.floor(chance() * max);
    let log: KeptRecord[] = [];
    const clients = new Clients();
    for (let offset = 0; offset < 60; offset++) {
      const kind = [Kind.session, Kind.will, Kind.inboundId, Kind.claim, Kind.heir, Kind.left, Kind.base][pick(7)]!;
      const isOfEpoch = kind <= Kind.inboundId;
      const key = keyOf(kind, `c${pick(2)}`, isOfEpoch ? pick(3) : 0, kind === Kind.inboundId ? 1 + pick(2) : 0);
      const value = pick(3) === 0 ? null : isOfEpoch ? stored(offset) : encodeClaim(pick(3), pick(offset + 1));
      log.push({ key, value, offset });
      clients.apply({ key, value, offset });
      // what a pass over all but the newest records leaves
      if (pick(10) === 0) log = log.filter((one, at) => !log.slice(at + 1).some((later) => same(later.key, one.key)));
      const again = new Clients();
      for (const record of log) again.apply(record);
      for (const id of ["c0", "c1"]) {
        assert.deepEqual(again.get(id), clients.get(id), `seed ${seed}, offset ${offset}`);
        assert.deepEqual(again.ownerOf(id), clients.ownerOf(id), `seed ${seed}, offset ${offset}`);
      }
    }
  }
});

function same(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return String(a) === String(b);
}
