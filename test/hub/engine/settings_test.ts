// Settings that clients change: whose word is in force, what is refused, what outlives a restart.
import assert from "node:assert/strict";
import test from "node:test";
import { type Scope, Settings } from "../../../hub/engine/settings.ts";
import { type ErrorName, HubError } from "../../../hub/errors.ts";
import { limits } from "../../../hub/limits.ts";
import { MemoryFacts } from "../../tools/facts.ts";

const hub = { kind: "hub" } as const;
const allHubs = { kind: "all hubs" } as const;
const refused = (name: ErrorName) => (error: unknown) => error instanceof HubError && error.kind === name;
const open = (facts = new MemoryFacts(), file: Record<string, string> = {}, id = 1): Settings =>
  new Settings(facts, new Map(Object.entries(file)), id);

const set = (settings: Settings, scope: Scope, values: ReadonlyMap<string, string>, validateOnly: boolean) =>
  settings.configure(scope, () => values, validateOnly);

test("this hub's word, else that of all hubs, else the file's; the map is always the same one", async () => {
  const settings = open(new MemoryFacts(), { "retention.ms": "1" });
  const { inForce } = settings;
  await set(settings, allHubs, new Map([["log.retention.ms", "2"]]), false);
  assert.equal(inForce.get("retention.ms"), "2");
  await set(settings, hub, new Map([["log.retention.ms", "3"]]), false);
  assert.equal(inForce.get("retention.ms"), "3");
  await set(settings, hub, new Map(), false);
  await set(settings, allHubs, new Map(), true);
  assert.equal(inForce.get("retention.ms"), "2");
  await set(settings, allHubs, new Map(), false);
  assert.equal(inForce.get("retention.ms"), "1");
});

test("what was set is there after a restart; another hub's own settings are not this one's", async () => {
  const facts = new MemoryFacts();
  await set(open(facts), hub, new Map([["num.partitions", "9"]]), false);
  await set(open(facts), { kind: "group", group: "g" }, new Map([["consumer.session.timeout.ms", "50000"]]), false);
  const again = open(facts.copy());
  assert.equal(again.inForce.get("num.partitions"), "9");
  assert.deepEqual(again.groups(), ["g"]);
  assert.equal(again.ofGroup("g", "consumer.session.timeout.ms"), "50000");
  assert.equal(again.ofGroup("g", "consumer.heartbeat.interval.ms"), "5000");
  assert.equal(open(facts.copy(), {}, 2).inForce.get("num.partitions"), undefined);
});

test("who listens is told after each change of the hub, and not of groups or trials", async () => {
  const settings = open();
  let told = 0;
  settings.onChange(async () => void told++);
  await set(settings, hub, new Map([["num.partitions", "9"]]), true);
  await set(settings, { kind: "group", group: "g" }, new Map(), false);
  assert.equal(told, 0);
  await set(settings, hub, new Map([["num.partitions", "9"]]), false);
  assert.equal(told, 1);
});

test("refused as a whole, and nothing changed", async () => {
  const facts = new MemoryFacts();
  const settings = open(facts);
  const refuse = (values: Record<string, string>, name: ErrorName) =>
    assert.rejects(set(settings, hub, new Map(Object.entries(values)), false), refused(name));
  await refuse({ "num.partitions": "3", "no.such": "1" }, "INVALID_CONFIG");
  await refuse({ "num.partitions": "3", "node.id": "1" }, "INVALID_CONFIG");
  facts.full = true;
  await refuse({ "num.partitions": "3" }, "KAFKA_STORAGE_ERROR");
  assert.equal(settings.inForce.size, 0);
});

test("a name that an older program stored is no hindrance, and can be removed", async () => {
  const facts = new MemoryFacts();
  await facts.put([["settings/hub/1", new TextEncoder().encode('{"old.name":"1","num.partitions":"3"}')]]);
  const settings = open(facts);
  assert.deepEqual([...settings.inForce], [["num.partitions", "3"]]);
  await set(settings, hub, new Map([...settings.own(hub), ["num.partitions", "5"]]), false);
  assert.equal(settings.own(hub).get("old.name"), "1");
  await set(settings, hub, new Map([["num.partitions", "5"]]), false);
  assert.deepEqual([...open(facts.copy()).own(hub)], [["num.partitions", "5"]]);
});

test("a group's session outlasts its heartbeat, whoever set which", async () => {
  const settings = open(new MemoryFacts(), { "group.consumer.session.timeout.ms": "6000" });
  const group = { kind: "group", group: "g" } as const;
  const beat = new Map([["consumer.heartbeat.interval.ms", "7000"]]);
  await assert.rejects(set(settings, group, beat, false), refused("INVALID_CONFIG"));
});

test("groups with settings of their own have a bound", async () => {
  const settings = open();
  const values = new Map([["consumer.session.timeout.ms", "50000"]]);
  for (let i = 0; i < limits.settingsScopesMax; i++) {
    await set(settings, { kind: "group", group: `g${i}` }, values, false);
  }
  await assert.rejects(set(settings, { kind: "group", group: "more" }, values, false), refused("POLICY_VIOLATION"));
  await set(settings, { kind: "group", group: "g0" }, new Map(), false);
  await set(settings, { kind: "group", group: "more" }, values, false);
});

test("changes of one scope take turns, so that one that fails takes nothing of another with it", async () => {
  const facts = new MemoryFacts();
  const put = facts.put.bind(facts);
  let refusals = 1;
  facts.put = async (rows) => {
    if (refusals-- > 0) throw new HubError("KAFKA_STORAGE_ERROR", "the disk is full");
    await put(rows);
  };
  const settings = open(facts);
  const add = (name: string) => settings.configure(hub, (own) => new Map([...own, [name, "7"]]), false);
  const failing = assert.rejects(add("log.retention.ms"), refused("KAFKA_STORAGE_ERROR"));
  await Promise.all([failing, add("num.partitions")]);
  assert.deepEqual([...settings.own(hub)], [["num.partitions", "7"]]);
  assert.deepEqual([...open(facts.copy()).own(hub)], [["num.partitions", "7"]], "memory and store agree");
});
