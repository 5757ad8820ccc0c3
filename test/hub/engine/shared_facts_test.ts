// Facts that hubs share: local before the cluster is joined, through the controller afterwards.
import assert from "node:assert/strict";
import test from "node:test";
import { SharedFacts } from "../../../hub/engine/shared_facts.ts";
import type { FactStore } from "../../../hub/io/registry.ts";

function memory(): FactStore & { readonly map: Map<string, Uint8Array> } {
  const map = new Map<string, Uint8Array>();
  return {
    map,
    get: (key) => map.get(key),
    entries: (prefix) => [...map].filter(([key]) => key.startsWith(prefix)),
    async put(facts) {
      for (const [key, value] of facts) value === null ? map.delete(key) : map.set(key, value);
    },
  };
}

test("before joining, puts stay in this hub's journal", async () => {
  const local = memory();
  await new SharedFacts(local).put([["access/user/ann", new Uint8Array([1, 255])]]);
  assert.deepEqual([...local.map.keys()], ["access/user/ann"]);
});

test("afterwards they go to the controller, and come back by learning, byte for byte", async () => {
  const local = memory();
  const facts = new SharedFacts(local);
  const changes: { key: string; value: string | null }[] = [];
  facts.join(async (entries) => void changes.push(...entries));
  const value = Uint8Array.from({ length: 256 }, (_, i) => i);
  await facts.put([["a", value], ["b", null]]); // biome-ignore format: one line
  assert.equal(local.map.size, 0, "nothing is stored before the cluster has it");
  for (const { key, value: text } of changes) await facts.learn(key, text);
  assert.deepEqual(facts.get("a"), value);
  assert.equal(facts.get("b"), undefined);
});

test("a change that the cluster refuses is refused here", async () => {
  const facts = new SharedFacts(memory());
  facts.join(() => Promise.reject(new Error("no majority")));
  await assert.rejects(facts.put([["a", new Uint8Array(1)]]), /no majority/);
});
