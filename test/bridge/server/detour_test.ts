// Where clients are sent: one hub after the other, for now or for good, and only who can dial.
import assert from "node:assert/strict";
import { Socket } from "node:net";
import { PassThrough } from "node:stream";
import test from "node:test";
import { canDial, detourOf } from "../../../bridge/server/detour.ts";
import { Reason } from "../../../bridge/wire/packet.ts";

test("clients are spread over the hubs that are known", () => {
  const known = { references: ["b:1883", "c:1884"], isForGood: false };
  const told = [0, 1, 2, 3].map((turn) => detourOf(known, turn)?.reference);
  assert.deepEqual(told, ["b:1883", "c:1884", "b:1883", "c:1884"]);
  assert.equal(detourOf(known, 0)?.code, Reason.useAnotherServer);
  assert.equal(detourOf({ ...known, isForGood: true }, 0)?.code, Reason.serverMoved);
  assert.equal(detourOf(null, 0), null);
});

test("an address of TCP is told to who came over TCP", () => {
  assert.deepEqual([canDial(new Socket()), canDial(new PassThrough())], [true, false]);
});
