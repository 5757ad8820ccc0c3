// Redis URLs: what is understood, and one sentence for what is not.
import assert from "node:assert/strict";
import test from "node:test";
import { parseRedisUrl } from "../../../hub/io/redis_url.ts";

const nobody = { database: 0, username: null, password: null, tls: false, path: null, master: null };
const plain = { ...nobody, kind: "server" as const };
const at = (host: string, port: number) => ({ host, port });

test("parseRedisUrl takes the usual forms", () => {
  assert.deepEqual(parseRedisUrl("redis://pi"), { ...plain, nodes: [at("pi", 6379)] });
  assert.deepEqual(parseRedisUrl("redis://[::1]:7000/3"), { ...plain, nodes: [at("::1", 7000)], database: 3 });
  assert.deepEqual(parseRedisUrl("rediss://hub:p%40ss@pi/"), {
    ...plain,
    nodes: [at("pi", 6379)],
    username: "hub",
    password: "p@ss",
    tls: true,
  });
  assert.deepEqual(parseRedisUrl("unix:///run/redis.sock"), { ...plain, nodes: [], path: "/run/redis.sock" });
});

test("parseRedisUrl takes Sentinels with the master's name, and members of a Cluster", () => {
  assert.deepEqual(parseRedisUrl("redis+sentinel://a,b:7000,[::1]/hubs"), {
    ...nobody,
    kind: "sentinel",
    nodes: [at("a", 26379), at("b", 7000), at("::1", 26379)],
    master: "hubs",
  });
  assert.deepEqual(parseRedisUrl("rediss+sentinel://hub:p%40:ss@a/hubs/2"), {
    kind: "sentinel",
    nodes: [at("a", 26379)],
    master: "hubs",
    database: 2,
    username: "hub",
    password: "p@:ss",
    tls: true,
    path: null,
  });
  const cluster = { ...nobody, kind: "cluster", nodes: [at("a", 6379), at("b", 7001)] };
  assert.deepEqual(parseRedisUrl("redis+cluster://a,b:7001"), cluster);
  assert.deepEqual(parseRedisUrl("redis+cluster://:x@a,b:7001/0"), { ...cluster, password: "x" });
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
    "redis+sentinel://a,b",
    "redis+sentinel://u:geheim@a/",
    "redis+sentinel://a/hubs/0/1",
    "redis+sentinel://a/hubs/x",
    "redis+sentinel://a,,b/hubs",
    "redis+sentinel://a:99999/hubs",
    "redis+cluster://",
    "redis+cluster://u:geheim%@a",
    "redis+cluster://a/1",
    "redis+cluster://a?x=1",
    "redis+other://a",
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
