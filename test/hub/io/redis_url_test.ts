// Redis URLs: what is understood, and one sentence for what is not.
import assert from "node:assert/strict";
import test from "node:test";
import { parseRedisUrl } from "../../../hub/io/redis_url.ts";

const plain = { database: 0, username: null, password: null, tls: false, path: null };

test("parseRedisUrl takes the usual forms", () => {
  assert.deepEqual(parseRedisUrl("redis://pi"), { ...plain, host: "pi", port: 6379 });
  assert.deepEqual(parseRedisUrl("redis://[::1]:7000/3"), { ...plain, host: "::1", port: 7000, database: 3 });
  assert.deepEqual(parseRedisUrl("rediss://hub:p%40ss@pi/"), {
    ...plain,
    host: "pi",
    port: 6379,
    username: "hub",
    password: "p@ss",
    tls: true,
  });
  assert.deepEqual(parseRedisUrl("unix:///run/redis.sock"), { ...plain, host: "", port: 0, path: "/run/redis.sock" });
});

test("parseRedisUrl says in one sentence what is wrong, and never the password", () => {
  const wrong = [
    "",
    "localhost:6379",
    "http://pi",
    "redis://",
    "redis:///1",
    "redis://pi/db",
    "redis://pi:99999",
    "redis://pi?x=1",
    "unix://pi/x",
    "redis://u:geheim@pi/db",
    "redis://u:geheim%@pi",
    "redis//pi",
  ];
  for (const text of wrong) {
    assert.throws(
      () => parseRedisUrl(text),
      (error: Error & { kind?: string }) => {
        assert.equal(error.kind, "INVALID_CONFIG", text);
        assert.match(error.message, /^The Redis URL .* cannot be used: .*\.$/, text);
        assert.doesNotMatch(error.message, /geheim/);
        return true;
      },
    );
  }
});
