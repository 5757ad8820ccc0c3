// The route table: the examples of the design, first match, refusals, and that no input breaks it.
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import {
  CollisionWatch,
  filterProblem,
  RouteError,
  type Routed,
  TopicMap,
  topicProblem,
} from "../../bridge/topic_map.ts";

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));

function stored(routed: Routed): string {
  if (routed.kind !== "store") return `${routed.kind}: ${routed.reason}`;
  return `${routed.topic} ${routed.key} ${routed.acks}`;
}

test("TopicMap.route follows the default table", () => {
  const map = new TopicMap();
  assert.equal(stored(map.route("sensors/dev-7/temperature", "c")), "sensors dev-7 -1");
  assert.equal(stored(map.route("sensors/dev-7/a/b/c", "c")), "sensors dev-7 -1");
  assert.equal(stored(map.route("sensors/dev-7", "c")), "sensors dev-7 -1");
  assert.equal(stored(map.route("alarms", "client 1")), "alarms client 1 -1");
  assert.equal(stored(map.route("Wärme/ä b/x", "c")), "W_rme ä b -1");
  assert.equal(stored(map.route("/dev/x", "c")), "mqtt-only: no route matches");
  assert.equal(stored(map.route("sensors//x", "c")), "mqtt-only: no route matches");
  assert.match(stored(map.route("$SYS/broker/x", "c")), /^mqtt-only: .*never stored/);
  assert.match(stored(map.route("__consumer_offsets/d/x", "c")), /^refused: .*internal/);
  assert.match(stored(map.route("ää/d/x", "c")), /^refused: .*internal/);
  assert.match(stored(map.route("../d/x", "c")), /^refused/);
  assert.match(stored(map.route(`${"x".repeat(250)}/d`, "c")), /^refused: .*over 249/);
});

test("TopicMap.route takes the first match, and honours store, acks, + and templates", () => {
  const map = new TopicMap([
    { match: "home/+/light/#", store: false },
    { match: "home/{room}/{thing}", topic: "home-{thing}", key: "{room}/{client}", acks: "leader" },
    { match: "fast/#", topic: "fast", acks: "none" },
    { match: "+/+/#", topic: "rest", key: "{client}" },
  ]);
  assert.equal(stored(map.route("home/hall/light/1", "c")), "mqtt-only: the route says store = false");
  assert.equal(stored(map.route("home/hall/light", "c")), "mqtt-only: the route says store = false");
  assert.equal(stored(map.route("home/hall/door", "c9")), "home-door hall/c9 1");
  assert.equal(stored(map.route("fast", "c9")), "fast c9 0");
  assert.equal(stored(map.route("fast/x/y", "c9")), "fast c9 0");
  assert.equal(stored(map.route("//x", "c9")), "rest c9 -1");
  assert.equal(stored(map.route("one", "c9")), "mqtt-only: no route matches");
});

test("TopicMap refuses routes that cannot work, by number and reason", () => {
  const bad: [object, RegExp][] = [
    [{ match: "" }, /not empty/],
    [{ match: "a/#/b", topic: "t" }, /# must be the last level/],
    [{ match: "a/b#", topic: "t" }, /must fill the level alone/],
    [{ match: "a/x{b}", topic: "t" }, /must fill the level alone/],
    [{ match: "a/{}", topic: "t" }, /not a placeholder/],
    [{ match: "a/{b-c}", topic: "t" }, /not a placeholder/],
    [{ match: "{a}/{a}", topic: "t" }, /stands twice/],
    [{ match: "{client}", topic: "t" }, /client id, not a level/],
    [{ match: "$SYS/#", topic: "t" }, /never stored/],
    [{ match: "a" }, /topic is missing/],
    [{ match: "a", topic: "{b}" }, /names \{b\}, which match does not have/],
    [{ match: "a", topic: "t{" }, /has \{ without/],
    [{ match: "a", topic: "t}" }, /has \} without/],
    [{ match: "a", topic: "__x" }, /internal/],
    [{ match: "a", topic: "..", key: "k" }, /would be/],
    [{ match: "a", topic: "t", acks: "some" }, /acks = "some"/],
    [{ match: "a", topic: "t", acks: "constructor" }, /acks/],
    [{ match: "a", topic: "t", store: false }, /contradict/],
    [{ match: "x/".repeat(40), topic: "t" }, /levels/],
  ];
  for (const [config, why] of bad) {
    const routes = [{ match: "ok", topic: "ok" }, config as { match: string }];
    assert.throws(
      () => new TopicMap(routes),
      (error) => error instanceof RouteError && why.test(error.message) && error.message.startsWith("route 2"),
      JSON.stringify(config),
    );
  }
});

test("TopicMap.route ends in a legal hub topic or says why not, for any topic and client id", () => {
  const map = new TopicMap([
    { match: "{a}/{b}/#", topic: "{a}.{b}", key: "{b}" },
    { match: "{a}", topic: "{a}{client}" },
  ]);
  const levels = fc.array(fc.string({ unit: "grapheme", maxLength: 8 }), { maxLength: 40 });
  fc.assert(
    fc.property(levels, fc.string({ unit: "grapheme" }), (parts, clientId) => {
      const topic = parts.join("/");
      const routed = map.route(topic, clientId);
      assert.deepEqual(routed, map.route(topic, clientId));
      if (routed.kind !== "store") return assert.ok(routed.reason.length > 0);
      assert.match(routed.topic, /^[A-Za-z0-9._-]{1,249}$/);
      assert.ok(!routed.topic.startsWith("__") && routed.topic !== "." && routed.topic !== "..");
      assert.equal(topicProblem(topic), null);
    }),
    { seed },
  );
});

test("CollisionWatch reports names that fall together and nothing else", () => {
  const map = new TopicMap();
  const watch = new CollisionWatch();
  const note = (topic: string): string | null => {
    const routed = map.route(topic, "c");
    assert.equal(routed.kind, "store");
    return routed.kind === "store" ? watch.note(routed) : null;
  };
  assert.equal(note("a b/d"), null);
  assert.equal(note("a b/d2"), null);
  assert.equal(note("a_b/d"), "a b");
  assert.equal(note("ab/d"), null);
});

test("topicProblem and filterProblem know what MQTT allows", () => {
  for (const topic of ["a", "/", "a//b", "a b", "ä", "$x"]) assert.equal(topicProblem(topic), null, topic);
  for (const topic of ["", "a/#", "+", "a+b", "a\0", "\ufffd", "x".repeat(1_025), "/".repeat(32)]) {
    assert.notEqual(topicProblem(topic), null, topic);
  }
  for (const filter of ["#", "+", "a/+/b", "a/#", "/+", "$SYS/#", "a"])
    assert.equal(filterProblem(filter), null, filter);
  for (const filter of ["", "a#", "#/a", "a+", "+a/b", "a/##", "$share/g/a", "$queue/a", "a\0", "/".repeat(32)]) {
    assert.notEqual(filterProblem(filter), null, filter);
  }
});
