// Where MQTT clients may go instead: hubs that live, stay and have room; how an address is written.
import assert from "node:assert/strict";
import test from "node:test";
import { loadConfig } from "../../../hub/config.ts";
import type { HubView } from "../../../hub/engine/cluster_view.ts";
import { elsewhere, referenceOf } from "../../../hub/engine/elsewhere.ts";
import { mqttReferenceOf } from "../../../hub/hub_parts.ts";

const hub = (hubId: number, changes: Partial<HubView> = {}): HubView => {
  const rest = { dirId: "d", host: "h", port: 9092, rack: null, alive: true, draining: false };
  return { hubId, ...rest, mqtt: `h${hubId}:1883`, ...changes };
};

test("hubs that live, stay and have room, and not this one", () => {
  const hubs = [hub(1), hub(2), hub(3, { alive: false }), hub(4, { draining: true }), hub(5, { mqtt: null }), hub(6)];
  const view = { hubId: 1, hubs: () => hubs };
  assert.deepEqual(
    elsewhere(view, (id) => id === 6),
    { references: ["h2:1883"], isForGood: false },
  );
  assert.equal(
    elsewhere({ hubId: 2, hubs: () => [hub(2)] }, () => false),
    null,
  );
});

test("a hub that is being taken out of its cluster, or was, is left for good", () => {
  const hubs = [hub(1), hub(2)];
  assert.equal(elsewhere({ hubId: 1, hubs: () => hubs }, (id) => id === 1)?.isForGood, true);
  assert.equal(elsewhere({ hubId: 3, hubs: () => hubs }, () => false)?.isForGood, true);
  assert.equal(elsewhere({ hubId: 1, hubs: () => hubs }, () => false)?.isForGood, false);
});

test("clients are told mqtt.advertised, else the host that the hub goes by", () => {
  const told = (mqtt: object, kafka: object = {}, listen = ["10.0.0.7"]): string | null =>
    mqttReferenceOf(loadConfig({ file: { mqtt, kafka, hub: { listen } } }), 1884);
  assert.equal(told({}), "10.0.0.7:1884");
  assert.equal(told({}, { advertised: "pi.local:19092" }), "pi.local:1884");
  assert.equal(told({ advertised: "mqtt.local" }, { advertised: "pi.local:19092" }), "mqtt.local:1884");
  assert.equal(told({ advertised: "mqtt.local:8883" }), "mqtt.local:8883");
  assert.equal(told({}, {}, ["localhost"]), "127.0.0.1:1884");
  assert.equal(told({}, {}, ["0.0.0.0"]), null);
});

test("an address is name:port, of IPv6 in brackets; every address of a machine is none", () => {
  assert.equal(referenceOf({ host: "pi.local", port: 1883 }), "pi.local:1883");
  assert.equal(referenceOf({ host: "fe80::1", port: 1 }), "[fe80::1]:1");
  for (const host of ["0.0.0.0", "::"]) assert.equal(referenceOf({ host, port: 1883 }), null);
});
