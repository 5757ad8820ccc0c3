// Client quotas as they are kept: what changes at the same time is kept too.
import assert from "node:assert/strict";
import test from "node:test";
import { Quotas } from "../../../hub/engine/access_quotas.ts";
import { MemoryFacts } from "../../tools/facts.ts";
import { ManualClock } from "../../tools/manual_clock.ts";

test("quotas: two changes of one entity at the same time are both kept, in memory and in the store", async () => {
  const facts = new MemoryFacts();
  const quotas = new Quotas(facts, new ManualClock());
  const set = (key: string) => quotas.alter({ user: "ann" }, [{ key, value: 5 }], false);
  await Promise.all([set("producer_byte_rate"), set("consumer_byte_rate")]);
  const keys = (all: Quotas): string[] => all.all().flatMap(({ values }) => [...values.keys()]);
  assert.deepEqual(keys(quotas).sort(), ["consumer_byte_rate", "producer_byte_rate"]);
  assert.deepEqual(keys(new Quotas(facts.copy(), new ManualClock())).sort(), keys(quotas).sort());
});

test("quotas: one that could not be stored is not in force", async () => {
  const facts = new MemoryFacts();
  const quotas = new Quotas(facts, new ManualClock());
  facts.full = true;
  const altering = quotas.alter({ user: "ann" }, [{ key: "producer_byte_rate", value: 5 }], false);
  await assert.rejects(altering, { kind: "KAFKA_STORAGE_ERROR" });
  assert.equal(quotas.any, false);
});
