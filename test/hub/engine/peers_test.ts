// Hubs call each other over real sockets: hello with and without a secret, refusals, deadlines, gone and silent.
import assert from "node:assert/strict";
import test from "node:test";
import { newestSent } from "../../../hub/client/versions.ts";
import type { Socket } from "../../../hub/io/ports.ts";
import type { PartitionConfig } from "../../../hub/cluster/types.ts";
import type { PeerState } from "../../../hub/engine/peers.ts";
import type { ReplicaOffice, VoteAsked } from "../../../hub/engine/replica_office.ts";
import {
  statesCall,
  statesTold,
  tryLeadCall,
  triesTold,
  voteCall,
  votesTold,
} from "../../../hub/engine/replication_wire.ts";
import { reconfigurationsTold, reconfigureCall } from "../../../hub/engine/replication_wire.ts";
import { codeOf, type ErrorName, HubError } from "../../../hub/errors.ts";
import { dialWire } from "../../tools/wire_client.ts";
import { clock, clusterId, net, openPeers, openServer, type ServerOptions, until } from "./peer_stage.ts";

const topicId = "11111111-2222-4333-8444-555555555555";
const config: PartitionConfig = {
  id: { epoch: 65, n: 2 },
  old: { members: ["1:d1", "2:d2", "3:d3"], m: 2 },
  next: null,
};
const asked: VoteAsked = { topicId, partition: 3, epoch: 130, candidate: "2:d2", config };
const range = { topicId, partition: 3, from: 4, to: 7, bytesMax: 100 };
const kind =
  (expected: ErrorName) =>
  (error: unknown): boolean =>
    error instanceof HubError && error.kind === expected;

const office: Partial<ReplicaOffice> = {
  async vote(hub, votes) {
    return votes.map(({ topicId, partition, epoch, config }) => {
      if (partition === 9) return { topicId, partition, error: "UNKNOWN_TOPIC_ID" as const };
      const from = `${hub.hubId}/${hub.dirId}/${hub.session}`;
      const reply = { from, epoch, granted: true, counts: false, promisedEpoch: epoch, acceptedEpoch: 64 };
      return { topicId, partition, reply: { ...reply, durableEnd: 77, config } };
    });
  },
  async tryLead(_hub, ctlEpoch, tries) {
    return tries.map(({ topicId, partition, seenEpoch, kind }) => {
      if (kind === "clean") return { topicId, partition, result: "led" as const, epoch: seenEpoch + ctlEpoch };
      if (kind === "unclean") return { topicId, partition, result: "not-here" as const };
      const why = { kind: "not-best" as const, best: "3:d3" };
      return { topicId, partition, result: "failed" as const, epoch: seenEpoch, why };
    });
  },
  async reconfigure(_hub, _ctlEpoch, all) {
    return all.map((one) => {
      const { topicId, partition } = one;
      if ("handoverTo" in one)
        return { topicId, partition, error: "NOT_CONTROLLER" as const, message: `${one.handoverTo}` };
      return { topicId, partition, error: "NONE" as const, message: JSON.stringify([one.target, one.lost]) };
    });
  },
  async range(_hub, { from, to }) {
    return { upTo: to, records: new Uint8Array([from, to]) };
  },
  async states(_hub, which) {
    const state = {
      promisedEpoch: 5,
      acceptedEpoch: 4,
      config,
      amnesia: "none",
      tombstone: false,
      markedEpoch: 0,
    } as const;
    const report = { replica: "1:d1", role: "follower", epoch: 5, leader: null, logStart: 1, durableEnd: 9 };
    return (which ?? [{ topicId, partition: 0 }]).map((key) => {
      return { ...key, ...report, highWatermark: 8, state, published: null };
    });
  },
};

test("what is asked arrives as it was meant, and so does what is answered", async () => {
  const server = await openServer({ office });
  const peers = openPeers(new Map([[1, server.port]]));
  try {
    const votes = votesTold(await peers.call(1, "vote", voteCall([asked, { ...asked, partition: 9 }]), 2000));
    const reply = { from: "2/d2/s2", epoch: 130, granted: true, counts: false, promisedEpoch: 130, acceptedEpoch: 64 };
    assert.deepEqual(votes, [
      { topicId, partition: 3, reply: { ...reply, durableEnd: 77, config } },
      { topicId, partition: 9, error: "UNKNOWN_TOPIC_ID" },
    ]);
    const key = { topicId, partition: 0 };
    const kinds = ["clean", "roll-call", "unclean"] as const;
    const tries = kinds.map((each) => ({ ...key, seenEpoch: 64, kind: each }));
    assert.deepEqual(triesTold(await peers.call(1, "tryLead", tryLeadCall(3, tries), 2000)), [
      { ...key, result: "led", epoch: 67 },
      { ...key, result: "failed", epoch: 64, why: { kind: "not-best", best: "3:d3" } },
      { ...key, result: "not-here" },
    ]);
    const changes = [
      { ...key, target: config.old, lost: ["2:gone"] },
      { ...key, handoverTo: 3 },
    ];
    assert.deepEqual(reconfigurationsTold(await peers.call(1, "reconfigure", reconfigureCall(3, changes), 2000)), [
      { ...key, error: "NONE", message: JSON.stringify([config.old, ["2:gone"]]) },
      { ...key, error: "NOT_CONTROLLER", message: "3" },
    ]);
    const [state] = statesTold(await peers.call(1, "replicaStates", statesCall(null), 2000));
    assert.deepEqual([state!.replica, state!.durableEnd, state!.state.config], ["1:d1", 9, config]);
    const part = await peers.call(1, "replicaRange", range, 2000);
    assert.deepEqual([part.errorCode, part.upTo, Uint8Array.from(part.records!)], [0, 7, new Uint8Array([4, 7])]);
    assert.equal(peers.state(1), "open");
  } finally {
    peers.close();
    await server.close();
  }
});

async function greets(server: ServerOptions, secret: string | null, me = {}): Promise<string> {
  const opened = await openServer({ office, ...server });
  const own = { clusterId, hubId: 2, dirId: "d2", session: "s2", ...me };
  const peers = openPeers(new Map([[1, opened.port]]), { secret, me: own });
  try {
    votesTold(await peers.call(1, "vote", voteCall([asked]), 3000));
    return "let in";
  } catch (error) {
    assert.ok(error instanceof HubError, String(error));
    return `${error.kind}: ${error.message}`;
  } finally {
    peers.close();
    await opened.close();
  }
}

test("a hub is let in by its cluster and its secret, and lets itself in nowhere else", async () => {
  assert.equal(await greets({}, null), "let in");
  assert.equal(await greets({ secret: "abc" }, "abc"), "let in");
  assert.equal(await greets({ secret: "abc", mechanisms: ["SCRAM-SHA-256"] }, "abc"), "let in", "no login is needed");
  assert.match(
    await greets({ secret: "abc" }, "abd"),
    /^CLUSTER_AUTHORIZATION_FAILED: .*different \[cluster\] secrets/,
  );
  assert.match(await greets({ secret: "abc" }, null), /^CLUSTER_AUTHORIZATION_FAILED: .*no \[cluster\] secret/);
  assert.match(await greets({}, "abc"), /^CLUSTER_AUTHORIZATION_FAILED: .*it has no \[cluster\] secret/);
  assert.match(
    await greets({ mechanisms: ["SCRAM-SHA-256"] }, null),
    /clients log in here, so hubs need a \[cluster\] secret/,
  );
  assert.match(await greets({ lone: true }, null), /^CLUSTER_AUTHORIZATION_FAILED: .*started alone/);
  assert.match(await greets({}, null, { clusterId: "other" }), /^INCONSISTENT_CLUSTER_ID/);
  assert.match(await greets({}, null, { hubId: 64 }), /^INVALID_REQUEST/);
  assert.match(await greets({ hubId: 3 }, null), /^INVALID_REQUEST: hub 1 was called, this is hub 3/);
});

test("a proof of one connection holds on no other, and none at all is refused", async () => {
  const server = await openServer({ office, secret: "abc" });
  try {
    const hello = { clusterId, hubId: 2, dirId: "d2", session: "s2", toHubId: 1, nonce: new Uint8Array(32) };
    for (const proof of [new Uint8Array(32), new Uint8Array(1)]) {
      const wire = await dialWire(server.port);
      const first = await wire.call("hubHello", 0, { ...hello, proof: new Uint8Array(0) });
      assert.deepEqual([first.accepted, first.nonce.length], [false, 32]);
      const refused = await wire.call("hubHello", 0, { ...hello, proof });
      assert.equal(refused.errorCode, codeOf("CLUSTER_AUTHORIZATION_FAILED"));
      await wire.closed;
    }
    const hasty = await dialWire(server.port);
    const refused = await hasty.call("hubHello", 0, { ...hello, proof: new Uint8Array(32) });
    assert.equal(refused.errorCode, codeOf("CLUSTER_AUTHORIZATION_FAILED"));
    await hasty.closed;
  } finally {
    await server.close();
  }
});

test("a Kafka client that speaks as a hub without a hello moves nothing", async () => {
  const reached: string[] = [];
  const tell = (what: string) => (): never => {
    reached.push(what);
    throw new Error(what);
  };
  const all = {
    vote: tell("vote"),
    tryLead: tell("tryLead"),
    reconfigure: tell("r"),
    states: tell("s"),
    range: tell("range"),
    led: tell("led"),
  };
  const server = await openServer({ office: all });
  try {
    const wire = await dialWire(server.port);
    const refused = codeOf("CLUSTER_AUTHORIZATION_FAILED");
    assert.equal((await wire.call("vote", 0, voteCall([asked]))).errorCode, refused);
    assert.equal((await wire.call("tryLead", 0, tryLeadCall(1, []))).errorCode, refused);
    assert.equal((await wire.call("reconfigure", 0, reconfigureCall(1, []))).errorCode, refused);
    assert.equal((await wire.call("replicaStates", 0, statesCall(null))).errorCode, refused);
    assert.equal((await wire.call("replicaRange", 0, range)).errorCode, refused);
    wire.close();
    for (const version of [11, 15, 18]) {
      const forger = await dialWire(server.port);
      const fetch = {
        replicaId: 2,
        replicaState: { replicaId: 2, replicaEpoch: -1 },
        maxWaitMs: 0,
        minBytes: 0,
        topics: [],
      };
      await assert.rejects(forger.call("fetch", version, fetch), /closed/, `v${version}`);
    }
    // a hub may not fetch in the name of another
    const hub = await dialWire(server.port);
    const empty = new Uint8Array(0);
    const hello = { clusterId, hubId: 2, dirId: "d2", session: "s2", toHubId: 1, nonce: empty, proof: empty };
    assert.equal((await hub.call("hubHello", 0, hello)).accepted, true);
    const other = { replicaState: { replicaId: 3, replicaEpoch: -1 }, maxWaitMs: 0, minBytes: 0, topics: [] };
    await assert.rejects(hub.call("fetch", 18, other), /closed/);
    const renamed = await dialWire(server.port);
    assert.equal((await renamed.call("hubHello", 0, hello)).accepted, true);
    assert.equal((await renamed.call("hubHello", 0, { ...hello, hubId: 3 })).errorCode, refused);
    await renamed.closed;
    assert.deepEqual(reached, []);
  } finally {
    await server.close();
  }
});

test("a hub that ends is gone at once, one that comes back is open, each told once", async () => {
  let server = await openServer({ office });
  const ports = new Map([[1, server.port]]);
  const peers = openPeers(ports);
  const told: PeerState[] = [];
  peers.onState((hub, state) => void (hub === 1 && told.push(state)));
  try {
    peers.watch(1);
    peers.watch(1);
    await until("open", () => peers.state(1) === "open");
    const pending = peers.call(1, "vote", voteCall([asked]), 2000);
    await pending;
    const ended = clock.now();
    await server.close();
    await until("gone", () => peers.state(1) === "gone");
    assert.ok(clock.now() - ended < 1400, `gone after ${clock.now() - ended} ms`);
    await assert.rejects(peers.call(1, "vote", voteCall([asked]), 2000), kind("NETWORK_EXCEPTION"));
    await assert.rejects(peers.call(5, "vote", voteCall([asked]), 2000), kind("NETWORK_EXCEPTION"));
    server = await openServer({ office });
    ports.set(1, server.port);
    await until("open again", () => peers.state(1) === "open");
    assert.equal((await peers.call(1, "vote", voteCall([asked]), 2000)).partitions.length, 1);
    assert.deepEqual(told, ["open", "gone", "open"]);
  } finally {
    peers.close();
    await server.close();
  }
  await assert.rejects(peers.call(1, "vote", voteCall([asked]), 2000), kind("NETWORK_EXCEPTION"));
});

test("a hub that takes the connection and says nothing is silent, not gone; a late answer is no broken connection", async () => {
  const sockets: Socket[] = [];
  const mute = await net.listen("127.0.0.1", 0, (socket) => void sockets.push(socket));
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = await openServer({
    hubId: 3,
    office: { ...office, vote: (hub, votes) => held.then(() => office.vote!(hub, votes)) },
  });
  const peers = openPeers(
    new Map([
      [1, mute.port],
      [3, slow.port],
    ]),
  );
  const told: string[] = [];
  peers.onState((hub, state) => void told.push(`${hub} ${state}`));
  try {
    peers.watch(1);
    await assert.rejects(peers.call(3, "vote", voteCall([asked]), 100), kind("REQUEST_TIMED_OUT"));
    const waiting = peers.call(3, "vote", voteCall([asked]), 5000);
    await until("both silent", () => peers.state(1) === "silent" && peers.state(3) === "silent");
    // what takes its time elsewhere goes on meanwhile
    const tries = [{ topicId, partition: 0, seenEpoch: 64, kind: "clean" as const }];
    assert.equal(triesTold(await peers.call(3, "tryLead", tryLeadCall(1, tries), 1000)).length, 1);
    release();
    assert.equal((await waiting).partitions.length, 1);
    assert.deepEqual(
      told.filter((one) => one.startsWith("3")),
      ["3 open", "3 silent", "3 open"],
    );
  } finally {
    peers.close();
    for (const socket of sockets) socket.destroy();
    await mute.close();
    await slow.close();
  }
});

test("a room of a hub comes to another one as that hub, where clients log in too, and speaks as a client does", async () => {
  const server = await openServer({ secret: "abc", mechanisms: ["SCRAM-SHA-256"] });
  const ports = new Map([[1, server.port]]);
  const [hub, stranger] = [openPeers(ports, { secret: "abc" }), openPeers(ports, { secret: "abd" })];
  try {
    const connection = await hub.open(1, "room");
    for (const api of ["produce", "fetch"] as const) assert.equal(connection.version(api), newestSent(api));
    assert.ok(server.acceptor.list().some(({ clientId }) => clientId === "room"));
    connection.close();
    await assert.rejects(stranger.open(1, "room"), { kind: "CLUSTER_AUTHORIZATION_FAILED" });
    hub.close();
    await assert.rejects(hub.open(1, "room"), { kind: "NETWORK_EXCEPTION" });
  } finally {
    stranger.close();
    hub.close();
    await server.close();
  }
});
