// Client quotas: whose holds, and what a bucket says.
import assert from "node:assert/strict";
import test from "node:test";
import {
  Buckets,
  type Entity,
  entityOfText,
  type QuotaKey,
  QuotaTable,
  textOfEntity,
} from "../../../hub/access/quota.ts";
import { limits } from "../../../hub/limits.ts";

const rate = (value: number): Map<QuotaKey, number> => new Map([["producer_byte_rate", value]]);

/** KIP-13's order, first to last. */
const places: Entity[] = [
  { user: "ann", clientId: "app" },
  { user: "ann", clientId: null },
  { user: "ann" },
  { user: null, clientId: "app" },
  { user: null, clientId: null },
  { user: null },
  { clientId: "app" },
  { clientId: null },
];

test("the first of the eight places that has a quota holds", () => {
  const table = new QuotaTable();
  places.forEach((entity, i) => table.set(entity, rate(i + 1)));
  for (let i = 0; i < places.length; i++) {
    assert.equal(table.holding("producer_byte_rate", "ann", "app")?.rate, i + 1, JSON.stringify(places[i]));
    table.set(places[i]!, new Map());
  }
  assert.equal(table.holding("producer_byte_rate", "ann", "app"), null);
  assert.equal(table.size, 0);
});

test("a place without the key is passed over, and other names do not hold", () => {
  const table = new QuotaTable();
  table.set({ user: "ann", clientId: "app" }, new Map([["consumer_byte_rate", 1]]));
  table.set({ user: "bob" }, rate(2));
  table.set({ ip: "10.0.0.1" }, new Map([["connection_creation_rate", 3]]));
  assert.equal(table.holding("producer_byte_rate", "ann", "app"), null);
  table.set({ clientId: null }, rate(4));
  assert.equal(table.holding("producer_byte_rate", "ann", "app")?.rate, 4);
});

test("who shares a bucket: clients of a user's quota do, clients of a default do not", () => {
  const bucket = (entity: Entity, user: string, clientId: string): string | undefined => {
    const table = new QuotaTable();
    table.set(entity, rate(1));
    return table.holding("producer_byte_rate", user, clientId)?.bucket;
  };
  assert.equal(bucket({ user: "ann" }, "ann", "a"), bucket({ user: "ann" }, "ann", "b"));
  assert.notEqual(bucket({ user: null }, "ann", "a"), bucket({ user: null }, "bob", "a"));
  assert.notEqual(bucket({ clientId: null }, "ann", "a"), bucket({ clientId: null }, "ann", "b"));
  assert.equal(bucket({ clientId: "a" }, "ann", "a"), bucket({ clientId: "a" }, "bob", "a"));
  assert.notEqual(bucket({ user: "ann", clientId: null }, "ann", "a"), bucket({ user: "ann" }, "ann", "a"));
});

test("an entity's text is read back", () => {
  for (const entity of [...places, { ip: "::1" }, { ip: null }]) {
    assert.deepEqual(entityOfText(textOfEntity(entity)), entity);
  }
  assert.notEqual(textOfEntity({ user: null }), textOfEntity({}));
});

test("a bucket holds one second's worth; a debt is waited for, and not forgiven", () => {
  const buckets = new Buckets();
  const holding = { rate: 1000, bucket: "b" };
  assert.equal(buckets.spend(holding, 1000, 0), 0);
  assert.equal(buckets.spend(holding, 500, 0), 500);
  assert.equal(buckets.spend(holding, 0, 500), 0);
  assert.equal(buckets.spend(holding, 1, 10_000), 0); // not more than a second's worth is saved up
  assert.equal(buckets.spend(holding, 1999, 10_000), 1000);
  const far = buckets.spend(holding, 10_000_000, 11_000);
  assert.equal(far, limits.quotaThrottleMsMax);
  assert.equal(buckets.spend(holding, 0, 11_000 + far), limits.quotaThrottleMsMax);
});

test("over a long time the rate holds, whatever the sizes", () => {
  const buckets = new Buckets();
  const holding = { rate: 5000, bucket: "b" };
  let now = 0;
  let bytes = 0;
  for (let i = 0; now < 60_000; i++) {
    const size = 100 + ((i * 7919) % 9000);
    bytes += size;
    now += buckets.spend(holding, size, now);
  }
  const perSecond = (bytes / now) * 1000;
  assert.ok(perSecond > 4900 && perSecond < 5300, `${perSecond} bytes a second`);
});

test("the least recently used bucket goes when there are too many", () => {
  const buckets = new Buckets();
  for (let i = 0; i <= limits.quotaBucketsMax; i++) buckets.spend({ rate: 1, bucket: String(i) }, 2, 0);
  assert.equal(buckets.size, limits.quotaBucketsMax);
  assert.equal(buckets.spend({ rate: 1, bucket: "0" }, 1, 0), 0); // forgotten, so full again
});
