// One connection: order of answers, versions, and bytes that no client would send.
import assert from "node:assert/strict";
import test from "node:test";
import { codeOf } from "../../../hub/errors.ts";
import { decodeResponse, encodeRequest, peekResponse } from "../../../hub/wire/apis.ts";
import type { Access } from "../../../hub/engine/access.ts";
import type { Socket } from "../../../hub/io/ports.ts";
import { limits } from "../../../hub/limits.ts";
import { silentTrace } from "../../../hub/mod.ts";
import type { Dispatch } from "../../../hub/server/handler.ts";
import type { RequestContext } from "../../../hub/server/services.ts";
import { defaultBounds, Session } from "../../../hub/server/session.ts";
import { ManualClock } from "../../tools/manual_clock.ts";
import { dialWire } from "../../tools/wire_client.ts";
import { withHub } from "../../tools/test_hub.ts";

const joined = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

test("answers come in the order of the requests although a fetch waits first", async () => {
  await withHub({}, async ({ wire, kafka }) => {
    const wanted = { name: "t", numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] };
    await wire.call("createTopics", 7, { topics: [wanted] });
    const client = await dialWire(kafka);
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }];
    const fetch = {
      replicaId: -1,
      maxWaitMs: 150,
      minBytes: 1,
      maxBytes: 1000,
      isolationLevel: 0,
      topics: [{ topic: "t", partitions }],
    };
    client.send(
      joined([
        ...encodeRequest("fetch", 4, 7, "test", fetch as never),
        ...encodeRequest("metadata", 1, 8, "test", { topics: null }),
        ...encodeRequest("apiVersions", 0, 9, "test", {}),
      ]),
    );
    const order: number[] = [];
    for (let i = 0; i < 3; i++) order.push(peekResponse(await client.frame()));
    assert.deepEqual(order, [7, 8, 9]);
    client.close();
  });
});

test("ApiVersions of an unknown version is answered with error 35 in the form of v0", async () => {
  await withHub({}, async ({ wire }) => {
    const request = joined(
      encodeRequest("apiVersions", 4, 5, "test", { clientSoftwareName: "x", clientSoftwareVersion: "1" }),
    );
    new DataView(request.buffer).setInt16(6, 99);
    wire.send(request);
    const reply = decodeResponse("apiVersions", 0, await wire.frame());
    assert.equal(reply.errorCode, codeOf("UNSUPPORTED_VERSION"));
    const produce = reply.apiKeys.find((one) => one.apiKey === 0)!;
    assert.deepEqual([produce.minVersion, produce.maxVersion], [0, 13]);
    const again = await wire.call("apiVersions", 3, { clientSoftwareName: "x", clientSoftwareVersion: "1" });
    assert.equal(again.errorCode, 0);
  });
});

test("what is malformed, unknown or too large closes its connection and no other", async () => {
  await withHub({}, async ({ wire, kafka }) => {
    const size = (value: number): Uint8Array => {
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setInt32(0, value);
      return bytes;
    };
    const good = joined(encodeRequest("metadata", 9, 1, "test", { topics: null }));
    const unknownKey = good.slice();
    new DataView(unknownKey.buffer).setInt16(4, 999);
    const unknownVersion = good.slice();
    new DataView(unknownVersion.buffer).setInt16(6, 99);
    const cut = good.slice(0, good.length - 2);
    new DataView(cut.buffer).setInt32(0, cut.length - 4);
    const evils: Record<string, Uint8Array> = {
      "a negative size": size(-1),
      "two gigabytes": size(2 ** 31 - 1),
      "just over the bound": size(100 * 1024 * 1024 + 1),
      "an unknown key": unknownKey,
      "an unknown version": unknownVersion,
      "a body cut short": cut,
      "an empty frame": size(0),
    };
    for (const [name, bytes] of Object.entries(evils)) {
      const client = await dialWire(kafka);
      client.send(bytes);
      await client.closed;
      assert.equal((await wire.call("apiVersions", 0, {})).errorCode, 0, name);
    }
  });
});

test("a request that arrives byte by byte is a request", async () => {
  await withHub({}, async ({ wire }) => {
    const request = joined(encodeRequest("metadata", 12, 3, "test", { topics: null }));
    for (const byte of request) {
      wire.send(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(peekResponse(await wire.frame()), 3);
  });
});

/** A session on a socket that is none; `dispatch` answers. */
function alone(dispatch: Dispatch, clock: ManualClock, access: Access | null = null) {
  const nothing = (): void => {};
  const socket: Socket = {
    id: 1,
    remoteAddress: "10.0.0.1",
    remotePort: 1,
    localAddress: "10.0.0.2",
    localPort: 2,
    onData: nothing,
    onDrain: nothing,
    onClose: nothing,
    write: () => true,
    buffered: () => 0,
    pause: nothing,
    resume: nothing,
    end: nothing,
    destroy: nothing,
  };
  const unanswered = { bytes: 0 };
  const options = { socket, dispatch, clock, trace: silentTrace, access, unanswered, closed: nothing };
  return { socket, session: new Session({ bounds: defaultBounds, ...options }), unanswered };
}

test("a request that begins to wait after its client has gone is told at once to leave", async () => {
  let context: RequestContext | null = null;
  let answer: (none: null) => void = () => {};
  const dispatch: Dispatch = (_api, _request, given) => {
    context = given;
    return new Promise((resolve) => (answer = resolve as typeof answer));
  };
  const { socket, unanswered } = alone(dispatch, new ManualClock());
  socket.onData(joined(encodeRequest("metadata", 1, 1, "test", { topics: null })));
  let left = 0;
  context!.onGone!(() => left++);
  context!.onGone!(null);
  socket.onClose(null);
  assert.equal(left, 0, "it did not wait at that moment");
  context!.onGone!(() => left++);
  assert.equal(left, 1);
  answer(null);
  await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(unanswered.bytes, 0);
});

test("who has not logged in has little time in all, whatever they send meanwhile; others only while they are idle", () => {
  const dispatch: Dispatch = () => new Promise(() => {});
  const asking = { logins: { mechanisms: ["PLAIN"] }, quotas: { any: false } } as unknown as Access;
  const clock = new ManualClock();
  const stranger = alone(dispatch, clock, asking);
  const guest = alone(dispatch, clock);
  const end = clock.now() + limits.saslIdleMsMax;
  void clock.advance(limits.saslIdleMsMax - 1);
  for (const { socket } of [stranger, guest]) socket.onData(new Uint8Array([0]));
  assert.equal(stranger.session.idleUntil, end);
  assert.equal(guest.session.idleUntil, clock.now() + limits.connectionIdleMsMax);
  guest.socket.onData(joined(encodeRequest("metadata", 1, 1, "test", { topics: null })).subarray(1));
  assert.equal(guest.session.idleUntil, Number.POSITIVE_INFINITY, "busy");
});
