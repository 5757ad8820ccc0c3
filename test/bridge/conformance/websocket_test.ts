// MQTT over WebSocket (section 6): the subprotocol, and binary frames alone.
import assert from "node:assert/strict";
import { once } from "node:events";
import test from "node:test";
import { WebSocket } from "ws";
import { encodePacket } from "../../../bridge/wire/encode.ts";
import { connectPacket } from "../codec_client.ts";
import { fresh, hub } from "./hub.ts";

async function open(): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${(await hub()).http}/mqtt`, ["mqtt"]);
  await once(socket, "open");
  return socket;
}

const hello = (): Buffer => encodePacket(connectPacket(fresh("browser"), { version: 4 }), 4)!;

test("the subprotocol of a WebSocket is mqtt, in the offer and in the answer [MQTT-6.0.0-4]", async () => {
  const socket = await open();
  assert.equal(socket.protocol, "mqtt");
  socket.terminate();
  const other = new WebSocket(`ws://127.0.0.1:${(await hub()).http}/mqtt`, ["other"]);
  const [error] = (await once(other, "error")) as [Error];
  assert.match(error.message, /400/);
});

test("a WebSocket carries binary frames; a text frame ends it [MQTT-6.0.0-1]", async () => {
  const good = await open();
  const got: number[] = [];
  const answered = new Promise<void>((resolve) => {
    good.on("message", (bytes: Buffer, isBinary) => {
      assert.equal(isBinary, true);
      got.push(...bytes);
      if (got.length >= 4) resolve();
    });
  });
  good.send(hello());
  await answered;
  assert.deepEqual(got, [0x20, 2, 0, 0]);
  good.send("a text");
  await once(good, "close");
  const bad = await open();
  let answers = 0;
  bad.on("message", () => answers++);
  bad.send(hello().toString("latin1"), { binary: false });
  await once(bad, "close");
  assert.equal(answers, 0);
});
