// Connections beyond the bound over real sockets: who is told of another hub, and who is told nothing.
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import test from "node:test";
import { anonymousAccess } from "../../../bridge/auth.ts";
import type { Elsewhere } from "../../../bridge/server/detour.ts";
import { TurnAway } from "../../../bridge/server/turn_away.ts";
import { Reason, type Version } from "../../../bridge/wire/packet.ts";
import { limits } from "../../../hub/mod.ts";
import { SimClock } from "../../sim/clock.ts";
import { CodecClient, type Hello } from "../codec_client.ts";
import { openRecorder, withBridge } from "../harness.ts";

const known: Elsewhere = { references: ["b.local:1883", "[::2]:1884"], isForGood: false };

/** A hub with one client and no room for more. */
async function full(
  elsewhere: () => Elsewhere | null,
  body: (open: (name: string, hello?: Hello) => Promise<CodecClient>, first: CodecClient) => Promise<void>,
  refused: (name: string) => boolean = () => false,
): Promise<void> {
  const anybody = anonymousAccess("everywhere");
  const access = {
    ...anybody,
    connect: (who: Parameters<typeof anybody.connect>[0]) =>
      refused(who.clientId) ? ({ admitted: false, returnCode: 5, reason: "no" } as const) : anybody.connect(who),
  };
  await withBridge({ connectionsMax: 1, elsewhere, access }, async ({ bridge }) => {
    const first = await CodecClient.open(bridge.port, "first");
    assert.equal(bridge.hasRoom, false);
    await body((name, hello) => CodecClient.open(bridge.port, name, hello), first);
  });
}

test("a CONNECT of 5 that finds no room gets 0x9c with the address of a hub that has some, and the end", async () => {
  await full(
    () => known,
    async (open) => {
      for (const reference of [...known.references, known.references[0]]) {
        const client = await open("late");
        assert.deepEqual([client.connack.code, client.connack.properties], [0x9c, { serverReference: reference }]);
        await client.until(() => client.isClosed);
        assert.deepEqual([client.packets.length, client.problem], [1, null]);
      }
    },
  );
});

test("who is of 3.1.1, would not be let in, or says no CONNECT hears nothing of other hubs", async () => {
  await full(
    () => known,
    async (open, first) => {
      const named = await open("stranger");
      const old = await open("old", { version: 4 });
      const wrong = await open("wrong", { properties: { authenticationMethod: "x" } });
      for (const client of [named, old, wrong]) assert.deepEqual([client.packets, client.isClosed], [[], true]);
      first.send({ kind: "pingreq" });
      await first.nth("pingresp");
    },
    (name) => name === "stranger",
  );
});

test("where no other hub is known the connection is closed without a word, in 5 too", async () => {
  await full(
    () => null,
    async (open) => assert.deepEqual((await open("late")).packets, []),
  );
});

test("clients of 5 over TCP are told at the end where to go, one hub after the other; others as ever", async () => {
  for (const isForGood of [false, true]) {
    const clients: CodecClient[] = [];
    await withBridge({ elsewhere: () => ({ ...known, isForGood }) }, async ({ bridge }) => {
      const open = async (version: Version): Promise<void> => {
        clients.push(await CodecClient.open(bridge.port, `c${clients.length}`, { version }));
      };
      for (const version of [5, 5, 4] as const) await open(version);
    });
    for (const client of clients) await client.until(() => client.isClosed);
    const told = clients.map((client) => client.of("disconnect").map(({ code, properties }) => ({ code, properties })));
    const code = isForGood ? Reason.serverMoved : Reason.useAnotherServer;
    const [one, other] = known.references.map((serverReference) => [{ code, properties: { serverReference } }]);
    assert.deepEqual(told, [one, other, []]);
  }
});

test("a hub that knows no other says that it shuts down", async () => {
  let client: CodecClient | null = null;
  await withBridge({ elsewhere: () => null }, async ({ bridge }) => {
    client = await CodecClient.open(bridge.port, "c");
  });
  const { code, properties } = await client!.nth("disconnect");
  assert.deepEqual([code, properties], [Reason.serverShuttingDown, {}]);
});

test("a stream that is no socket is not read, and is gone in time", async () => {
  const clock = new SimClock();
  const access = anonymousAccess("everywhere");
  const away = new TurnAway({ clock, trace: openRecorder(), access, elsewhere: () => known });
  const streams = Array.from({ length: limits.mqttTurnedAwayMax + 1 }, () => new PassThrough());
  for (const stream of streams) away.take(stream, "127.0.0.1");
  assert.equal(streams[0]!.listenerCount("data"), 0);
  assert.deepEqual([streams.at(-2)!.destroyed, streams.at(-1)!.destroyed], [false, true], "and no more than so many");
  await clock.advance(limits.mqttTurnAwayMsMax);
  assert.ok(streams.every(({ destroyed }) => destroyed));
});
