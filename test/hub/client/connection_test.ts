// One dialled connection: pipelining, order, deadlines, and a peer that breaks in every way.
import assert from "node:assert/strict";
import test from "node:test";
import { dial } from "../../../hub/client/connection.ts";
import type { Connection } from "../../../hub/client/connection.ts";
import { HubError } from "../../../hub/errors.ts";
import type { ErrorName } from "../../../hub/errors.ts";
import { openClock } from "../../../hub/io/clock.ts";
import type { Socket } from "../../../hub/io/ports.ts";
import { encodeResponse } from "../../../hub/wire/apis.ts";
import type { Request } from "../../../hub/wire/apis.ts";
import { openPeer } from "./peer.ts";
import type { Peer } from "./peer.ts";

const clock = openClock();
const kind =
  (expected: ErrorName) =>
  (error: unknown): boolean =>
    error instanceof HubError && error.kind === expected;

async function withPeer(
  answer: (request: Request, socket: Socket) => void,
  use: (connection: Connection, peer: Peer) => Promise<void>,
): Promise<void> {
  const peer = await openPeer(answer);
  try {
    const connection = await dial({ net: peer.net, clock, clientId: "me", host: "127.0.0.1", port: peer.port });
    try {
      await use(connection, peer);
    } finally {
      connection.close();
    }
  } finally {
    await peer.close();
  }
}

const beat = (generationId: number) => ({ groupId: "g", memberId: "m", generationId });
const heartbeat = (request: Request, errorCode = 0): Uint8Array[] =>
  encodeResponse("heartbeat", request.apiVersion, request.correlationId, { errorCode });

test("many calls on one connection, answered in their order", async () => {
  await withPeer(
    (request, socket) => {
      if (request.api === "heartbeat") socket.write(heartbeat(request, request.body.generationId % 100));
    },
    async (connection, peer) => {
      const calls = Array.from({ length: 300 }, (_, index) => connection.call("heartbeat", beat(index)));
      const replies = await Promise.all(calls);
      assert.deepEqual(
        replies.map(({ errorCode }) => errorCode),
        calls.map((_, index) => index % 100),
      );
      const last = peer.requests.at(-1)!;
      assert.deepEqual([last.apiVersion, last.clientId], [4, "me"]);
      assert.equal(connection.version("metadata"), 13);
    },
  );
});

test("an answer that arrives byte by byte, and two in one piece", async () => {
  const held: Request[] = [];
  await withPeer(
    (request, socket) => {
      held.push(request);
      if (held.length < 3) return;
      const bytes = Buffer.concat(held.flatMap((each, index) => heartbeat(each, index)));
      for (const byte of bytes.subarray(0, 9)) socket.write([Uint8Array.of(byte)]);
      socket.write([bytes.subarray(9)]);
    },
    async (connection) => {
      const replies = await Promise.all([1, 2, 3].map((each) => connection.call("heartbeat", beat(each))));
      assert.deepEqual(
        replies.map(({ errorCode }) => errorCode),
        [0, 1, 2],
      );
    },
  );
});

test("no answer in time rejects the call, and closes the connection because answers are in order", async () => {
  await withPeer(
    () => {},
    async (connection) => {
      const first = connection.call("heartbeat", beat(1), 40);
      const second = connection.call("heartbeat", beat(2), 10_000);
      await assert.rejects(first, kind("REQUEST_TIMED_OUT"));
      await assert.rejects(second, kind("NETWORK_EXCEPTION"));
      assert.equal(connection.open, false);
      await assert.rejects(connection.call("heartbeat", beat(3)), kind("NETWORK_EXCEPTION"));
      assert.throws(
        () => connection.tell("produce", { acks: 0, timeoutMs: 1, topicData: [] }),
        kind("NETWORK_EXCEPTION"),
      );
    },
  );
});

test("answers in another order than the requests break the connection", async () => {
  const held: Request[] = [];
  await withPeer(
    (request, socket) => {
      held.push(request);
      if (held.length === 2) socket.write([...heartbeat(held[1]!), ...heartbeat(held[0]!)]);
    },
    async (connection) => {
      const calls = [connection.call("heartbeat", beat(1)), connection.call("heartbeat", beat(2))];
      for (const call of calls) await assert.rejects(call, kind("NETWORK_EXCEPTION"));
    },
  );
});

test("a closed socket rejects every call under way", async () => {
  await withPeer(
    (_request, socket) => socket.destroy(),
    async (connection) => {
      const calls = [1, 2, 3].map((each) => connection.call("heartbeat", beat(each)));
      for (const call of calls) await assert.rejects(call, kind("NETWORK_EXCEPTION"));
      assert.equal(connection.open, false);
    },
  );
});

test("a malformed answer and a frame of two gigabytes are refused, not believed", async () => {
  const evils = [Buffer.from("00000005" + "00000002" + "ff", "hex"), Buffer.from("7fffffff", "hex")];
  for (const evil of evils) {
    await withPeer(
      (_request, socket) => socket.write([evil]),
      async (connection) => {
        const call = connection.call("heartbeat", beat(1));
        // as if it was lost: whoever asked may ask again, over another connection
        await assert.rejects(call, kind("NETWORK_EXCEPTION"));
        assert.equal(connection.open, false);
      },
    );
  }
});

test("a port where nobody listens, and a name that is none", async () => {
  const peer = await openPeer(() => {});
  await peer.close();
  for (const [host, port] of [
    ["127.0.0.1", peer.port],
    ["no-such-host.invalid", 9092],
  ] as const) {
    await assert.rejects(dial({ net: peer.net, clock, clientId: "me", host, port }), kind("NETWORK_EXCEPTION"));
  }
});

test("closing rejects what is under way, once", async () => {
  await withPeer(
    () => {},
    async (connection) => {
      const call = connection.call("heartbeat", beat(1));
      connection.close();
      connection.close();
      await assert.rejects(call, kind("NETWORK_EXCEPTION"));
    },
  );
});
