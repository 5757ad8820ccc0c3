// Filters of replays and where they begin; what a session is granted of them.
import assert from "node:assert/strict";
import test from "node:test";
import { isStream, parseStart, parseStream } from "../../../bridge/session/stream.ts";
import { Subscriptions } from "../../../bridge/session/subscriptions.ts";
import type { Subscribe, UserProperty } from "../../../bridge/wire/packet.ts";
import { limits } from "../../../hub/mod.ts";

test("a replay names a hub topic, and may narrow it by an MQTT filter", () => {
  assert.deepEqual(parseStream("$stream/sensors"), { topic: "sensors", filter: null });
  assert.deepEqual(parseStream("$stream/a.b_c-1/"), { topic: "a.b_c-1", filter: null });
  assert.deepEqual(parseStream("$stream/sensors/sensors/+/t"), { topic: "sensors", filter: "sensors/+/t" });
  for (const none of ["$stream/", "$stream/+", "$stream/#", "$stream//x", "$stream/__x/#", "$stream/ä"]) {
    assert.equal(parseStream(none), null, none);
  }
  assert.deepEqual(["$stream/x", "$streams/x", "a/$stream/x"].map(isStream), [true, false, false]);
});

test("it begins at an end, an offset, or a time in one of two forms", () => {
  assert.deepEqual(parseStart("earliest"), { kind: "earliest" });
  assert.deepEqual(parseStart("latest"), { kind: "latest" });
  assert.deepEqual(parseStart("0"), { kind: "offset", offset: 0 });
  assert.deepEqual(parseStart("99999999999"), { kind: "offset", offset: 99_999_999_999 });
  assert.deepEqual(parseStart("1700000000000"), { kind: "time", time: 1_700_000_000_000 });
  const time = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
  for (const text of ["2026-01-02T03:04:05.678Z", "2026-01-02 05:04:05.678+02:00", "2026-01-02t03:04:05.678z"]) {
    assert.deepEqual(parseStart(text), { kind: "time", time }, text);
  }
  for (const none of ["", "-1", "1e9", "now", "2026-01-02", "2026-13-02T03:04:05Z", "2026-01-02T03:04:05"]) {
    assert.equal(parseStart(none), null, none);
  }
});

const asked = (filters: readonly string[], start?: string): Subscribe => {
  const options = { qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
  const userProperties: UserProperty[] = start === undefined ? [] : [["stream-offset", start]];
  const subscriptions = filters.map((filter) => ({ filter, ...options }));
  return { kind: "subscribe", packetId: 1, subscriptions, properties: { userProperties } };
};

test("a session is granted some replays of MQTT 5, which begin anew when a place is named", () => {
  const subscriptions = new Subscriptions();
  const codes = (packet: Subscribe, version: 4 | 5 = 5): readonly number[] =>
    subscriptions.subscribe(packet, version, () => true, 7, 7).codes;
  const changes = (packet: Subscribe) => subscriptions.subscribe(packet, 5, () => true, 7, 7).changes;
  assert.deepEqual(codes(asked(["$stream/a"]), 4), [0x80], "3.1.1 has no place to say where");
  assert.deepEqual(codes(asked(["$stream/a", "b"], "yesterday")), [0x83, 1]);
  assert.deepEqual(codes(asked(["$stream/+/x"])), [0x8f]);
  const [first] = changes(asked(["$stream/a"]));
  assert.deepEqual([first!.stream, first!.isNew, first!.wantsRetained], [{ kind: "latest" }, true, false]);
  assert.deepEqual(changes(asked(["$stream/a"]))[0]!.stream, null, "it goes on");
  assert.deepEqual(changes(asked(["$stream/a"], "5"))[0]!.stream, { kind: "offset", offset: 5 });
  assert.equal(changes(asked(["b"], "5"))[0]!.stream, null, "no replay");
  const more = Array.from({ length: limits.mqttStreamsPerClientMax }, (_, at) => `$stream/t${at}`);
  assert.deepEqual(codes(asked(more)), [...more.slice(1).map(() => 1), 0x97]);
});
