// Settings from flags, environment and file: precedence, checks, and what a mistake is told.
import assert from "node:assert/strict";
import test from "node:test";
import { ConfigError, configSchema, isLoopback, loadConfig, nearest, parseAmount } from "../../hub/config.ts";

const refused = (sources: Parameters<typeof loadConfig>[0], pattern: RegExp): void => {
  assert.throws(
    () => loadConfig(sources),
    (error: Error) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, pattern);
      return true;
    },
  );
};

test("defaults are those of the product's contract", () => {
  const config = loadConfig({});
  assert.deepEqual(
    [config.mqtt.port, config.kafka.port, config.http.port, config.hub.id, config.redis.url, config.hub.data],
    [1883, 9092, 8080, 1, null, "./data"],
  );
  assert.deepEqual(config.hub.listen, ["127.0.0.1", "::1"]);
});

test("a flag wins over the environment, the environment over the file", () => {
  const file = { mqtt: { port: 1 }, kafka: { port: 2 }, http: { port: 3 } };
  const env = { PARTIDOR_KAFKA__PORT: "20", PARTIDOR_HTTP__PORT: "30", OTHER: "x" };
  const config = loadConfig({ file, env, flags: { "http.port": "300", "hub.id": undefined } });
  assert.deepEqual([config.mqtt.port, config.kafka.port, config.http.port], [1, 20, 300]);
});

test("an unknown key is an error with a hint", () => {
  refused({ file: { mqtt: { prot: 1883 } } }, /partidor\.toml: unknown key mqtt\.prot, did you mean mqtt\.port\?/);
  refused({ file: { mqqt: {} } }, /unknown section \[mqqt\], did you mean \[mqtt\]\?/);
  refused({ env: { PARTIDOR_MQTT__PROT: "1" } }, /environment PARTIDOR_MQTT__PROT: unknown key/);
  refused(
    { file: { settings: { "retention.msx": 1 } } },
    /unknown setting retention\.msx, did you mean retention\.ms\?/,
  );
});

test("a wrong value says where and what it needs", () => {
  refused({ file: { mqtt: { port: 99_999 } } }, /\[mqtt\]: mqtt\.port = 99999 needs a port/);
  refused({ flags: { "hub.id": "64" } }, /command line: hub\.id = "64" needs a number 0\.\.63/);
  refused({ file: { mqtt: { "ack-timeout": "soon" } } }, /needs a duration/);
  for (const bad of [0, 20_001, "many", 1.5]) {
    refused({ file: { mqtt: { "max-connections": bad } } }, /mqtt\.max-connections = .* needs a number 1\.\.20000/);
  }
  assert.equal(loadConfig({ env: { PARTIDOR_MQTT__MAX_CONNECTIONS: "7" } }).mqtt.connectionsMax, 7);
  refused({ file: { settings: { "num.partitions": 0 } } }, /num\.partitions = 0: it needs a whole number 1\.\.\d+/);
  refused({ file: { settings: { "cleanup.policy": "shred" } } }, /cleanup\.policy = shred: it needs delete, compact/);
  refused({ file: { hub: { insecure: "perhaps" } } }, /needs true or false/);
});

test("broker settings take quoted and dotted names, sizes and durations", () => {
  const quoted = loadConfig({ file: { settings: { "retention.ms": "7d", "segment.bytes": "64MiB" } } });
  const dotted = loadConfig({ file: { settings: { retention: { ms: "7d" }, segment: { bytes: 67_108_864 } } } });
  assert.deepEqual(
    [...quoted.settings],
    [
      ["retention.ms", "604800000"],
      ["segment.bytes", "67108864"],
    ],
  );
  assert.deepEqual([...dotted.settings], [...quoted.settings]);
  const env = loadConfig({ env: { PARTIDOR_SETTINGS__NUM_PARTITIONS: "8" } });
  assert.equal(env.settings.get("num.partitions"), "8");
});

test("a secret comes from its file and not from the command line", () => {
  const readSecret = (name: string): string => (name === "/run/redis" ? "redis://:secret@h:1\n" : "");
  const config = loadConfig({ file: { redis: { url_file: "/run/redis" } }, readSecret });
  assert.equal(config.redis.url, "redis://:secret@h:1");
});

test("amounts", () => {
  assert.equal(parseAmount("7d"), 604_800_000);
  assert.equal(parseAmount("512MiB"), 536_870_912);
  assert.equal(parseAmount("1.5h"), 5_400_000);
  assert.equal(parseAmount("-1"), -1);
  for (const bad of ["", "7 fortnights", "x", null, 1.5, Number.NaN]) assert.equal(parseAmount(bad), null);
});

test("nearest finds a slip of the finger and not a different word", () => {
  assert.equal(nearest("retnetion", ["retention", "segment"]), "retention");
  assert.equal(nearest("banana", ["retention", "segment"]), null);
});

test("loopback is told from the rest", () => {
  for (const host of ["127.0.0.1", "127.8.8.8", "::1", "localhost"]) assert.equal(isLoopback(host), true, host);
  for (const host of ["0.0.0.0", "::", "192.168.1.4", "hub.local"]) assert.equal(isLoopback(host), false, host);
});

test("the schema knows every section and refuses others", () => {
  const schema = configSchema() as { properties: Record<string, { properties?: Record<string, unknown> }> };
  assert.ok(schema.properties.kafka!.properties!.advertised);
  assert.ok(schema.properties.settings!.properties!["retention.ms"]);
  assert.equal((schema as { additionalProperties?: boolean }).additionalProperties, false);
});

test("[access]: mechanisms by name, the first user's password from its file alone", () => {
  const readSecret = (name: string): string => (name === "secret" ? "s3cret\n" : "");
  const section = { sasl: ["scram-sha-256", "PLAIN"], user: "admin", password_file: "secret", rules: true };
  const { access } = loadConfig({ file: { access: section }, readSecret });
  assert.deepEqual(access.sasl, ["SCRAM-SHA-256", "PLAIN"]);
  assert.deepEqual([access.user, access.password, access.rules], ["admin", "s3cret", true]);
  const env = { PARTIDOR_ACCESS__USER: "ann", PARTIDOR_ACCESS__PASSWORD_FILE: "secret" };
  assert.equal(loadConfig({ env, readSecret }).access.password, "s3cret");
  assert.deepEqual(loadConfig({}).access.sasl, []);
  refused({ file: { access: { sasl: ["GSSAPI"] } } }, /SCRAM-SHA-512/);
  assert.deepEqual(loadConfig({ file: { access: { sasl: [] } } }).access.sasl, []);
  refused({ file: { access: { user: "admin" } } }, /password_file/);
  refused({ file: { access: { user: "admin", password_file: "empty" } }, readSecret }, /password_file/);
  refused({ file: { access: { password_file: "secret" } }, readSecret }, /access\.user/);
  refused({ file: { access: { password: "x" } } }, /unknown key access\.password/);
  const { properties } = configSchema() as { properties: { access: { properties: Record<string, unknown> } } };
  assert.ok("password_file" in properties.access.properties, "the schema knows the file");
  assert.ok(!("password" in properties.access.properties), "the schema knows no password in the open");
});

test("routes and downlinks are lists of tables; what they say the bridge checks", () => {
  const downlink = { topic: "commands", publish: "devices/{key}/commands", qos: 1 };
  const route = { match: "{a}/#", topic: "{a}", store: true };
  const config = loadConfig({ file: { routes: [route], downlinks: [downlink] } });
  assert.deepEqual([config.routes, config.downlinks], [[route], [downlink]]);
  assert.deepEqual([loadConfig({}).routes, loadConfig({}).downlinks], [null, []]);
  refused({ file: { routes: [{ ...route, key: 7 }] } }, /route 1: key needs text, true or false/);
  refused({ file: { downlinks: [downlink, { ...downlink, qos: true }] } }, /downlink 2: qos needs text or a number/);
  refused({ file: { downlinks: ["x"] } }, /downlink 1 is not a table/);
  assert.ok("downlinks" in (configSchema() as { properties: object }).properties);
});
