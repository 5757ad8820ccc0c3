// Lag in seconds: the first unread record, once per committed offset, within bounds.
import assert from "node:assert/strict";
import test from "node:test";
import { LagClock } from "../../dashboards/lag_clock.ts";
import { StandIn } from "./stand_in.ts";

test("the age of the first unread record; groups at different places of one partition", async () => {
  const hub = new StandIn();
  hub.createTopic("t", 2);
  for (let n = 0; n < 100; n++) hub.append("t", n % 2, { key: "k", value: "1", timestamp: n * 1000 });
  const clock = new LagClock(hub.client());
  const places = [
    { topic: "t", partition: 0, offset: 10 },
    { topic: "t", partition: 0, offset: 30 },
    { topic: "t", partition: 1, offset: 10 },
  ];
  await clock.look(places);
  assert.deepEqual(
    places.map((place) => clock.seconds(place, 100_000)),
    [80, 40, 79],
  );
  assert.equal(clock.seconds({ topic: "t", partition: 0, offset: 11 }, 100_000), null);
  const opened = hub.opened.get("dashboard-lag");
  await clock.look(places);
  assert.equal(hub.opened.get("dashboard-lag"), opened, "nothing is read twice");
  await clock.look([]);
  assert.equal(clock.seconds(places[0]!, 100_000), null, "what nobody asks for is forgotten");
});

test("a topic that is gone costs nothing but the answer", async () => {
  const clock = new LagClock(new StandIn().client());
  const place = { topic: "gone", partition: 0, offset: 1 };
  await clock.look([place]);
  assert.equal(clock.seconds(place, 1), null);
});
