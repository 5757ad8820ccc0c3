// The HTTP port: health, headers, the allow-list of files, upgrades and who is refused.
import assert from "node:assert/strict";
import { request } from "node:http";
import test from "node:test";
import { WebSocket } from "ws";
import { type DashboardOptions, startDashboard } from "../../dashboards/mod.ts";
import { limits } from "../../hub/limits.ts";
import { silentTrace } from "../../hub/trace.ts";
import { TestSocket } from "./socket.ts";
import { StandIn } from "./stand_in.ts";

const plain: DashboardOptions = {
  host: "127.0.0.1",
  port: 0,
  trace: silentTrace,
  health: () => ({ status: "ready", why: [] }),
  metrics: async () => "# HELP partidor_x x\npartidor_x 1\n",
  upgrades: new Map(),
};

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

function get(port: number, path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path, headers, method, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () => {
        resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(parts) });
      });
    });
    asked.on("error", reject);
    asked.end();
  });
}

/** Status of a refused upgrade, or 101. */
function upgrade(
  port: number,
  path: string,
  headers: Record<string, string> = {},
  protocol: string[] = [],
): Promise<number> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocol, { headers });
    socket.on("open", () => {
      socket.on("close", () => resolve(101));
      socket.close();
    });
    socket.on("unexpected-response", (asked, response) => {
      response.resume();
      asked.destroy();
      resolve(response.statusCode!);
    });
    socket.on("error", () => {});
  });
}

test("health, readiness and metrics", async () => {
  let health: ReturnType<DashboardOptions["health"]> = { status: "starting", why: [] };
  const dashboard = await startDashboard({ ...plain, health: () => health });
  try {
    const ready = async (): Promise<[number, unknown]> => {
      const { status, body } = await get(dashboard.port, "/readyz");
      return [status, JSON.parse(String(body))];
    };
    assert.equal((await get(dashboard.port, "/healthz")).status, 200);
    assert.deepEqual(await ready(), [503, { status: "starting" }]);
    health = { status: "ready", why: [] };
    assert.deepEqual(await ready(), [200, { status: "ready" }]);
    health = { status: "degraded", why: ["the disk is full"] };
    assert.deepEqual(await ready(), [200, { status: "degraded", why: ["the disk is full"] }]);
    health = { status: "draining", why: [] };
    assert.deepEqual(await ready(), [503, { status: "draining" }]);
    const metrics = await get(dashboard.port, "/metrics");
    assert.match(String(metrics.headers["content-type"]), /^text\/plain; version=0.0.4/);
    assert.match(String(metrics.body), /^partidor_x 1$/m);
  } finally {
    await dashboard.close();
  }
});

test("the page: screens, headers, compression, 304, and nothing that is not on the list", async () => {
  const dashboard = await startDashboard(plain);
  try {
    for (const path of ["/", "/topics", "/groups"]) {
      const page = await get(dashboard.port, path, { "accept-encoding": "gzip" });
      assert.equal(page.status, 200);
      assert.equal(page.headers["content-encoding"], "gzip");
      assert.match(String(page.headers["content-security-policy"]), /default-src 'self'.*frame-ancestors 'none'/);
      assert.equal(page.headers["x-content-type-options"], "nosniff");
      const again = await get(dashboard.port, path, { "if-none-match": String(page.headers["etag"]) });
      assert.deepEqual([again.status, again.body.length], [304, 0]);
    }
    const script = await get(dashboard.port, "/app.js");
    assert.match(String(script.headers["content-type"]), /^text\/javascript/);
    assert.match(String(script.body), /^\/\/ /);
    for (const path of [
      "/../mod.ts",
      "/..%2fmod.ts",
      "/tsconfig.json",
      "/app.js/",
      "/app.js%00",
      "//app.js",
      "/none",
    ]) {
      const answer = await get(dashboard.port, path);
      assert.equal(answer.status, 404, path);
      assert.match(String(answer.headers["content-security-policy"]), /default-src 'self'/);
    }
    assert.equal((await get(dashboard.port, "/", {}, "POST")).status, 404);
    assert.equal((await get(dashboard.port, "/", {}, "HEAD")).status, 200);
  } finally {
    await dashboard.close();
  }
});

test("the dry run of a route", async () => {
  const bare = await startDashboard(plain);
  const testRoute = (topic: string): unknown => {
    if (topic === "bad") throw new Error("no route");
    return { topic };
  };
  const dashboard = await startDashboard({ ...plain, testRoute });
  try {
    assert.equal((await get(bare.port, "/api/route?topic=a")).status, 404);
    assert.equal(String((await get(dashboard.port, "/api/route?topic=a%2Fb")).body), '{"topic":"a/b"}');
    assert.equal((await get(dashboard.port, "/api/route")).status, 400);
    assert.equal(String((await get(dashboard.port, "/api/route?topic=bad")).body), '{"error":"no route"}');
  } finally {
    await bare.close();
    await dashboard.close();
  }
});

test("upgrades: the page's own origin, programs, and listed origins; others get 403", async () => {
  const dashboard = await startDashboard({ ...plain, allowedOrigins: ["https://hub.example.org"] });
  const { port } = dashboard;
  try {
    assert.equal(await upgrade(port, "/ws"), 101);
    assert.equal(await upgrade(port, "/ws", { origin: `http://127.0.0.1:${port}` }), 101);
    assert.equal(await upgrade(port, "/ws", { origin: "https://hub.example.org" }), 101);
    assert.equal(await upgrade(port, "/ws", { origin: "https://evil.example" }), 403);
    assert.equal(await upgrade(port, "/ws", { origin: "null" }), 403);
    const rebound = { origin: `http://evil.example:${port}`, host: `evil.example:${port}` };
    assert.equal(await upgrade(port, "/ws", rebound), 403);
    assert.equal(await upgrade(port, "/other"), 404);
    assert.equal(await upgrade(port, "//"), 404);
  } finally {
    await dashboard.close();
  }
});

test("an upgrade brought by another room gets its stream, with its subprotocol only", async () => {
  const upgrades = new Map<string, (stream: import("node:stream").Duplex) => void>();
  upgrades.set("/mqtt", (stream) => stream.on("data", (data: Buffer) => stream.write(Buffer.concat([data, data]))));
  const dashboard = await startDashboard({ ...plain, upgrades });
  try {
    assert.equal(await upgrade(dashboard.port, "/mqtt"), 400);
    const socket = new WebSocket(`ws://127.0.0.1:${dashboard.port}/mqtt`, ["mqtt"]);
    await new Promise((resolve) => socket.once("open", resolve));
    assert.equal(socket.protocol, "mqtt");
    const echoed = new Promise<Buffer>((resolve) => void socket.once("message", resolve));
    socket.send(Buffer.from([1, 2]));
    assert.deepEqual([...(await echoed)], [1, 2, 1, 2]);
    const gone = new Promise((resolve) => socket.once("close", resolve));
    socket.terminate();
    await gone;
  } finally {
    await dashboard.close();
  }
});

test("a message beyond the bound, or a binary one, closes the browser's socket", async () => {
  const dashboard = await startDashboard(plain);
  dashboard.attach(new StandIn().client());
  try {
    const closes = async (data: string | Buffer): Promise<number> => {
      const { socket } = await TestSocket.open(dashboard.port);
      const code = new Promise<number>((resolve) => void socket.once("close", resolve));
      socket.send(data);
      return code;
    };
    assert.equal(await closes("x".repeat(limits.browserMessageBytesMax + 1)), 1009);
    assert.equal(await closes(Buffer.from([1])), 1003);
  } finally {
    await dashboard.close();
  }
});

test("a browser that answers no ping is closed, one that does stays", async () => {
  const dashboard = await startDashboard({ ...plain, pingMs: 50 });
  const good = await TestSocket.open(dashboard.port);
  try {
    const silent = new WebSocket(`ws://127.0.0.1:${dashboard.port}/ws`, { autoPong: false });
    const code = await new Promise<number>((resolve) => void silent.once("close", resolve));
    assert.equal(code, 1006);
    assert.equal(good.socket.readyState, WebSocket.OPEN);
  } finally {
    await good.close();
    await dashboard.close();
  }
});

test("only so many browsers are let in", async () => {
  const dashboard = await startDashboard(plain);
  const sockets: TestSocket[] = [];
  try {
    for (let n = 0; n < limits.browsersMax; n++) sockets.push(await TestSocket.open(dashboard.port));
    assert.equal(await upgrade(dashboard.port, "/ws"), 503);
    await sockets.pop()!.close();
    assert.equal(await upgrade(dashboard.port, "/ws"), 101);
  } finally {
    await dashboard.close();
    for (const { socket } of sockets) socket.terminate();
  }
});

test("a subscription made before the hub is ready begins when it is; browsers are told when it stops", async () => {
  const hub = new StandIn();
  hub.createTopic("sensors", 1);
  hub.append("sensors", 0, { key: "k", value: "1" });
  const dashboard = await startDashboard({ ...plain, health: () => ({ status: "starting", why: [] }) });
  try {
    const socket = await TestSocket.open(dashboard.port);
    const hello = await socket.until(({ type }) => type === "hello");
    assert.equal(hello["status"], "starting");
    socket.send({ type: "subscribe", id: 1, topic: "sensors", from: "earliest", credit: 10 });
    socket.send({ type: "watch", what: "topics" });
    dashboard.attach(hub.client());
    await socket.reaches(1, 0, 1);
    await socket.until(({ type }) => type === "topics");
    const code = new Promise<number>((resolve) => void socket.socket.once("close", resolve));
    await dashboard.close();
    assert.equal(await code, 1001);
  } finally {
    await dashboard.close();
  }
});

test("a taken port is refused with its code; an address that is not there only when it is the first", async () => {
  const first = await startDashboard(plain);
  try {
    await assert.rejects(startDashboard({ ...plain, port: first.port }), { code: "EADDRINUSE" });
    await assert.rejects(startDashboard({ ...plain, host: "203.0.113.7" }), { code: /^(EADDRNOTAVAIL|EINVAL)$/ });
    const second = await startDashboard({ ...plain, host: ["127.0.0.1", "203.0.113.7"] });
    assert.deepEqual(
      second.addresses.map(({ host }) => host),
      ["127.0.0.1"],
    );
    await second.close();
  } finally {
    await first.close();
  }
});
