// Settings of a hub: flag over environment over file over default, one table that checks and documents itself. Pure.
import { type BrokerSetting, brokerSettings, placeOf } from "./broker_settings.ts";
import { settings, type Kind, type Setting } from "./config_table.ts";
import { limits } from "./limits.ts";
import { topicSettings } from "./topic_settings.ts";

/** Where an MQTT message goes; bridge/topic_map.ts gives it its meaning. */
export type RouteTable = readonly Readonly<Record<string, string | boolean>>[];

/** What goes from hub topics to devices; bridge/deliver/downlink.ts gives it its meaning. */
export type DownlinkTable = readonly Readonly<Record<string, string | number>>[];

export interface Config {
  readonly hub: { id: number; data: string; listen: readonly string[]; insecure: boolean; clockTrusted: boolean };
  readonly mqtt: {
    port: number;
    ackTimeout: number;
    presence: boolean;
    advertised: string | null;
    connectionsMax: number;
  };
  readonly kafka: { port: number; advertised: string | null };
  readonly http: { port: number; origins: readonly string[] };
  readonly redis: { url: string | null };
  readonly cluster: {
    name: string;
    bootstrap: boolean;
    secret: string | null;
    beatMs: number;
    sessionMs: number;
    rack: string | null;
  };
  readonly access: {
    /** SASL mechanisms of the Kafka listener; none = nobody is asked who they are. */
    sasl: readonly string[];
    rules: boolean;
    superUsers: readonly string[];
    allowIfNoRule: boolean;
    user: string | null;
    password: string | null;
  };
  readonly log: { level: "debug" | "info" | "warn" | "error" };
  /** Broker-wide settings under Kafka's names (num.partitions, retention.ms ...), as text. */
  readonly settings: ReadonlyMap<string, string>;
  /** null: the bridge's own default. */
  readonly routes: RouteTable | null;
  /** What goes from hub topics to devices. */
  readonly downlinks: DownlinkTable;
  readonly demo: boolean;
}

/** What is wrong with a configuration: where, what, and what to do. */
export class ConfigError extends Error {
  constructor(where: string, what: string) {
    super(`${where}: ${what}`);
    this.name = "ConfigError";
  }
}

const units: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** "7d", "512MiB", "1500" or 1500 as a whole number of milliseconds or bytes; null when it is none of these. */
export function parseAmount(value: unknown): number | null {
  if (typeof value === "number") return Number.isSafeInteger(value) ? value : null;
  const parts = /^(-?\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(String(value).trim());
  if (!parts) return null;
  const unit = parts[2] === "" ? 1 : units[parts[2]!];
  const amount = unit === undefined ? Number.NaN : Number(parts[1]) * unit;
  return Number.isSafeInteger(Math.round(amount)) ? Math.round(amount) : null;
}

/** The known name nearest to a mistyped one, or null when none is near. */
export function nearest(name: string, known: Iterable<string>): string | null {
  let best: string | null = null;
  let least = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name, candidate);
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, swap));
    }
    row = next;
  }
  return row[b.length]!;
}

export interface ConfigSources {
  /** Parsed TOML. */
  readonly file?: Readonly<Record<string, unknown>>;
  readonly fileName?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** By path (`mqtt.port`), as the command line gave them. */
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly demo?: boolean;
  /** Reads a secret's file (`redis.url_file`). */
  readonly readSecret?: (name: string) => string;
}

/** Merges and checks. Throws ConfigError for the first thing that is wrong; an unknown key is an error. */
export function loadConfig(sources: ConfigSources): Config {
  const found = new Map<string, { value: unknown; where: string }>();
  const broker = new Map<string, string>();
  let routes: RouteTable | null = null;
  let downlinks: DownlinkTable = [];
  const fileName = sources.fileName ?? "partidor.toml";
  for (const [section, content] of Object.entries(sources.file ?? {})) {
    if (section === "settings") readBroker(content, "", fileName, broker);
    else if (section === "routes") routes = readTables("route", content, fileName, ["string", "boolean"]) as RouteTable;
    else if (section === "downlinks")
      downlinks = readTables("downlink", content, fileName, ["string", "number"]) as DownlinkTable;
    else readSection(section, content, fileName, found);
  }
  for (const [name, value] of Object.entries(sources.env ?? {})) {
    if (!name.startsWith("PARTIDOR_") || value === undefined) continue;
    const path = name.slice("PARTIDOR_".length).toLowerCase().replace("__", ".").replaceAll("_", "-");
    if (path.startsWith("settings."))
      setBroker(path.slice(9).replaceAll("-", "."), value, `environment ${name}`, broker);
    else found.set(known(path, `environment ${name}`), { value, where: `environment ${name}` });
  }
  for (const [path, value] of Object.entries(sources.flags ?? {})) {
    if (value !== undefined) found.set(known(path, "command line"), { value, where: "command line" });
  }
  const get = (path: string): unknown => {
    const entry = settings.find((one) => one.path === path)!;
    const secret = entry.fileKey && found.get(entry.fileKey);
    if (secret) return (sources.readSecret?.(String(secret.value)) ?? "").trim();
    const given = found.get(path);
    return given ? convert(entry, given.value, given.where) : entry.default;
  };
  return {
    hub: {
      id: get("hub.id") as number,
      data: get("hub.data") as string,
      listen: get("hub.listen") as string[],
      insecure: get("hub.insecure") as boolean,
      clockTrusted: get("hub.clock-trusted") as boolean,
    },
    mqtt: {
      port: get("mqtt.port") as number,
      ackTimeout: get("mqtt.ack-timeout") as number,
      presence: get("mqtt.presence") as boolean,
      advertised: get("mqtt.advertised") as string | null,
      connectionsMax: get("mqtt.max-connections") as number,
    },
    kafka: { port: get("kafka.port") as number, advertised: get("kafka.advertised") as string | null },
    http: { port: get("http.port") as number, origins: get("http.origins") as string[] },
    redis: { url: get("redis.url") as string | null },
    cluster: clusterOf(get),
    access: accessOf(get),
    log: { level: get("log.level") as Config["log"]["level"] },
    settings: broker,
    routes,
    downlinks,
    demo: sources.demo ?? false,
  };
}

function clusterOf(get: (path: string) => unknown): Config["cluster"] {
  const name = get("cluster.name") as string;
  // it becomes a hash tag in Redis
  if (!/^[a-zA-Z0-9._-]{1,60}$/.test(name)) {
    throw new ConfigError("cluster.name", `${JSON.stringify(name)} is not 1 to 60 letters, digits, dots, _ or -`);
  }
  return {
    name,
    bootstrap: get("cluster.bootstrap") as boolean,
    secret: get("cluster.secret") as string | null,
    beatMs: get("cluster.beat") as number,
    sessionMs: get("cluster.session") as number,
    rack: get("cluster.rack") as string | null,
  };
}

function accessOf(get: (path: string) => unknown): Config["access"] {
  const access = {
    sasl: get("access.sasl") as string[],
    rules: get("access.rules") as boolean,
    superUsers: get("access.super-users") as string[],
    allowIfNoRule: get("access.allow-if-no-rule") as boolean,
    user: get("access.user") as string | null,
    password: get("access.password") as string | null,
  };
  if (access.user !== null && !access.password) {
    throw new ConfigError("access.user", "needs access.password_file, a file that holds the password");
  }
  if (access.user === null && access.password !== null) {
    throw new ConfigError("access.password_file", "needs access.user, the user whose password it holds");
  }
  return access;
}

function known(path: string, where: string): string {
  const paths = settings.flatMap((one) => [...(one.fileOnly ? [] : [one.path]), ...(one.fileKey ? [one.fileKey] : [])]);
  const plain = path.endsWith("-file") ? `${path.slice(0, -5)}_file` : path; // as the environment spells it
  if (paths.includes(plain)) return plain;
  const hint = nearest(path, paths);
  throw new ConfigError(where, `unknown key ${path}${hint ? `, did you mean ${hint}?` : ""}`);
}

function readSection(
  section: string,
  content: unknown,
  fileName: string,
  found: Map<string, { value: unknown; where: string }>,
): void {
  const sections = [...new Set(settings.map((one) => one.path.split(".")[0]!)), "settings", "routes", "downlinks"];
  if (!sections.includes(section)) {
    const hint = nearest(section, sections);
    throw new ConfigError(fileName, `unknown section [${section}]${hint ? `, did you mean [${hint}]?` : ""}`);
  }
  if (typeof content !== "object" || content === null) throw new ConfigError(fileName, `[${section}] is not a section`);
  for (const [key, value] of Object.entries(content)) {
    found.set(known(`${section}.${key}`, fileName), { value, where: `${fileName} [${section}]` });
  }
}

/** `retention.ms = ...` without quotes arrives as nested tables; both forms mean the same. */
function readBroker(content: unknown, prefix: string, where: string, broker: Map<string, string>): void {
  for (const [key, value] of Object.entries(content as Record<string, unknown>)) {
    if (typeof value === "object" && value !== null) readBroker(value, `${prefix}${key}.`, where, broker);
    else setBroker(prefix + key, value, `${where} [settings]`, broker);
  }
}

/** Topic defaults may bear the topic's name or the hub's name for them (retention.ms, log.retention.ms). */
function brokerSetting(name: string): BrokerSetting | undefined {
  return brokerSettings.get(topicSettings.get(name)?.brokerName ?? name);
}

function setBroker(name: string, value: unknown, where: string, broker: Map<string, string>): void {
  const setting = brokerSetting(name);
  if (!setting) {
    const hint = nearest(name, [...brokerSettings.keys(), ...topicSettings.keys()]);
    throw new ConfigError(where, `unknown setting ${name}${hint ? `, did you mean ${hint}?` : ""}`);
  }
  if (setting.changedBy === "nobody") throw new ConfigError(where, `${name} cannot be set: ${setting.documentation}`);
  const amount = setting.kind === "long" || setting.kind === "int" ? parseAmount(value) : null;
  const text = amount === null ? String(value) : String(amount);
  const refusal = setting.check(text);
  if (refusal) throw new ConfigError(where, `${name} = ${String(value)}: it ${refusal}`);
  broker.set(placeOf(setting), text);
}

/** A list of tables that the bridge checks: here only what their values are. */
function readTables(what: string, content: unknown, fileName: string, kinds: readonly string[]): readonly object[] {
  const list: readonly unknown[] = Array.isArray(content) ? content : [content];
  return list.map((entry, i) => {
    if (typeof entry !== "object" || entry === null) throw new ConfigError(fileName, `${what} ${i + 1} is not a table`);
    for (const [key, value] of Object.entries(entry)) {
      if (kinds.includes(typeof value)) continue;
      const allowed = kinds.includes("number") ? "text or a number" : "text, true or false";
      throw new ConfigError(fileName, `${what} ${i + 1}: ${key} needs ${allowed}`);
    }
    return entry;
  });
}

/** What may stand in access.sasl. */
const saslNames: readonly string[] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

function convert(entry: Setting, value: unknown, where: string): unknown {
  const fail = (needs: string): never => {
    throw new ConfigError(where, `${entry.path} = ${JSON.stringify(value)} needs ${needs}`);
  };
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  switch (entry.kind) {
    case "port":
      return Number.isInteger(number) && (number as number) >= 0 && (number as number) <= 65_535
        ? number
        : fail("a port 0..65535");
    case "id":
      return Number.isInteger(number) && (number as number) >= 0 && (number as number) <= 63
        ? number
        : fail("a number 0..63");
    case "connections":
      return Number.isInteger(number) && (number as number) >= 1 && (number as number) <= limits.mqttConnectionsMax
        ? number
        : fail(`a number 1..${limits.mqttConnectionsMax}`);
    case "text":
      return typeof value === "string" && value !== "" ? value : fail("text");
    case "texts": {
      const list = typeof value === "string" ? value.split(",").map((one) => one.trim()) : value;
      return Array.isArray(list) && list.every((one) => typeof one === "string" && one) ? list : fail("a list of text");
    }
    case "mechanisms": {
      const list = (typeof value === "string" ? value.split(",") : value) as unknown[];
      const named = Array.isArray(list) ? list.map((one) => String(one).trim().toUpperCase()) : [];
      const good = Array.isArray(list) && named.every((one) => saslNames.includes(one));
      return good ? [...new Set(named)] : fail(`a list of ${saslNames.join(", ")}`);
    }
    case "duration": {
      const amount = parseAmount(value);
      return amount !== null && amount > 0 ? amount : fail('a duration such as "30s"');
    }
    case "boolean":
      return value === true || value === "true"
        ? true
        : value === false || value === "false"
          ? false
          : fail("true or false");
    case "level":
      return ["debug", "info", "warn", "error"].includes(String(value)) ? value : fail("debug, info, warn or error");
  }
}

/** True for an address that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** JSON Schema of `partidor.toml`, with every key, default and meaning. */
export function configSchema(): Record<string, unknown> {
  const types: Record<Kind, object> = {
    port: { type: "integer", minimum: 0, maximum: 65_535 },
    id: { type: "integer", minimum: 0, maximum: 63 },
    connections: { type: "integer", minimum: 1, maximum: limits.mqttConnectionsMax },
    text: { type: "string" },
    texts: { type: "array", items: { type: "string" } },
    mechanisms: { type: "array", items: { enum: saslNames } },
    duration: { type: ["string", "integer"], examples: ["30s", "7d"] },
    boolean: { type: "boolean" },
    level: { enum: ["debug", "info", "warn", "error"] },
  };
  const sections: Record<string, { type: "object"; additionalProperties: false; properties: Record<string, object> }> =
    {};
  const put = (path: string, schema: object): void => {
    const [section, key] = path.split(".") as [string, string];
    sections[section] ??= { type: "object", additionalProperties: false, properties: {} };
    sections[section].properties[key] = schema;
  };
  for (const one of settings) {
    if (!one.fileOnly) put(one.path, { ...types[one.kind], default: one.default, description: one.doc });
    if (one.fileKey)
      put(one.fileKey, {
        type: "string",
        description: `A file that holds ${one.path}.${one.fileOnly ? ` ${one.doc}` : ""}`,
      });
  }
  const broker: Record<string, object> = {};
  const describe = (name: string, value: string | null, description: string): void => {
    broker[name] = { ...(value === null ? {} : { default: value }), description };
  };
  for (const one of brokerSettings.values()) {
    if (one.changedBy !== "nobody") describe(one.name, one.default, one.documentation);
  }
  for (const one of topicSettings.values()) describe(one.name, one.default, one.documentation);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "partidor.toml",
    type: "object",
    additionalProperties: false,
    properties: {
      ...sections,
      settings: { type: "object", additionalProperties: false, properties: broker },
      routes: {
        type: "array",
        items: { type: "object" },
        description: "MQTT topic -> hub topic, key; first match wins.",
      },
      downlinks: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["topic", "publish"],
          properties: {
            topic: { type: "string", description: "Hub topic whose records go to devices." },
            publish: { type: "string", description: "MQTT topic; {key} is the record's key." },
            qos: { type: "integer", minimum: 0, maximum: 2, default: 1 },
          },
        },
        description: "Hub topic -> MQTT topic, whoever wrote the records.",
      },
    },
  };
}
