// Which origins may open a socket.
import assert from "node:assert/strict";
import test from "node:test";
import { originAllowed } from "../../dashboards/origin.ts";

test("the page's own origin on an address or a local name, a listed one, or none", () => {
  const allowed: [string | undefined, string | undefined][] = [
    [undefined, undefined],
    [undefined, "hub.example.org"],
    ["http://127.0.0.1:8080", "127.0.0.1:8080"],
    ["http://[::1]:8080", "[::1]:8080"],
    ["http://localhost:8080", "localhost:8080"],
    ["http://pi.local:8080", "PI.local:8080"],
    ["http://pi:8080", "pi:8080"],
    ["http://hub.lan", "hub.lan"],
    ["http://box.example.net:8080", "box.example.net:8080"],
    ["https://listed.example.org", "127.0.0.1:8080"],
  ];
  for (const [origin, host] of allowed) {
    assert.ok(originAllowed(origin, host, ["https://listed.example.org"], "box.example.net"), `${origin} at ${host}`);
  }
});

test("another origin, a public name that may be rebound, and what is no origin", () => {
  const refused: [string, string | undefined][] = [
    ["https://evil.example", "127.0.0.1:8080"],
    ["http://127.0.0.1:9999", "127.0.0.1:8080"],
    ["http://evil.example:8080", "evil.example:8080"],
    ["http://localhost:8080", undefined],
    ["null", "localhost"],
    ["", "localhost"],
    ["file:///etc", ""],
    ["http://localhost.evil.example", "localhost.evil.example"],
    ["chrome-extension://abcdef", "abcdef"],
  ];
  for (const [origin, host] of refused) assert.ok(!originAllowed(origin, host, []), `${origin} at ${host}`);
});
