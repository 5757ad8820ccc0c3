// The HTTP port: the page, health, metrics, the browsers' WebSocket, and upgrades that others brought.
import type { IncomingMessage, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { hostname } from "node:os";
import path from "node:path";
import type { Duplex } from "node:stream";
import { createAdaptorServer } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { createWebSocketStream, type WebSocket, WebSocketServer } from "ws";
import { type HubClient, limits, type Trace } from "../hub/mod.ts";
import { Assets } from "./assets.ts";
import { originAllowed } from "./origin.ts";
import { Screens } from "./screens.ts";
import { Session } from "./session.ts";
import { Tails } from "./tail.ts";

export interface DashboardHealth {
  readonly status: "starting" | "ready" | "degraded" | "draining";
  /** One sentence each; empty unless degraded. */
  readonly why: readonly string[];
}

export interface DashboardOptions {
  /** Hosts to listen on; of several, one that this machine does not have (::1 without IPv6) is left out. */
  readonly host: string | readonly string[];
  /** 0 picks a free one, the same for all hosts. */
  readonly port: number;
  readonly trace: Trace;
  readonly health: () => DashboardHealth;
  /** Prometheus text. */
  readonly metrics: () => Promise<string>;
  /** WebSocket paths that others serve, as "/mqtt" for MQTT; the subprotocol is the path's name. */
  readonly upgrades: ReadonlyMap<string, (stream: Duplex, remoteAddress: string) => void>;
  /** What the bridge would do with an MQTT topic: `GET /api/route?topic=...`. */
  readonly testRoute?: (mqttTopic: string) => unknown;
  /** Origins beside the page's own, as `https://hub.example.org`. */
  readonly allowedOrigins?: readonly string[];
  /** Bytes on disk of a topic, where known. */
  readonly topicBytes?: (topic: string) => number | null;
  /** What the hub knows of its cluster: `GET /api/cluster`; null for a lone hub. */
  readonly cluster?: () => object | null;
  /** Milliseconds between pings; a browser that does not answer one is gone by the next. 15 s when left out. */
  readonly pingMs?: number;
}

export interface Dashboard {
  readonly port: number;
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  /** The hub became ready: subscriptions begin, those that wait already too. */
  attach(client: HubClient): void;
  /** Tells the browsers, then closes everything. Idempotent. */
  close(): Promise<void>;
}

const securityHeaders: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; " +
    "require-trusted-types-for 'script'; trusted-types 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
};

function webApp(options: DashboardOptions, assets: Assets): Hono {
  const app = new Hono();
  app.use(async (context, next) => {
    await next();
    for (const [name, value] of Object.entries(securityHeaders)) context.header(name, value);
  });
  app.get("/healthz", (context) => fresh(context, { status: "alive" }, 200));
  app.get("/readyz", (context) => {
    const { status, why } = options.health();
    const body = status === "degraded" ? { status, why } : { status };
    return fresh(context, body, status === "ready" || status === "degraded" ? 200 : 503);
  });
  app.get("/metrics", async (context) => {
    const text = await options.metrics();
    context.header("cache-control", "no-store");
    return context.body(text, 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
  });
  app.get("/api/route", (context) => {
    const topic = context.req.query("topic");
    if (options.testRoute === undefined) return fresh(context, { error: "no bridge runs here" }, 404);
    if (topic === undefined || topic === "") return fresh(context, { error: "say ?topic=..." }, 400);
    try {
      return fresh(context, options.testRoute(topic), 200);
    } catch (error) {
      return fresh(context, { error: error instanceof Error ? error.message : String(error) }, 400);
    }
  });
  app.get("/api/cluster", (context) => fresh(context, options.cluster?.() ?? { lone: true }, 200));
  app.get("*", (context) => serveAsset(context, assets));
  app.notFound((context) => fresh(context, { error: "not found" }, 404));
  app.onError((error, context) => {
    options.trace.event("error", "http_failed", { path: context.req.path, error: error.message });
    return fresh(context, { error: "the hub failed on this; its log says more" }, 500);
  });
  return app;
}

function fresh(context: Context, body: unknown, status: 200 | 400 | 404 | 500 | 503): Response {
  context.header("cache-control", "no-store");
  return context.json(body as object, status);
}

function serveAsset(context: Context, assets: Assets): Response | Promise<Response> {
  const asset = assets.get(context.req.path);
  if (asset === null) return context.notFound();
  const zipped = /\bgzip\b/.test(context.req.header("accept-encoding") ?? "");
  // asked again at each load, answered with 304: a new release is seen at once
  const headers: Record<string, string> = { "cache-control": "no-cache", etag: asset.etag, vary: "accept-encoding" };
  if (context.req.header("if-none-match") === asset.etag) return context.body(null, 304, headers);
  headers["content-type"] = asset.type;
  if (zipped) headers["content-encoding"] = "gzip";
  return context.body(zipped ? asset.gzip : asset.bytes, 200, headers);
}

/** What Node and Deno (EINVAL) say of an address that this machine does not have. */
const absentCodes = ["EADDRNOTAVAIL", "EAFNOSUPPORT", "EINVAL"];

async function listenAll(app: Hono, options: DashboardOptions): Promise<Server[]> {
  const hosts = typeof options.host === "string" ? [options.host] : options.host;
  const servers: Server[] = [];
  let port = options.port;
  try {
    for (const host of hosts) {
      const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
      server.headersTimeout = 10_000;
      server.requestTimeout = 10_000;
      server.maxConnections = limits.connectionsMax;
      try {
        await listen(server, host, port);
      } catch (error) {
        const { code } = error as { code?: string };
        const absent = code !== undefined && absentCodes.includes(code);
        if (servers.length === 0 || !absent) throw error;
        continue;
      }
      servers.push(server);
      port = (server.address() as AddressInfo).port;
    }
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
  return servers;
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** The WebSocket side: checks each upgrade, keeps the browsers' sockets alive or ends them. */
class Sockets {
  readonly #options: DashboardOptions;
  readonly #open: (wire: WebSocket) => void;
  readonly #servers = new Map<string, WebSocketServer>();
  readonly #alive = new Map<WebSocket, boolean>();
  readonly #pinger: ReturnType<typeof setInterval>;

  constructor(options: DashboardOptions, open: (socket: WebSocket) => void) {
    this.#options = options;
    this.#open = open;
    const common = { noServer: true, perMessageDeflate: false, clientTracking: false } as const;
    this.#servers.set("/ws", new WebSocketServer({ ...common, maxPayload: limits.browserMessageBytesMax }));
    for (const upgradePath of options.upgrades.keys()) {
      const handleProtocols = (offered: Set<string>): string | false => {
        const name = upgradePath.slice(1);
        return offered.has(name) ? name : false;
      };
      const maxPayload = limits.mqttPacketBytesMax + 1024;
      this.#servers.set(upgradePath, new WebSocketServer({ ...common, maxPayload, handleProtocols }));
    }
    this.#pinger = setInterval(() => this.#ping(), options.pingMs ?? limits.browserPingMs);
    this.#pinger.unref();
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    const pathname = (request.url ?? "/").split("?", 1)[0]!;
    const server = this.#servers.get(pathname);
    const refusal = this.#refusal(request, pathname);
    if (server === undefined || refusal !== null) {
      const [status, reason] = refusal ?? ["404 Not Found", "nothing to upgrade to here"];
      const head = `HTTP/1.1 ${status}\r\ncontent-type: text/plain\r\ncontent-length: ${reason.length}\r\n`;
      socket.end(`${head}connection: close\r\n\r\n${reason}`);
      return;
    }
    server.handleUpgrade(request, socket, head, (ws) => {
      if (pathname === "/ws") {
        this.#keep(ws);
        this.#open(ws);
        return;
      }
      // the stream would take the bytes of a text frame as well; MQTT ends the connection for one [MQTT-6.0.0-1]
      ws.prependListener("message", (_, isBinary) => {
        if (!isBinary) ws.terminate();
      });
      const stream = createWebSocketStream(ws);
      stream.on("error", () => stream.destroy());
      this.#options.upgrades.get(pathname)!(stream, request.socket.remoteAddress ?? "");
    });
  }

  /** Status and reason when the upgrade is refused. */
  #refusal(request: IncomingMessage, pathname: string): [status: string, reason: string] | null {
    const { origin, host, "sec-websocket-protocol": protocols = "" } = request.headers;
    if (!originAllowed(origin, host, this.#options.allowedOrigins ?? [], hostname())) {
      this.#options.trace.event("warn", "origin_refused", { origin: origin?.slice(0, 200), path: pathname });
      return ["403 Forbidden", "this origin may not connect; allow it in the configuration"];
    }
    if (pathname === "/ws" && this.#alive.size >= limits.browsersMax) {
      return ["503 Service Unavailable", "too many browsers"];
    }
    const offered = protocols.split(",").map((name) => name.trim());
    if (this.#options.upgrades.has(pathname) && !offered.includes(pathname.slice(1))) {
      return ["400 Bad Request", `offer the subprotocol ${pathname.slice(1)}`];
    }
    return null;
  }

  #keep(ws: WebSocket): void {
    this.#alive.set(ws, true);
    this.#options.trace.gauge("browsers", this.#alive.size);
    ws.on("pong", () => this.#alive.set(ws, true));
    ws.on("error", () => {}); // `close` follows
    ws.on("close", () => {
      this.#alive.delete(ws);
      this.#options.trace.gauge("browsers", this.#alive.size);
    });
  }

  /** A browser that did not answer the last ping is gone. */
  #ping(): void {
    for (const [ws, alive] of this.#alive) {
      if (!alive) ws.terminate();
      else {
        this.#alive.set(ws, false);
        ws.ping();
      }
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#pinger);
    const open = [...this.#alive.keys()];
    const gone = open.map((ws) => new Promise<void>((resolve) => void ws.once("close", () => resolve())));
    for (const ws of open) ws.close(1001, "the hub stops");
    const late = setTimeout(() => {
      for (const ws of open) ws.terminate();
    }, 500);
    await Promise.all(gone);
    clearTimeout(late);
  }
}

/** Parts of one message leave as fragments: the shared bytes of a frame are not copied for each browser. */
function sendParts(ws: WebSocket, parts: readonly (string | Buffer)[], sent: () => void): void {
  if (ws.readyState !== ws.OPEN) return;
  parts.forEach((part, i) => {
    const fin = i === parts.length - 1;
    if (fin) ws.send(part, { fin, binary: false }, sent);
    else ws.send(part, { fin, binary: false });
  });
}

/** Starts the HTTP port. Rejects with `code` EADDRINUSE, EACCES, EADDRNOTAVAIL when it cannot listen. */
export async function startDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { trace } = options;
  const assets = new Assets(path.join(import.meta.dirname, "page"));
  const servers = await listenAll(webApp(options, assets), options);
  let attached: { client: HubClient; tails: Tails } | null = null;
  let setHub: (hub: { client: HubClient; tails: Tails }) => void = () => {};
  const hub = new Promise<{ client: HubClient; tails: Tails }>((resolve) => {
    setHub = resolve;
  });
  const screens = new Screens(hub, trace, options.topicBytes);
  const sessions = new Set<Session>();
  const common = {
    hub,
    trace,
    watch: (what: "topics" | "groups", session: Session, on: boolean) => screens.watch(what, session, on),
  };
  const beat = (): string => JSON.stringify({ type: "beat", time: Date.now(), status: options.health().status });
  const sockets = new Sockets(options, (ws) => {
    const wire = {
      send: (parts: readonly (string | Buffer)[], sent: () => void) => sendParts(ws, parts, sent),
      buffered: () => ws.bufferedAmount,
      close: (code: number, reason: string) => ws.close(code, reason),
    };
    const session = new Session(wire, common);
    sessions.add(session);
    session.tell({ type: "hello", version: 1, time: Date.now(), status: options.health().status });
    ws.on("message", (data: Buffer, binary) => {
      if (binary) ws.close(1003, "text only");
      else session.receive(data.toString("utf8"));
    });
    ws.on("close", () => {
      sessions.delete(session);
      session.close();
    });
  });
  for (const server of servers) server.on("upgrade", (request, socket, head) => sockets.upgrade(request, socket, head));
  const beater = setInterval(() => {
    const text = beat();
    for (const session of sessions) session.tellText(text);
  }, limits.browserBeatMs);
  beater.unref();
  const addresses = servers.map((server) => {
    const { address, port } = server.address() as AddressInfo;
    return { host: address, port };
  });
  let closing: Promise<void> | null = null;
  const stop = async (): Promise<void> => {
    clearInterval(beater);
    screens.close();
    const closed = servers.map((server) => new Promise<void>((resolve) => void server.close(() => resolve())));
    await sockets.close();
    await attached?.tails.close();
    for (const server of servers) server.closeAllConnections();
    await Promise.all(closed);
  };
  return {
    port: addresses[0]!.port,
    addresses,
    attach(client) {
      attached = { client, tails: new Tails(client, trace) };
      setHub(attached);
    },
    close() {
      closing ??= stop();
      return closing;
    },
  };
}
