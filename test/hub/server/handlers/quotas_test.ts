// Client quotas as admins keep them, over a restart too, and as clients feel them.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf } from "../../../../hub/errors.ts";
import { scratch } from "../../../tools/hub_process.ts";
import { openTestHub, withHub } from "../../../tools/test_hub.ts";
import { dialWire, type WireClient } from "../../../tools/wire_client.ts";
import { batchOf, fetchAll, is, makeTopic } from "../../../tools/wire_calls.ts";

type Named = Readonly<Record<string, string | null>>;

const entityOf = (named: Named) =>
  Object.entries(named).map(([entityType, entityName]) => ({ entityType, entityName }));

async function alter(wire: WireClient, named: Named, values: Readonly<Record<string, number | null>>, version = 1) {
  const ops = Object.entries(values).map(([key, value]) => ({ key, value: value ?? 0, remove: value === null }));
  const entries = [{ entity: entityOf(named), ops }];
  return (await wire.call("alterClientQuotas", version, { entries, validateOnly: false })).entries[0]!;
}

interface Part {
  readonly entityType: string;
  readonly matchType: number;
  readonly match: string | null;
}

const any = (entityType: string): Part => ({ entityType, matchType: 2, match: null });

async function told(wire: WireClient, components: readonly Part[], strict = false): Promise<Named[]> {
  const answer = await wire.call("describeClientQuotas", 1, { components, strict });
  is(answer, "NONE");
  return answer.entries!.map(({ entity }) =>
    Object.fromEntries(entity.map(({ entityType, entityName }) => [entityType, entityName])),
  );
}

test("quotas are set, told by every filter, kept over a restart and removed", async () => {
  const { folder, remove } = scratch();
  try {
    const entities: Named[] = [
      { user: "ann" },
      { user: null },
      { user: "ann", "client-id": "app" },
      { "client-id": "app" },
      { "client-id": null },
      { ip: "10.0.0.1" },
    ];
    const first = await openTestHub({ folder });
    for (const entity of entities) {
      const key = "ip" in entity ? "connection_creation_rate" : "producer_byte_rate";
      is(await alter(first.wire, entity, { [key]: 1e12 }, entities.indexOf(entity) % 2), "NONE");
    }
    await first.close();
    const again = await openTestHub({ folder });
    const { wire } = again;
    assert.equal((await told(wire, [])).length, 6);
    assert.deepEqual(await told(wire, [any("user")]), entities.slice(0, 3));
    assert.deepEqual(await told(wire, [any("user")], true), entities.slice(0, 2));
    assert.deepEqual(await told(wire, [{ entityType: "user", matchType: 1, match: null }]), [{ user: null }]);
    assert.deepEqual(await told(wire, [{ entityType: "user", matchType: 0, match: "ann" }], true), [{ user: "ann" }]);
    assert.deepEqual(await told(wire, [any("user"), any("client-id")]), [entities[2]]);
    assert.deepEqual(await told(wire, [any("ip")]), [{ ip: "10.0.0.1" }]);
    is(await alter(wire, { user: "ann" }, { producer_byte_rate: null }), "NONE");
    assert.equal((await told(wire, [])).length, 5);
    await again.close();
  } finally {
    remove();
  }
});

test("what is no quota: INVALID_REQUEST; asked only to validate nothing changes", async () => {
  await withHub({}, async ({ wire }) => {
    const wrong: [Named, Readonly<Record<string, number>>][] = [
      [{}, { producer_byte_rate: 1 }],
      [{ planet: "x" }, { producer_byte_rate: 1 }],
      [{ user: "" }, { producer_byte_rate: 1 }],
      [{ user: "x".repeat(300) }, { producer_byte_rate: 1 }],
      [{ user: "a", ip: "10.0.0.1" }, { producer_byte_rate: 1 }],
      [{ ip: "10.0.0.1" }, { producer_byte_rate: 1 }],
      [{ user: "a" }, { connection_creation_rate: 1 }],
      [{ user: "a" }, { nonsense: 1 }],
      [{ user: "a" }, { toString: 1 }],
      [{ user: "a" }, { producer_byte_rate: 0 }],
      [{ user: "a" }, { producer_byte_rate: -1 }],
      [{ user: "a" }, { producer_byte_rate: 1.5 }],
      [{ user: "a" }, { producer_byte_rate: Number.NaN }],
      [{ user: "a" }, { producer_byte_rate: Number.POSITIVE_INFINITY }],
    ];
    for (const [named, values] of wrong) {
      const { errorCode } = await alter(wire, named, values);
      assert.equal(errorCode, codeOf("INVALID_REQUEST"), JSON.stringify([named, values]));
    }
    const entity = entityOf({ user: "a" });
    const ops = [{ key: "producer_byte_rate", value: 5, remove: false }];
    const twice = await wire.call("alterClientQuotas", 1, { entries: [{ entity, ops: [...ops, ...ops] }] } as never);
    is(twice.entries[0]!, "INVALID_REQUEST");
    const checked = await wire.call("alterClientQuotas", 1, { entries: [{ entity, ops }], validateOnly: true });
    is(checked.entries[0]!, "NONE");
    assert.deepEqual(await told(wire, []), []);
    for (const components of [
      [any("planet")],
      [any("user"), any("user")],
      [any("user"), any("ip")],
      [{ entityType: "user", matchType: 9, match: null }],
      [{ entityType: "user", matchType: 0, match: null }],
    ]) {
      is(await wire.call("describeClientQuotas", 0, { components, strict: false }), "INVALID_REQUEST");
    }
  });
});

function produceWhole(wire: WireClient, topic: string, size: number) {
  const topicData = [{ name: topic, partitionData: [{ index: 0, records: batchOf(size) }] }];
  return wire.call("produce", 9, { acks: -1, timeoutMs: 10_000, topicData });
}

test("a producer above its quota is answered at once and then not listened to; others are", async () => {
  await withHub({}, async ({ wire, kafka }) => {
    await makeTopic(wire, "t");
    is(await alter(wire, { "client-id": "test" }, { producer_byte_rate: 100_000 }), "NONE");
    const began = performance.now();
    const first = await produceWhole(wire, "t", 160_000);
    const answered = performance.now() - began;
    assert.equal(first.responses[0]!.partitionResponses[0]!.errorCode, 0);
    assert.ok(first.throttleTimeMs > 300 && first.throttleTimeMs < 1200, `${first.throttleTimeMs} ms`);
    assert.ok(answered < 550, `answered after ${answered} ms`);
    const other = await dialWire(kafka); // the same client id over another connection: its own requests are served
    const before = performance.now();
    assert.equal((await other.call("metadata", 1, { topics: null })).topics.length, 1);
    assert.ok(performance.now() - before < 250, "another connection waits");
    other.close();
    await wire.call("metadata", 1, { topics: null });
    const waited = performance.now() - began;
    assert.ok(waited > first.throttleTimeMs - 50, `${waited} ms, told ${first.throttleTimeMs}`);
    is(await alter(wire, { "client-id": "test" }, { producer_byte_rate: null }), "NONE");
    assert.equal((await produceWhole(wire, "t", 160_000)).throttleTimeMs, 0);
  });
});

test("a consumer above its quota gets its records with the time to wait, and smaller fetches", async () => {
  await withHub({}, async ({ wire }) => {
    await makeTopic(wire, "t");
    for (let i = 0; i < 4; i++) await produceWhole(wire, "t", 100_000);
    is(await alter(wire, { user: "ANONYMOUS" }, { consumer_byte_rate: 20_000 }), "NONE");
    const answer = await fetchAll(wire, { topic: "t" });
    const { records } = answer.responses[0]!.partitions[0]!;
    // ten seconds' worth is 200 kB: one batch fits whole, two do not
    assert.ok(records!.length > 100_000 && records!.length < 200_100, `${records!.length} bytes`);
    assert.ok(answer.throttleTimeMs > 3000 && answer.throttleTimeMs < 30_001, `${answer.throttleTimeMs} ms`);
  });
});

test("every answer of a client above its share of the hub's time says so", async () => {
  await withHub({}, async ({ wire }) => {
    is(await alter(wire, { user: null, "client-id": null }, { request_percentage: 0.001 }), "NONE");
    let longest = 0;
    for (let i = 0; i < 3 && longest === 0; i++) {
      longest = (await wire.call("metadata", 9, { topics: null })).throttleTimeMs;
    }
    assert.ok(longest > 0, "never throttled");
  });
});
