// Takeovers and inheritance step by step, on a simulated log.
import assert from "node:assert/strict";
import test from "node:test";
import type { KnownSession } from "../../../bridge/keep/faces.ts";
import { SharedSessionKeeper } from "../../../bridge/keep/shared_keeper.ts";
import type { StoredSession } from "../../../bridge/session/record.ts";
import { limits, silentTrace } from "../../../hub/mod.ts";
import { seeded, SimClock } from "../../sim/clock.ts";
import { SimHub, SimLog } from "./sim_log.ts";
import { record, session, will } from "./stage.ts";

interface Hub {
  readonly life: SimHub;
  readonly keeper: SharedSessionKeeper;
  readonly taken: string[];
  readonly inherited: KnownSession[];
  /** What `onTaken` gives. */
  last: StoredSession | null;
  readonly known: Set<string>;
}

function setUp(count: number): { clock: SimClock; log: SimLog; hubs: Hub[]; start: (hubId: number) => Hub } {
  const clock = new SimClock();
  const log = new SimLog(clock, seeded(7));
  const start = (hubId: number): Hub => {
    const life = new SimHub(hubId);
    log.alive.add(hubId);
    const hub: Omit<Hub, "keeper"> = { life, taken: [], inherited: [], last: null, known: new Set() };
    const keeper = new SharedSessionKeeper(
      { hub: log.hub(life), client: log.client(life), clock, trace: silentTrace },
      {
        onTaken: (clientId) => {
          hub.taken.push(clientId);
          return hub.last;
        },
        isKnown: (clientId) => hub.known.has(clientId),
        onInherited: (sessions) => void hub.inherited.push(...sessions),
      },
    );
    return Object.assign(hub, { keeper });
  };
  return { clock, log, start, hubs: Array.from({ length: count }, (_, at) => start(at + 1)) };
}

async function opened(count: number): Promise<ReturnType<typeof setUp>> {
  const world = setUp(count);
  for (const { keeper } of world.hubs) assert.deepEqual(await world.clock.settle(keeper.open()), []);
  return world;
}

test("a takeover has the last state of the hub before, its QoS 2 ids and its will; that hub is fenced", async () => {
  const { clock, log, hubs } = await opened(2);
  log.slowShare = 0; // nor do its appends
  const [first, second] = hubs as [Hub, Hub];
  const begun = await clock.settle(first.keeper.claim("c"));
  assert.equal(begun.past, null);
  await clock.settle(first.keeper.store("c", session(1)));
  first.keeper.keepWill("c", will("w"));
  const storing = Promise.allSettled([1, 2].map((id) => first.keeper.storeOnce("c", id, "t", record(`${id}`))));
  first.last = session(2);
  first.known.add("c");
  const began = clock.now();
  const { past, epoch } = await clock.settle(second.keeper.claim("c"));
  assert.ok(clock.now() - began < limits.mqttFarewellMsMax, "the hub before answered");
  assert.deepEqual(past, { session: session(2), inboundIds: [1, 2], will: will("w") });
  assert.ok(epoch > begun.epoch);
  assert.deepEqual(first.taken, ["c"]);
  await clock.settle(storing);
  assert.deepEqual(log.messages(), ["1", "2"]);
  await assert.rejects(clock.settle(first.keeper.store("c", session(9))), { kind: "PRODUCER_FENCED" });
  await assert.rejects(clock.settle(first.keeper.storeOnce("c", 3, "t", record("3"))), { kind: "PRODUCER_FENCED" });
  assert.deepEqual(log.messages(), ["1", "2"], "and nothing is stored by a hub that lost the client");
  const again = await clock.settle(second.keeper.claim("c"));
  assert.equal(again.epoch, epoch, "who has it already has it at once");
  assert.deepEqual(second.taken, []);
});

test("a claim waits a bounded time for a hub that says nothing, and not for a dead one", async () => {
  for (const isKnownDead of [false, true]) {
    const { clock, log, hubs } = await opened(2);
    const [first, second] = hubs as [Hub, Hub];
    await clock.settle(first.keeper.claim("c"));
    await clock.settle(first.keeper.store("c", session(1)));
    log.kill(first.life);
    if (isKnownDead) log.alive.delete(1);
    log.leaders = log.leaders.map(() => 1); // nobody inherits it meanwhile
    await clock.advance(2 * limits.mqttLookMs);
    const began = clock.now();
    const { past } = await clock.settle(second.keeper.claim("c"));
    assert.deepEqual(past?.session, session(1));
    const tookMs = clock.now() - began;
    if (isKnownDead) assert.ok(tookMs < limits.mqttFarewellMsMax, `${tookMs} ms`);
    else assert.ok(tookMs >= limits.mqttFarewellMsMax && tookMs < 2 * limits.mqttFarewellMsMax + 1_000, `${tookMs} ms`);
  }
});

test("what a hub that was cut off writes late counts never again: not after an end, nor after a release", async () => {
  for (const dies of [false, true]) {
    const { clock, log, hubs, start } = await opened(3);
    const [first, second, third] = hubs as [Hub, Hub, Hub];
    await clock.settle(first.keeper.claim("c"));
    await clock.settle(first.keeper.store("c", session(1)));
    await clock.settle(first.keeper.storeOnce("c", 1, "t", record("1")));
    const heal = first.life.cutOff();
    const late = Promise.allSettled([
      first.keeper.store("c", session(2)),
      first.keeper.storeOnce("c", 2, "t", record("2")),
    ]);
    first.keeper.keepWill("c", will("w"));
    const found = await clock.settle(second.keeper.claim("c"));
    assert.deepEqual(found.past, { session: session(1), inboundIds: [1], will: null });
    let owner = second;
    if (dies) {
      // before it wrote anything but its claim
      log.kill(second.life, false);
      owner = start(2);
      await clock.settle(owner.keeper.open());
      await clock.advance(10_000);
      assert.deepEqual(owner.inherited, [{ clientId: "c", past: found.past }]);
    }
    await clock.settle(owner.keeper.release("c", 1));
    await clock.settle(owner.keeper.end("c"));
    log.kill(owner.life);
    log.alive.delete(2);
    log.leaders = log.leaders.map(() => 1);
    heal();
    await clock.settle(late);
    await clock.advance(1_000);
    const next = await clock.settle(third.keeper.claim("c"));
    assert.equal(next.past, null, `dies: ${dies}`);
  }
});

test("clients of a dead hub go to the leader of their partition, which lets go of those that come elsewhere", async () => {
  const { clock, log, hubs, start } = await opened(3);
  const [first, second, third] = hubs as [Hub, Hub, Hub];
  const clients = ["a", "b", "c", "d", "e", "f"];
  for (const client of clients) {
    await clock.settle(first.keeper.claim(client));
    await clock.settle(first.keeper.store(client, session(1)));
  }
  first.keeper.keepWill("a", will("w"));
  await clock.settle(first.keeper.claim("connected")); // keeps nothing
  await clock.advance(1_000);
  log.leaders = [2, 3, 2, 3];
  log.kill(first.life);
  log.alive.delete(1);
  await clock.advance(10_000);
  const found = [...second.inherited, ...third.inherited];
  assert.deepEqual(found.map(({ clientId }) => clientId).toSorted(), clients);
  assert.ok(second.inherited.length > 0 && third.inherited.length > 0);
  assert.deepEqual(found.find(({ clientId }) => clientId === "a")?.past.will, will("w"));
  const { clientId } = second.inherited[0]!;
  const { past } = await clock.settle(third.keeper.claim(clientId));
  assert.deepEqual(past?.session, session(1));
  assert.deepEqual(second.taken, [clientId]);
  const back = start(1);
  assert.deepEqual(await clock.settle(back.keeper.open()), [], "what others look after is not its own any more");
});

test("a hub that starts anew looks after its clients as before, and what it wrote last counts no more", async () => {
  const { clock, log, hubs, start } = await opened(2);
  const [first, second] = hubs as [Hub, Hub];
  const { epoch } = await clock.settle(first.keeper.claim("c"));
  await clock.settle(first.keeper.store("c", session(1)));
  const past = { session: session(1), inboundIds: [], will: null };
  const heal = first.life.cutOff();
  first.keeper.keepWill("c", will("w")); // it is on its way, and comes when the hub is there again
  log.kill(first.life);
  for (const entries of first.life.sending.values()) for (const entry of entries) entry.lands = true;
  const again = start(1);
  assert.deepEqual(await clock.settle(again.keeper.open()), []);
  await clock.advance(10_000);
  assert.deepEqual(again.inherited, [{ clientId: "c", past }]);
  const claimed = await clock.settle(again.keeper.claim("c"));
  assert.ok(claimed.epoch > epoch);
  heal();
  await clock.advance(5_000);
  log.kill(again.life);
  log.alive.delete(1);
  assert.deepEqual((await clock.settle(second.keeper.claim("c"))).past, past);
});

test("a claim goes a while after its session, unless its client is there", async () => {
  const { clock, log, hubs } = await opened(1);
  const [hub] = hubs as [Hub];
  for (const client of ["gone", "there"]) {
    await clock.settle(hub.keeper.claim(client));
    await clock.settle(hub.keeper.store(client, session(1)));
    await clock.settle(hub.keeper.end(client));
  }
  hub.known.add("there");
  const keysOf = (client: string): number => {
    log.compact();
    const values = log.partitions.flat().filter(({ key }) => new TextDecoder().decode(key).includes(client));
    return new Set(
      values
        .filter(
          ({ value }, at) =>
            value !== null && !values.slice(at + 1).some((later) => String(later.key) === String(values[at]!.key)),
        )
        .map(({ key }) => String(key)),
    ).size;
  };
  await clock.advance(limits.mqttClaimKeptMs - 5_000);
  assert.equal(keysOf("gone"), 1);
  await clock.advance(20_000);
  assert.equal(keysOf("gone"), 0);
  assert.equal(keysOf("there"), 1);
  assert.equal((await clock.settle(hub.keeper.claim("gone"))).past, null);
});

test("a hub that starts before the others serves; clients wait for a leader, and what it keeps comes then", async () => {
  const { clock, log, hubs, start } = await opened(1);
  const [hub] = hubs as [Hub];
  await clock.settle(hub.keeper.claim("c"));
  await clock.settle(hub.keeper.store("c", session(1)));
  log.kill(hub.life);
  log.isAway = true;
  const again = start(1);
  const began = clock.now();
  assert.deepEqual(await clock.settle(again.keeper.open()), []);
  assert.ok(clock.now() - began <= limits.mqttKeptWaitMsMax + 1);
  let claimed = false;
  const claiming = again.keeper.claim("c").then((found) => {
    claimed = true;
    return found;
  });
  await clock.advance(300_000);
  assert.ok(!claimed);
  log.isAway = false;
  assert.deepEqual((await clock.settle(claiming)).past?.session, session(1));
  assert.deepEqual(again.inherited, [], "who claims it has it");
});

test("what waits to be read back is told when the keeper closes", async () => {
  const { clock, hubs } = await opened(1);
  const [hub] = hubs as [Hub];
  await clock.settle(hub.keeper.claim("c"));
  const storing = hub.keeper.store("c", session(1));
  await clock.settle(hub.keeper.close());
  await assert.rejects(clock.settle(storing), { kind: "NETWORK_EXCEPTION" });
});
