// Routes: where leaders and coordinators are, kept through hubs that come, go and move.
import assert from "node:assert/strict";
import test from "node:test";
import type { Connection } from "../../../hub/client/connection.ts";
import { retrying, retryPause, Routes } from "../../../hub/client/routes.ts";
import type { Address } from "../../../hub/client/routes.ts";
import { codeOf, HubError } from "../../../hub/errors.ts";
import type { ErrorName } from "../../../hub/errors.ts";
import { openClock } from "../../../hub/io/clock.ts";
import type { Clock } from "../../../hub/io/ports.ts";
import { limits } from "../../../hub/limits.ts";
import { apis } from "../../../hub/wire/apis.ts";
import { fill } from "../../../hub/wire/codec.ts";

const real = openClock();
const kind =
  (expected: ErrorName) =>
  (error: unknown): boolean =>
    error instanceof HubError && error.kind === expected;

/** Hubs h1 and h2 behind a name each; what they answer is data. */
function world() {
  const state = {
    now: 0,
    down: new Set<string>(),
    dialled: [] as string[],
    asked: [] as string[],
    leaders: new Map<string, number[]>([["t", [1, 2]]]),
    coordinator: 2,
    coordinatorError: "NONE" as ErrorName,
  };
  const clock: Clock = { ...real, now: () => state.now, after: (_ms, call) => real.after(0, call), soon: real.soon };
  const brokers = [1, 2].map((nodeId) => ({ nodeId, host: `h${nodeId}`, port: 9092 }));
  const answer = (api: string, request: { topics?: readonly { name: string }[] }): unknown => {
    state.asked.push(api);
    if (api === "findCoordinator") {
      const errorCode = codeOf(state.coordinatorError);
      const coordinator = { key: "g", errorCode, errorMessage: null, ...brokers[state.coordinator - 1]! };
      return fill(apis.findCoordinator.response, { coordinators: [coordinator] });
    }
    const wanted = request.topics?.map(({ name }) => name) ?? [...state.leaders.keys()];
    const topics = wanted.map((name) => ({
      errorCode: state.leaders.has(name) ? 0 : codeOf("UNKNOWN_TOPIC_OR_PARTITION"),
      name,
      partitions: (state.leaders.get(name) ?? []).map((leaderId, partitionIndex) => {
        return { errorCode: 0, partitionIndex, leaderId, replicaNodes: [1, 2], isrNodes: [1, 2] };
      }),
    }));
    return fill(apis.metadata.response, { brokers, clusterId: "c", controllerId: 2, topics });
  };
  const open = async ({ host }: Address): Promise<Connection> => {
    state.dialled.push(host);
    if (state.down.has(host)) throw new HubError("NETWORK_EXCEPTION", `${host} is down`);
    return {
      get open() {
        return !state.down.has(host);
      },
      direct: false,
      version: (api) => apis[api].max,
      call: async (api, request) => answer(api, request as never) as never,
      tell() {},
      buffered: () => 0,
      close() {},
      host,
    } as Connection & { host: string };
  };
  const routes = new Routes({
    clock,
    bootstrap: [
      { host: "h1", port: 9092 },
      { host: "h2", port: 9092 },
    ],
    open,
  });
  return { state, routes, clock };
}

const hostOf = (connection: Connection | undefined): string | undefined =>
  (connection as { host?: string } | undefined)?.host;

test("leaders are found once asked for, and their connections are shared", async () => {
  const { state, routes } = world();
  assert.equal(routes.leaderNow("t", 0), undefined);
  await assert.rejects(routes.leader("t", 0), kind("UNKNOWN_TOPIC_OR_PARTITION"));
  await routes.refresh(["t"]);
  assert.equal(hostOf(await routes.leader("t", 1)), "h2");
  assert.equal(hostOf(routes.leaderNow("t", 1)), "h2");
  await Promise.all([routes.leader("t", 1), routes.leader("t", 1)]);
  assert.deepEqual(state.dialled, ["h1", "h2"]);
  assert.equal(hostOf(await routes.leader("t", 1, "fetch")), "h2");
  assert.deepEqual(state.dialled, ["h1", "h2", "h2"]);
});

test("a hub that is down is passed over; its connection is made anew when it is back", async () => {
  const { state, routes } = world();
  state.down.add("h1");
  await routes.refresh(["t"]);
  await assert.rejects(routes.leader("t", 0), kind("NETWORK_EXCEPTION"));
  assert.equal(hostOf(await routes.any()), "h2");
  state.down.clear();
  assert.equal(hostOf(await routes.leader("t", 0)), "h1");
  state.down.add("h1");
  assert.equal(routes.leaderNow("t", 0), undefined);
  state.down.add("h2");
  await assert.rejects(routes.any(), kind("NETWORK_EXCEPTION"));
});

test("partitions without a leader, and leaders that move", async () => {
  const { state, routes } = world();
  state.leaders.set("t", [-1, 2]);
  await routes.refresh(["t"]);
  await assert.rejects(routes.leader("t", 0), kind("LEADER_NOT_AVAILABLE"));
  state.leaders.set("t", [2, 2]);
  await routes.refresh(["t"]);
  assert.equal(hostOf(await routes.leader("t", 0)), "h2");
  state.leaders.delete("t");
  await routes.refresh(["t"]);
  assert.equal(routes.topic("t"), undefined);
  assert.equal(routes.problem("t"), "UNKNOWN_TOPIC_OR_PARTITION");
});

test("questions are shared while they are under way, and repeated when they are old", async () => {
  const { state, routes } = world();
  await Promise.all([routes.refresh(["t", "u"]), routes.refresh(["u", "t"]), routes.refresh(["t", "u"])]);
  assert.equal(state.asked.length, 1);
  assert.equal(routes.isStale("t"), false);
  assert.equal(routes.isStale("never asked"), true);
  state.now = limits.clientMissingTopicMs;
  assert.equal(routes.isStale("u"), true);
  assert.equal(routes.isStale("t"), false);
  state.now = limits.clientMetadataMs;
  assert.equal(routes.isStale("t"), true);
});

test("coordinators are looked up once, forgotten on demand, and their errors are told", async () => {
  const { state, routes } = world();
  await routes.refresh([]);
  assert.equal(hostOf(await routes.coordinator("g")), "h2");
  await routes.coordinator("g");
  assert.equal(state.asked.filter((api) => api === "findCoordinator").length, 1);
  routes.forgetCoordinator("g");
  state.coordinator = 1;
  assert.equal(hostOf(await routes.coordinator("g")), "h1");
  routes.forgetCoordinator("g");
  state.coordinatorError = "COORDINATOR_NOT_AVAILABLE";
  await assert.rejects(routes.coordinator("g"), kind("COORDINATOR_NOT_AVAILABLE"));
});

test("the controller is asked for changes; a closed client dials no more", async () => {
  const { routes } = world();
  assert.equal(hostOf(await routes.controller()), "h2");
  assert.equal(routes.clusterId, "c");
  assert.deepEqual(routes.nodes(), [1, 2]);
  routes.close();
  await assert.rejects(routes.any(), kind("NETWORK_EXCEPTION"));
});

test("retrying gives up after its bound, and at once when no retry can help", async () => {
  const { clock } = world();
  const alive = setInterval(() => {}, 1000);
  try {
    let attempts = 0;
    const fail = (error: ErrorName) => () => {
      attempts += 1;
      return Promise.reject(new HubError(error));
    };
    await assert.rejects(retrying(clock, fail("NOT_CONTROLLER")), kind("NOT_CONTROLLER"));
    assert.equal(attempts, limits.clientRetriesMax + 1);
    attempts = 0;
    await assert.rejects(retrying(clock, fail("INVALID_CONFIG")), kind("INVALID_CONFIG"));
    assert.equal(attempts, 1);
    assert.equal(retryPause(0), limits.clientRetryMs);
    assert.equal(retryPause(50), limits.clientRetryMsMax);
  } finally {
    clearInterval(alive);
  }
});
