// The index of retained topics against a map, its bounds and its expiry.
import assert from "node:assert/strict";
import test from "node:test";
import { filterMatches } from "../../../bridge/match/filter.ts";
import { Retained } from "../../../bridge/match/retained.ts";
import { seededRandom } from "../../../devices/sensors.ts";

test("Retained agrees with a map under random changes", () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = seededRandom(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const some = (words: readonly string[]): string =>
    Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(words)).join("/");
  const index = new Retained<string>(25);
  const truth = new Map<string, { value: string; expiresAt: number | null }>();
  let refused = 0;
  for (let now = 0; now < 5_000; now++) {
    const topic = some(["a", "b", "", "$c"]);
    if (random() < 0.5) {
      const expiresAt = random() < 0.3 ? now + Math.floor(random() * 200) : null;
      const room = truth.has(topic) || truth.size < 25;
      assert.equal(index.set(topic, `${topic}@${now}`, 10, expiresAt), room, `seed ${seed}`);
      if (room) truth.set(topic, { value: `${topic}@${now}`, expiresAt });
      else refused++;
    } else if (random() < 0.4) assert.equal(index.delete(topic), truth.delete(topic), `seed ${seed}`);
    if (random() < 0.02) {
      const due = [...truth]
        .filter(([, { expiresAt }]) => expiresAt !== null && expiresAt <= now)
        .map(([name]) => name);
      assert.deepEqual(index.expire(now).sort(), due.sort(), `seed ${seed}`);
      for (const name of due) truth.delete(name);
    }
    const filter = some(["a", "b", "", "$c", "+"]) + (random() < 0.3 ? "/#" : "");
    const alive = [...truth].filter(([, { expiresAt }]) => expiresAt === null || expiresAt > now);
    const expected = alive.filter(([name]) => filterMatches(filter, name)).map(([, { value }]) => value);
    assert.deepEqual(index.match(filter, now).sort(), expected.sort(), `seed ${seed}, filter ${filter}`);
    assert.deepEqual(
      index.match("#", now).length,
      alive.filter(([name]) => !name.startsWith("$")).length,
      `seed ${seed}`,
    );
    assert.equal(index.get(topic, now), alive.find(([name]) => name === topic)?.[1].value ?? null, `seed ${seed}`);
    assert.equal(index.count, truth.size, `seed ${seed}`);
  }
  assert.ok(refused > 10, `seed ${seed}: the bound was never met`);
});

test("Retained keeps its bytes, and the message before when there is no room", () => {
  const index = new Retained<number>(100, 1_000);
  assert.equal(index.set("a", 1, 500, null), true);
  assert.equal(index.set("b", 2, 500, null), false);
  assert.equal(index.set("a", 3, 900, null), false);
  assert.equal(index.get("a", 0), 1);
  assert.equal(index.set("a", 4, 10, null), true);
  assert.equal(index.set("b", 5, 300, null), true);
  assert.equal(index.delete("a") && index.delete("b"), true);
  assert.deepEqual([index.count, index.bytes], [0, 0]);
});
