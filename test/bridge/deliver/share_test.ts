// The group of a shared subscription, and what is told beside its offsets.
import assert from "node:assert/strict";
import test from "node:test";
import { downlinkOf } from "../../../bridge/deliver/downlink.ts";
import { reachesTopic, reachOf } from "../../../bridge/deliver/reach.ts";
import { decodeTaken, encodeTaken, groupIdOf, holdsWholeTopics } from "../../../bridge/deliver/share.ts";
import { filterMatches } from "../../../bridge/match/filter.ts";
import { type RouteConfig, TopicMap } from "../../../bridge/topic_map.ts";
import { limits } from "../../../hub/mod.ts";
import { Dice, seedsOf } from "../wire/random.ts";

const { routes } = new TopicMap();
const commands = downlinkOf({ topic: "commands", publish: "devices/{key}/commands" });

test("whole hub topics make a group that Kafka clients can join; parts of them a group of their own", () => {
  const id = (filter: string): string => groupIdOf({ group: "g", filter }, routes, [commands]);
  assert.equal(id("sensors/#"), "g");
  assert.equal(id("sensors/+/#"), "g:sensors/+/#");
  assert.equal(id("sensors/dev-7/#"), "g:sensors/dev-7/#");
  assert.equal(id("sensors/+/temperature"), "g:sensors/+/temperature");
  assert.equal(id("#"), "g:#");
  assert.equal(id("a_b/#"), "g:a_b/#", "what became _ is not known");
  assert.equal(id("alarms"), "g:alarms", "alarms/x/y are in the same hub topic");
  assert.equal(id("commands/#"), "g:commands/#", "what the downlink publishes is not matched");
  assert.equal(id("devices/#"), "g:devices/#", "what devices publish under commands/ is in the downlink's topic, too");
  assert.equal(id("$SYS/#"), "g:$SYS/#");
});

for (const seed of seedsOf(2)) {
  test(`a whole topic holds nothing that the filter does not match (MQTT_SEED=${seed})`, () => {
    const dice = new Dice(seed);
    const words = ["a", "b", "x", "b_"];
    let whole = 0;
    for (let round = 0; round < 3_000; round++) {
      const configs: RouteConfig[] = Array.from({ length: 1 + dice.below(2) }, () => {
        const levels = Array.from({ length: 1 + dice.below(3) }, (_, at) => dice.pick(["a", "b", `{n${at}}`, "+"]));
        const names = levels.filter((level) => level.startsWith("{"));
        const topic = dice.pick(["a", "b", "x-", ...names, ...names.map((name) => `x-${name}`)]);
        return { match: [...levels, ...(dice.chance(0.5) ? ["#"] : [])].join("/"), topic, key: "{client}" };
      });
      const map = new TopicMap(configs);
      const filter = `${Array.from({ length: 1 + dice.below(2) }, () => dice.pick(words)).join("/")}/#`;
      if (!holdsWholeTopics(filter, map.routes, [])) continue;
      whole++;
      const reach = reachOf(filter, map.routes, []);
      for (let each = 0; each < 40; each++) {
        const topic = Array.from({ length: 1 + dice.below(4) }, () => dice.pick(words)).join("/");
        const routed = map.route(topic, "c");
        if (routed.kind !== "store" || !reach.some((one) => reachesTopic(one, routed.topic))) continue;
        assert.ok(filterMatches(filter, topic), JSON.stringify({ configs, filter, topic, routed }));
      }
    }
    assert.ok(whole > 50, `${whole} whole`);
  });
}

test("offsets that are taken go along, as many as fit, and nothing else is taken for them", () => {
  assert.deepEqual(decodeTaken(100, encodeTaken(100, [100, 103, 5_000])), [100, 103, 5_000]);
  assert.equal(encodeTaken(5, []), "");
  const many = Array.from({ length: 5_000 }, (_, at) => 1e12 + at * 7);
  const text = encodeTaken(1e12, many);
  assert.ok(text.length <= limits.offsetMetadataBytesMax);
  const back = decodeTaken(1e12, text);
  assert.deepEqual(back, many.slice(0, back.length));
  assert.ok(back.length > 900);
  for (const other of ["", "1,2", "mqtt-taken:", "mqtt-taken:?,-5,zz%"]) {
    assert.ok(
      decodeTaken(10, other).every((offset) => offset >= 10),
      other,
    );
  }
});
