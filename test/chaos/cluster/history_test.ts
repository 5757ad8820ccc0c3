// The checkers must not be blind: each violation is found, and a clean history passes.
import assert from "node:assert/strict";
import test from "node:test";
import { History, Ranges } from "./history.ts";

function written(count: number): {
  history: History;
  records: { key: string; number: number; partition: number; offset: number }[];
} {
  const history = new History();
  const records = Array.from({ length: count }, (_, i) => {
    const number = history.attempt("k");
    history.acknowledge("k", { number, partition: 0, offset: i }, i);
    return { key: "k", number, partition: 0, offset: i };
  });
  return { history, records };
}

const names = (history: History): string[] => history.violations.map(({ name }) => name);

test("a clean history passes, unknown writes may be there or not", () => {
  const { history, records } = written(5);
  const unknown = history.attempt("k");
  history.checkLog([...records, { key: "k", number: unknown, partition: 0, offset: 5 }]);
  assert.deepEqual(names(history), []);
});

test("lost, doubled, reordered, divergent and never sent are found", () => {
  const lost = written(5);
  lost.history.checkLog(lost.records.slice(0, 4));
  assert.deepEqual(names(lost.history), ["lost"]);
  const twice = written(3);
  twice.history.checkLog([...twice.records, { ...twice.records[2]!, offset: 3 }]);
  assert.deepEqual(names(twice.history), ["duplicate"]);
  const turned = written(2);
  turned.history.checkLog([{ ...turned.records[1]!, offset: 7 }, { ...turned.records[0]!, offset: 8 }]); // biome-ignore format: one line
  assert.deepEqual(names(turned.history), ["reordered"]);
  const other = written(1);
  other.history.saw(0, 0, "x:9", "a reader");
  assert.deepEqual(names(other.history), ["divergent"]);
  const ghost = written(1);
  ghost.history.checkLog([...ghost.records, { key: "k", number: 4, partition: 0, offset: 1 }]);
  assert.deepEqual(names(ghost.history), ["never-sent"]);
});

test("a PUBACKed reading that is not there, and a group that skipped, are found", () => {
  const history = new History();
  history.puback("d", 1);
  history.checkDevices([{ key: "d", number: 0 }]);
  const handled = new Ranges();
  handled.add(0, 5);
  handled.add(6, 9);
  history.checkGroup(new Map([[0, 9]]), new Map([[0, 0]]), new Map([[0, handled]]));
  assert.deepEqual(names(history), ["pubacked-lost", "group-gap"]);
});

test("ranges merge in any order", () => {
  const ranges = new Ranges();
  for (const [from, to] of [[5, 8], [0, 2], [2, 5], [9, 10]] as const) ranges.add(from, to); // biome-ignore format: one line
  assert.equal(ranges.firstGap(0, 8), null);
  assert.equal(ranges.firstGap(0, 10), 8);
});

test("a subscriber hears what was published, and nothing else; what is stored somewhere has to be found", () => {
  const { history, records } = written(1);
  history.stored("k", history.attempt("k"));
  history.published("device", 0);
  history.heard("device", 0);
  assert.deepEqual([names(history), history.counts.heard], [[], 1]);
  history.heard("device", 1);
  history.heard("nobody", 0);
  history.heard("device", Number.NaN);
  history.checkLog(records);
  assert.deepEqual(names(history), ["never-sent", "never-sent", "never-sent", "lost"]);
});
