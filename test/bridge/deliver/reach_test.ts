// Where a filter reaches: never less than the routes and downlinks can lead to, and not everything.
import assert from "node:assert/strict";
import test from "node:test";
import { type Downlink, downlinkOf, downlinkTopic } from "../../../bridge/deliver/downlink.ts";
import { type Reach, reachesTopic, reachOf } from "../../../bridge/deliver/reach.ts";
import { filterMatches } from "../../../bridge/match/filter.ts";
import { type RouteConfig, TopicMap } from "../../../bridge/topic_map.ts";
import { Dice, seedsOf } from "../wire/random.ts";

const words = ["a", "b", "ä", "x.y", "__", "$", ""];

function randomRoute(dice: Dice): RouteConfig {
  const names: string[] = [];
  const levels = Array.from({ length: 1 + dice.below(4) }, (_, at) => {
    const kind = dice.below(4);
    if (kind === 0) return "+";
    if (kind === 1) return dice.pick(["a", "b", "ä"]);
    names.push(`n${at}`);
    return `{n${at}}`;
  });
  if (dice.chance(0.4)) levels.push("#");
  const part = (): string => dice.pick(["a", "-", "t ä", ...names.map((name) => `{${name}}`), "{client}"]);
  const template = (): string => Array.from({ length: 1 + dice.below(3) }, part).join("");
  const match = levels.join("/");
  return dice.chance(0.1) ? { match, store: false } : { match, topic: template(), key: template() };
}

function randomFilter(dice: Dice): string {
  const levels = Array.from({ length: 1 + dice.below(4) }, () => (dice.chance(0.4) ? "+" : dice.pick(words)));
  if (dice.chance(0.4)) levels.push("#");
  return levels.join("/");
}

function randomTopic(dice: Dice): string {
  return Array.from({ length: 1 + dice.below(5) }, () => dice.pick(words)).join("/");
}

const isWithin = (reach: readonly Reach[], topic: string, key: string): boolean =>
  reach.some((one) => reachesTopic(one, topic) && (one.key === null || one.key === key));

for (const seed of seedsOf(3)) {
  test(`what a filter matches is within its reach (MQTT_SEED=${seed})`, () => {
    const dice = new Dice(seed);
    let hits = 0;
    let misses = 0;
    for (let round = 0; round < 1_500; round++) {
      const routes = Array.from({ length: 1 + dice.below(3) }, () => randomRoute(dice));
      const map = new TopicMap(routes.filter(({ match }) => !match.startsWith("$")));
      for (let each = 0; each < 60; each++) {
        const [filter, topic, client] = [randomFilter(dice), randomTopic(dice), dice.pick(["c", "é", "__c"])];
        const routed = map.route(topic, client);
        if (routed.kind !== "store") continue;
        const reach = reachOf(filter, map.routes, []);
        if (filterMatches(filter, topic)) {
          hits++;
          const said = JSON.stringify({ routes, filter, topic, client, routed, reach });
          assert.ok(isWithin(reach, routed.topic, routed.key), said);
        } else if (!isWithin(reach, routed.topic, routed.key)) misses++;
      }
    }
    assert.ok(hits > 500 && misses > 200, `${hits} hits, ${misses} misses`);
  });

  test(`so is what downlinks publish (MQTT_SEED=${seed})`, () => {
    const dice = new Dice(seed);
    const keys = ["a", "b", "a/b", "b/ä/", "", "a+b", "#", "$"];
    let hits = 0;
    for (let round = 0; round < 20_000; round++) {
      const text = Array.from({ length: 1 + dice.below(4) }, () => dice.pick([...words, "{key}", "x{key}", "{key}y"]));
      const downlink: Downlink = { topic: "commands", parts: text.join("/").split("{key}"), qos: 1 };
      const [filter, key] = [randomFilter(dice), dice.pick(keys)];
      const topic = downlinkTopic(downlink, key);
      if (topic === null || !filterMatches(filter, topic)) continue;
      hits++;
      assert.ok(isWithin(reachOf(filter, [], [downlink]), "commands", key), JSON.stringify({ text, filter, key }));
    }
    assert.ok(hits > 500, `${hits} hits`);
  });
}

const defaults = new TopicMap().routes;
const commands: Downlink = downlinkOf({ topic: "commands", publish: "devices/{key}/commands" });

test("a filter that names the device reads one key, one that does not all of them", () => {
  const reach = (filter: string) => reachOf(filter, defaults, [commands]);
  const all = { topic: "sensors", isPrefix: false, key: null };
  assert.deepEqual(reach("sensors/dev-7/temperature"), [{ ...all, key: "dev-7" }]);
  assert.deepEqual(reach("sensors/dev-7/#"), [{ ...all, key: "dev-7" }]);
  assert.deepEqual(reach("sensors/+/temperature"), [all]);
  assert.deepEqual(reach("sensors/#"), [all]);
  assert.deepEqual(reach("alarms"), [{ topic: "alarms", isPrefix: false, key: null }], "keyed by client id");
  assert.deepEqual(reach("Wärme/x/y"), [{ topic: "W_rme", isPrefix: false, key: "x" }]);
  assert.deepEqual(reach("#"), [{ topic: "", isPrefix: true, key: null }]);
  assert.deepEqual(reach("+/dev-7/cmd"), [{ topic: "", isPrefix: true, key: "dev-7" }]);
  assert.deepEqual(reach("devices/7/commands"), [
    { topic: "devices", isPrefix: false, key: "7" },
    { topic: "commands", isPrefix: false, key: null },
  ]);
  assert.deepEqual(reach("devices/7/state"), [{ topic: "devices", isPrefix: false, key: "7" }]);
  assert.deepEqual(reach("$SYS/broker/uptime"), []);
  assert.deepEqual(reach("__x/y/z"), [], "internal topics are never read");
  assert.deepEqual(reach("/x/y"), [], "no route takes an empty level");
});

test("a name that is known in part narrows it", () => {
  const { routes } = new TopicMap([{ match: "{site}/{line}/#", topic: "plant-{site}-{line}", key: "{line}" }]);
  assert.deepEqual(reachOf("north/#", routes, []), [{ topic: "plant-north-", isPrefix: true, key: null }]);
  assert.deepEqual(reachOf("+/7/x", routes, []), [{ topic: "plant-", isPrefix: true, key: "7" }]);
});
