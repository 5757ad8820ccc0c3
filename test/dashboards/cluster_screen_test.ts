// The Cluster screen in a real browser: hubs, strips, lag, events; a lone hub's sentence; 360 px, dark and light.
import assert from "node:assert/strict";
import test from "node:test";
import { startDashboard } from "../../dashboards/mod.ts";
import { silentTrace } from "../../hub/mod.ts";
import { launch, missing, type Page, until } from "./browser.ts";

const lacking = missing();
if (lacking !== "") test("tests in a browser", () => assert.fail(`missing: ${lacking}`));

const place = (hubId: number, changes: object = {}) => {
  return { hubId, dirId: "d", host: "10.0.0.1", port: 9092, rack: "attic", alive: true, draining: false, ...changes };
};
const partition = (topic: string, index: number, changes: object = {}) => {
  const all = { leader: 1, epoch: 65, replicas: [1, 2, 3], inSync: [1, 2, 3], minInSync: 2, state: "ok" };
  return { topic, partition: index, moving: false, lag: [], ...all, ...changes };
};
const report = {
  clusterId: "9SXnuC7BTdWThkP7tylggQ",
  redis: "up",
  controller: 2,
  hub: 1,
  hubs: [place(1), place(2, { draining: true }), place(3, { alive: false })],
  partitions: [
    partition("sensors", 0),
    partition("sensors", 1, { leader: 2, inSync: [2, 1], state: "few in sync", lag: [{ hub: 3, records: 1200 }] }),
    partition("<img src=x onerror=alert(1)>", 0, { leader: -1, inSync: [], state: "no leader", moving: true }),
  ],
  events: [
    { time: 1767225600000, level: "error", event: "possible_loss", fields: { topic: "sensors", partition: 1 } },
    { time: 1767225500000, level: "info", event: "leading", fields: { topic: "sensors", epoch: 65 } },
  ],
};

async function screen(cluster: object | null, work: (open: (options?: object) => Promise<Page>) => Promise<void>) {
  if (lacking !== "") return;
  const health = () => ({ status: "ready" as const, why: [] });
  const upgrades = new Map();
  const options = { host: "127.0.0.1", port: 0, trace: silentTrace, health, metrics: async () => "", upgrades };
  const dashboard = await startDashboard({ ...options, cluster: () => cluster });
  const browser = await launch();
  const wrong: string[] = [];
  try {
    await work(async (given = {}) => {
      const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, ...given });
      page.on("pageerror", (error: Error) => wrong.push(error.message));
      page.on("dialog", () => wrong.push("a dialog opened"));
      await page.goto(`http://127.0.0.1:${dashboard.port}/cluster`);
      return page;
    });
    assert.deepEqual(wrong, []);
  } finally {
    await browser.close();
    await dashboard.close();
  }
}

const texts = (selector: string): string =>
  `[...document.querySelectorAll("${selector}")].map((one) => one.textContent)`;

test("hubs with their state, a strip for each partition, lag and events", () =>
  screen(report, async (open) => {
    const page = await open();
    await until(page, 'document.querySelectorAll(".card").length === 3');
    assert.deepEqual(await page.evaluate(texts(".card .state")), ["alive", "draining", "down"]);
    assert.match(String(await page.textContent(".clusterfacts")), /controller hub 2 .* Redis reachable/);
    const roles = '[...document.querySelectorAll(".ledlist .ledcell")].map((one) => one.dataset.role).join()';
    const [img, ok, late] = ["behind,behind,behind", "leader,sync,sync", "sync,leader,behind"];
    assert.equal(await page.evaluate(roles), [img, ok, late].join());
    assert.deepEqual(await page.evaluate(texts(".ledrow small")), ["no leader, moving", "", "few in sync, lag 1,200"]);
    assert.deepEqual(await page.evaluate(texts(".clusterevents b")), ["possible loss", "leading"]);
    assert.equal(await page.evaluate("document.querySelectorAll('img').length"), 0, "names are text");
  }));

test("a lone hub says so, and how it becomes a cluster", () =>
  screen(null, async (open) => {
    const page = await open();
    await until(page, 'document.querySelector(".empty h2")?.textContent === "One hub, no cluster"');
  }));

test("360 pixels in dark and light: nothing is cut off sideways", () =>
  screen(report, async (open) => {
    for (const colorScheme of ["dark", "light"]) {
      for (const width of [360, 1280]) {
        const page = await open({ viewport: { width, height: 740 }, colorScheme });
        await until(page, 'document.querySelectorAll(".card").length === 3');
        assert.equal(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), true);
        const folder = process.env.SCREENSHOTS;
        if (folder) await page.screenshot({ path: `${folder}/cluster-${colorScheme}-${width}.png` });
        await page.close();
      }
    }
  }));
