// What clients rely on from a connection: frames however they are cut, order, addresses, names, and idle time.
import assert from "node:assert/strict";
import { connect } from "node:net";
import test from "node:test";
import { codeOf } from "../../../hub/errors.ts";
import { openClock } from "../../../hub/io/clock.ts";
import { openNet } from "../../../hub/io/net.ts";
import { limits } from "../../../hub/limits.ts";
import { silentTrace } from "../../../hub/mod.ts";
import { Acceptor } from "../../../hub/server/acceptor.ts";
import { type ApiName, type CallOf, encodeRequest, peekResponse } from "../../../hub/wire/apis.ts";
import { ManualClock } from "../../tools/manual_clock.ts";
import { withHub } from "../../tools/test_hub.ts";
import { dialWire } from "../../tools/wire_client.ts";
import { batchOf, fetch, is, makeTopic, produce } from "../../tools/wire_calls.ts";

function framed<N extends ApiName>(api: N, version: number, correlationId: number, request: CallOf<N>): Buffer {
  return Buffer.concat(encodeRequest(api, version, correlationId, "test", request));
}

test("requests come whole however TCP cuts them: two in one segment, one over many, a size cut anywhere", async () => {
  await withHub({}, async ({ wire, kafka }) => {
    await makeTopic(wire, "t");
    const topicData = [{ name: "t", partitionData: [{ index: 0, records: batchOf(3000) }] }];
    const stream = Buffer.concat([
      framed("metadata", 12, 1, { topics: null }),
      framed("produce", 9, 2, { acks: -1, timeoutMs: 1000, topicData }),
      framed("apiVersions", 0, 3, {}),
      framed("metadata", 1, 4, { topics: [] }),
    ]);
    const second = stream.readInt32BE(0) + 4;
    const cuts = [[], ...[-1, 0, 1, 2, 3, 4, 5, 1000].map((at) => [second + at]), [1, 2, 3, second + 2, second + 1500]];
    for (const [round, cut] of cuts.entries()) {
      const client = await dialWire(kafka);
      for (const [i, from] of [0, ...cut].entries()) {
        client.send(stream.subarray(from, cut[i]));
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      const order: number[] = [];
      for (let i = 0; i < 4; i++) order.push(peekResponse(await client.frame()));
      assert.deepEqual(order, [1, 2, 3, 4], `cut at ${cut}`);
      client.close();
      assert.equal((await fetch(wire, { topic: "t" })).highWatermark, round + 1);
    }
  });
});

test("an ApiVersions that nobody knows keeps its place behind requests that wait", async () => {
  await withHub({}, async ({ wire, kafka }) => {
    await makeTopic(wire, "t");
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }];
    const parked = { maxWaitMs: 100, minBytes: 1, maxBytes: 1000, topics: [{ topic: "t", partitions }] };
    const unknown = framed("apiVersions", 0, 3, {});
    unknown.writeInt16BE(77, 6);
    const client = await dialWire(kafka);
    const behind = [framed("metadata", 1, 2, { topics: null }), unknown, framed("metadata", 1, 4, { topics: null })];
    client.send(Buffer.concat([framed("fetch", 4, 1, parked), ...behind]));
    const order: number[] = [];
    for (let i = 0; i < 4; i++) order.push(peekResponse(await client.frame()));
    assert.deepEqual(order, [1, 2, 3, 4]);
    client.close();
  });
});

test("hundreds of requests in flight are answered in order, and a slow one holds up no other connection", async () => {
  await withHub({}, async ({ wire, kafka }) => {
    await makeTopic(wire, "t");
    const slow = await dialWire(kafka);
    const waiting = fetch(slow, { topic: "t", maxWaitMs: 60_000 });
    const many = await dialWire(kafka);
    const count = 3 * limits.requestsQueuedPerConnectionMax;
    many.send(Buffer.concat(Array.from({ length: count }, (_, i) => framed("metadata", 5, i, { topics: null }))));
    for (let i = 0; i < count; i++) assert.equal(peekResponse(await many.frame()), i);
    await produce(wire, "t", batchOf(1));
    is(await waiting, "NONE");
    for (const client of [slow, many]) client.close();
  });
});

test("each listener tells the address the client came to", async () => {
  await withHub({ listen: ["127.0.0.1", "::1"] }, async ({ kafka }) => {
    for (const host of ["127.0.0.1", "::1"]) {
      const client = await dialWire(kafka, host).catch((error: Error) => {
        // a machine without IPv6 has one listener
        assert.ok(host === "::1" && /EADDRNOTAVAIL|ECONNREFUSED/.test(String(error)), String(error));
        return null;
      });
      if (client === null) continue;
      const here = [host, kafka];
      const { brokers } = await client.call("metadata", 12, { topics: [] });
      assert.deepEqual([brokers[0]!.host, brokers[0]!.port], here);
      const cluster = await client.call("describeCluster", 1, { includeClusterAuthorizedOperations: false });
      assert.deepEqual([cluster.brokers[0]!.host, cluster.brokers[0]!.port], here);
      const { coordinators } = await client.call("findCoordinator", 4, { keyType: 0, coordinatorKeys: ["g"] });
      assert.deepEqual([coordinators[0]!.host, coordinators[0]!.port], here);
      client.close();
    }
  });
});

test("a client's software is named by the rules of KIP-511, and one that is not is told so", async () => {
  await withHub({}, async ({ wire }) => {
    const ask = async (clientSoftwareName: string, clientSoftwareVersion: string, version = 3) =>
      (await wire.call("apiVersions", version, { clientSoftwareName, clientSoftwareVersion })).errorCode;
    for (const [name, version] of [
      ["apache-kafka-java", "3.9.1"],
      ["a", "1"],
      ["librdkafka", "2.0.2-1.x"],
    ] as const) {
      assert.equal(await ask(name, version), 0);
    }
    for (const name of ["", "-a", "a-", "a b", "a/b", "ü", "."]) {
      assert.equal(await ask(name, "1"), codeOf("INVALID_REQUEST"), name);
      assert.equal(await ask("a", name), codeOf("INVALID_REQUEST"), name);
    }
    // the connection lives on: the client may ask again
    assert.equal(await ask("a", "1", 4), 0);
  });
});

test("who is connected is listed with the software it named; what is no name is not kept in full", async () => {
  await withHub({}, async ({ hub, kafka, wire }) => {
    await wire.call("apiVersions", 3, { clientSoftwareName: "librdkafka", clientSoftwareVersion: "2.0.2" });
    const other = await dialWire(kafka);
    await other.call("apiVersions", 0, {});
    const listed = hub.connections();
    assert.deepEqual(
      listed.map(({ host, clientId, softwareName, softwareVersion }) => [
        host,
        clientId,
        softwareName,
        softwareVersion,
      ]),
      [
        ["127.0.0.1", "test", "librdkafka", "2.0.2"],
        ["127.0.0.1", "test", "", ""],
      ],
    );
    assert.ok(listed.every(({ idleMs, port }) => idleMs >= 0 && port > 0));
    await other.call("apiVersions", 4, { clientSoftwareName: "x".repeat(30_000), clientSoftwareVersion: "1" });
    assert.equal(hub.connections()[1]!.softwareName.length, limits.softwareTextMax);
    other.close();
    while (hub.connections().length > 1) await new Promise((resolve) => setImmediate(resolve));
  });
});

test("the settings of connections: largest request, connections together, idle time", async () => {
  const settings = { "socket.request.max.bytes": 2000, "max.connections": 2 };
  await withHub({ settings }, async ({ kafka, wire }) => {
    const second = await dialWire(kafka);
    await second.call("apiVersions", 0, {});
    const third = await dialWire(kafka);
    await third.closed;
    second.send(framed("metadata", 1, 1, { topics: [{ name: "x".repeat(3000) }] }));
    await second.closed;
    for (;;) {
      // the place is given back when the hub's end of the socket is told
      const again = await dialWire(kafka);
      const answered = await again.call("apiVersions", 0, {}).catch(() => null);
      again.close();
      if (answered !== null) break;
    }
    assert.equal((await wire.call("apiVersions", 0, {})).errorCode, 0);
  });
});

test("a refused client that does not go is cut off", async () => {
  const clock = new ManualClock();
  const dispatch = async () => ({ errorCode: 0, apiKeys: [], throttleTimeMs: 0 });
  const acceptor = new Acceptor({ net: openNet(openClock()), clock, trace: silentTrace, dispatch: dispatch as never });
  const port = await acceptor.listen(["127.0.0.1"], 0);
  // stays open for writing after the hub has ended its side
  const rude = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const closed = new Promise<void>((resolve) => rude.once("close", () => resolve()));
  const ended = new Promise<void>((resolve) => rude.once("end", () => resolve()));
  rude.on("error", () => {});
  rude.resume();
  try {
    rude.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    await ended;
    assert.equal(acceptor.connections, 1, "half closed");
    await clock.advance(limits.connectionEndMsMax);
    while (acceptor.connections > 0) await new Promise((resolve) => setImmediate(resolve));
  } finally {
    rude.destroy();
    await closed;
    await acceptor.close(0);
  }
});

test("idle connections are closed after ten minutes; one that waits for an answer is not idle", async () => {
  const clock = new ManualClock();
  let answer: () => void = () => {};
  const held = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const none = { throttleTimeMs: 0, errorCode: 0, sessionId: 0, responses: [] };
  const dispatch = async (api: ApiName) => {
    if (api === "fetch") await held;
    return api === "fetch" ? none : { errorCode: 0, apiKeys: [], throttleTimeMs: 0 };
  };
  const acceptor = new Acceptor({ net: openNet(openClock()), clock, trace: silentTrace, dispatch: dispatch as never });
  const port = await acceptor.listen(["127.0.0.1"], 0);
  try {
    const [idle, used, waiting] = [await dialWire(port), await dialWire(port), await dialWire(port)];
    const parked = fetch(waiting, { topic: "t" }).catch(() => "answered");
    for (const client of [idle, used]) assert.equal((await client.call("apiVersions", 0, {})).errorCode, 0);
    assert.equal(acceptor.connections, 3);
    await clock.advance(limits.connectionIdleMsMax - 60_000);
    assert.equal((await used.call("apiVersions", 0, {})).errorCode, 0);
    await clock.advance(120_000);
    await idle.closed;
    // the hub's end of the socket may be told later than the client's
    while (acceptor.connections > 2) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(acceptor.connections, 2);
    assert.equal((await used.call("apiVersions", 0, {})).errorCode, 0);
    answer();
    assert.equal(await parked, "answered");
    await clock.advance(60_000);
    assert.equal(acceptor.connections, 2);
    await clock.advance(limits.connectionIdleMsMax + 60_000);
    await Promise.all([used.closed, waiting.closed]);
  } finally {
    await acceptor.close(0);
  }
});
