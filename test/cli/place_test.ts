// Places in a log: what is understood, what is refused, and where it lands.
import assert from "node:assert/strict";
import test from "node:test";
import { UsageError } from "../../cli/exit.ts";
import { parsePlace, targetsOf } from "../../cli/place.ts";

const now = 1_700_000_000_000;

test("earliest, latest, ago, time, offset", () => {
  assert.equal(parsePlace("earliest", now, "to"), "earliest");
  assert.equal(parsePlace("latest", now, "to"), "latest");
  assert.deepEqual(parsePlace("42", now, "to"), { offset: 42 });
  assert.deepEqual(parsePlace("-1h", now, "to"), { time: now - 3_600_000 });
  assert.deepEqual(parsePlace("-1h30m", now, "to"), { time: now - 5_400_000 });
  assert.deepEqual(parsePlace("-250ms", now, "to"), { time: now - 250 });
  assert.deepEqual(parsePlace("2026-01-31T12:00:00Z", now, "to"), { time: Date.UTC(2026, 0, 31, 12) });
  assert.deepEqual(parsePlace("2026-01-31", now, "to"), { time: Date.UTC(2026, 0, 31) });
});

test("anything else is a usage error that says what is understood", () => {
  for (const text of ["", "soon", "-1", "-1x", "1h", "1.5", "2026-13-45", "99999999999999999", "-", "EARLIEST"]) {
    assert.throws(
      () => parsePlace(text, now, "to"),
      (thrown: Error) => {
        return thrown instanceof UsageError && thrown.message.startsWith("--to takes earliest, latest");
      },
    );
  }
});

test("targets stay within the log", () => {
  const places = [0, 1].map((partition) => ({ topic: "t", partition }));
  const starts = new Map([
    ["t/0", 10],
    ["t/1", 0],
  ]);
  const ends = new Map([
    ["t/0", 20],
    ["t/1", 5],
  ]);
  const times = new Map([
    ["t/0", 15],
    ["t/1", -1],
  ]);
  const at = (place: Parameters<typeof targetsOf>[0]): number[] =>
    targetsOf(place, places, starts, ends, times).map(({ offset }) => offset);
  assert.deepEqual(at("earliest"), [10, 0]);
  assert.deepEqual(at("latest"), [20, 5]);
  assert.deepEqual(at({ offset: 7 }), [10, 5]);
  assert.deepEqual(at({ time: 1 }), [15, 5]);
});
