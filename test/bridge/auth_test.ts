// Anonymous access: this machine alone, or everywhere when that was said.
import assert from "node:assert/strict";
import test from "node:test";
import { anonymousAccess, isLoopback } from "../../bridge/auth.ts";

const from = (remoteAddress: string) => ({ clientId: "c", remoteAddress, username: null, password: null });

test("isLoopback knows this machine's addresses and no others", () => {
  for (const address of ["127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"]) assert.equal(isLoopback(address), true);
  for (const address of ["", "10.0.0.1", "192.168.127.1", "::2", "fe80::1", "1127.0.0.1"]) {
    assert.equal(isLoopback(address), false, address);
  }
});

test("anonymousAccess admits from loopback only, unless it is told everywhere", () => {
  assert.equal(anonymousAccess("loopback").connect(from("127.0.0.1")).admitted, true);
  const refusal = anonymousAccess("loopback").connect(from("10.0.0.9"));
  assert.ok(!refusal.admitted && refusal.returnCode === 5 && refusal.reason.includes("10.0.0.9"));
  assert.equal(anonymousAccess("everywhere").connect(from("10.0.0.9")).admitted, true);
});
