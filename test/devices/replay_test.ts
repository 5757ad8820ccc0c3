// Recorded series: every file reads, is small and attributed; replay loops from its phase.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import test from "node:test";
import { parseStation, recordedStations, replay } from "../../devices/replay.ts";

const folder = new URL("../../devices/recorded/", import.meta.url);

test("recordedStations reads every recorded file; all are attributed and below 200 KiB together", () => {
  const files = readdirSync(folder).filter((name) => name.endsWith(".csv"));
  const stations = recordedStations();
  assert.deepEqual(stations.map((station) => `${station.name}.csv`).toSorted(), files.toSorted());
  const readme = readFileSync(new URL("README.md", folder), "utf8");
  let bytes = 0;
  for (const file of readdirSync(folder)) bytes += statSync(new URL(file, folder)).size;
  assert.ok(bytes < 200 * 1024, `${bytes} bytes`);
  for (const station of stations) {
    assert.ok(readme.includes(`\`${station.name}.csv\``));
    assert.ok(station.rows > 1_000);
    for (const series of station.series) assert.equal(series.values.length, station.rows);
  }
});

test("replay begins at its phase and loops", () => {
  const station = parseStation("s", "# from here\na:C,b:%\n1,10\n2,20\n3,30\n");
  const rows = replay(station, 0.67);
  assert.deepEqual(
    [1, 2, 3, 4].map(() => rows.next().value),
    [
      [3, 30],
      [1, 10],
      [2, 20],
      [3, 30],
    ],
  );
});

test("parseStation names the station and the line that is wrong", () => {
  assert.throws(() => parseStation("s", "a:C\n1\nx\n"), /station s, line 3/);
  assert.throws(() => parseStation("s", "a:C,b:C\n1\n"), /line 2: expected 2/);
  assert.throws(() => parseStation("s", "a:C\n"), /holds no values/);
  assert.throws(() => parseStation("s", "a b:C\n1\n"), /bad metric/);
});
