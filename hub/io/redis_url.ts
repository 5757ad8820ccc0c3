// Reads a Redis URL from the command line or the configuration, and says in one sentence what is wrong with it.
import { HubError } from "../errors.ts";

export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

/** Where Redis is and how to get in. */
export interface RedisAddress {
  readonly kind: "server" | "sentinel" | "cluster";
  /** The server; Sentinels or members of the Cluster to ask first; none for a Unix socket. */
  readonly nodes: readonly RedisNode[];
  /** The name under which Sentinels know the master. */
  readonly master: string | null;
  readonly database: number;
  /** Of the servers, not of the Sentinels. */
  readonly username: string | null;
  readonly password: string | null;
  readonly tls: boolean;
  /** Unix socket. */
  readonly path: string | null;
}

const form =
  "use redis://[user:password@]host[:port][/database], redis+sentinel://[...@]host[:port],.../master[/database], " +
  "redis+cluster://[...@]host[:port],..., rediss... for TLS, or unix:///path/to/socket";

/**
 * Takes `redis://`, `rediss://` and `unix://` URLs, and `redis+sentinel://` and `redis+cluster://` with several hosts;
 * the port defaults to 6379 (Sentinel: 26379), the database to 0.
 * @throws HubError INVALID_CONFIG; the text never holds a password
 */
export function parseRedisUrl(text: string): RedisAddress {
  const many = /^(rediss?)\+(sentinel|cluster):\/\/(?:([^/]*)@)?([^/@]*)(?:\/(.*))?$/s.exec(text);
  if (many !== null) {
    const [, scheme, kind, login, hosts, rest] = many;
    const nodes = hosts!.split(",").map((host) => nodeOf(host, kind === "sentinel" ? 26379 : 6379, text));
    const [username, ...password] = (login ?? "").split(":");
    const secrets = { username: secret(username!, text), password: secret(password.join(":"), text) };
    const common = { ...secrets, nodes, tls: scheme === "rediss", path: null };
    return kind === "cluster" ? clusterOf(common, rest ?? "", text) : sentinelOf(common, rest ?? "", text);
  }
  const url = urlOf(text, text);
  const secrets = { username: secret(url.username, text), password: secret(url.password, text) };
  const common = { ...secrets, kind: "server" as const, master: null };
  if (url.protocol === "unix:") {
    if (url.host !== "" || url.pathname.length < 2) throw wrong(text, "it names no socket");
    return { ...common, nodes: [], database: 0, tls: false, path: decodeURIComponent(url.pathname) };
  }
  if (url.protocol !== "redis:" && url.protocol !== "rediss:") {
    throw wrong(text, `${url.protocol.slice(0, -1)} is not a way to reach Redis`);
  }
  if (url.search !== "" || url.hash !== "") throw wrong(text, "it has something after the database");
  const nodes = [hostAndPort(url, 6379, text)];
  const database = databaseOf(url.pathname.slice(1), text);
  return { ...common, nodes, database, tls: url.protocol === "rediss:", path: null };
}

type Common = Pick<RedisAddress, "nodes" | "username" | "password" | "tls" | "path">;

function clusterOf(common: Common, rest: string, text: string): RedisAddress {
  if (rest !== "" && rest !== "0") throw wrong(text, "a Redis Cluster has database 0 only");
  return { ...common, kind: "cluster", master: null, database: 0 };
}

function sentinelOf(common: Common, rest: string, text: string): RedisAddress {
  const [master, database, ...more] = rest.split("/");
  if (!/^[\w.-]+$/.test(master!)) throw wrong(text, "it does not name the master that the Sentinels watch");
  if (more.length > 0) throw wrong(text, "it has something after the database");
  return { ...common, kind: "sentinel", master: master!, database: databaseOf(database ?? "", text) };
}

function nodeOf(host: string, port: number, text: string): RedisNode {
  const url = urlOf(`redis://${host}`, text);
  if (url.search !== "" || url.hash !== "") throw wrong(text, "it has something after the hosts");
  return hostAndPort(url, port, text);
}

function hostAndPort(url: URL, port: number, text: string): RedisNode {
  if (url.hostname === "") throw wrong(text, "it names no host");
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port: url.port === "" ? port : Number(url.port) };
}

function databaseOf(digits: string, text: string): number {
  if (!/^\d{0,5}$/.test(digits)) throw wrong(text, `${JSON.stringify(digits)} is no database number`);
  return Number(digits);
}

function urlOf(part: string, text: string): URL {
  try {
    return new URL(part);
  } catch {
    throw wrong(text, "it is not a URL");
  }
}

function secret(text: string, url: string): string | null {
  try {
    return text === "" ? null : decodeURIComponent(text);
  } catch {
    throw wrong(url, "user name or password is not URL-encoded");
  }
}

function wrong(text: string, why: string): HubError {
  const masked = text.replace(/\/\/.*@/s, "//...@");
  return new HubError("INVALID_CONFIG", `The Redis URL ${JSON.stringify(masked)} cannot be used: ${why}; ${form}.`);
}
