// A real browser for the tests: Debian's chromium through playwright-core, and a dashboard over the stand-in hub.
import { existsSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { type Dashboard, startDashboard } from "../../dashboards/mod.ts";
import { type HubClient, silentTrace } from "../../hub/mod.ts";

/** As much of playwright's types as the tests use; the package is not a dependency. */
export interface Page {
  goto(url: string): Promise<unknown>;
  evaluate<T>(work: string | (() => T | Promise<T>)): Promise<T>;
  waitForSelector(selector: string, options?: { state?: string; timeout?: number }): Promise<unknown>;
  screenshot(options: { path: string }): Promise<unknown>;
  click(selector: string, options?: { position?: { x: number; y: number } }): Promise<void>;
  keyboard: { press(key: string): Promise<void>; type(text: string): Promise<void> };
  textContent(selector: string): Promise<string | null>;
  on(event: string, call: (...given: never[]) => void): void;
  setViewportSize(size: { width: number; height: number }): Promise<void>;
  reload(): Promise<unknown>;
  url(): string;
  context(): { newCDPSession(page: Page): Promise<{ send(method: string, given?: object): Promise<unknown> }> };
  close(): Promise<void>;
}

export interface Browser {
  newPage(options?: object): Promise<Page>;
  close(): Promise<void>;
}

const tools = path.resolve(import.meta.dirname, "../.tools/node_modules/playwright-core/index.mjs");
const chromium = "/usr/bin/chromium";

/** What is missing for tests in a browser; "" when nothing is. */
export function missing(): string {
  if (!existsSync(tools)) return "playwright-core (npm ci in test/.tools)";
  return existsSync(chromium) ? "" : "chromium (apt-get install chromium)";
}

export async function launch(): Promise<Browser> {
  const playwright = (await import(pathToFileURL(tools).href)) as {
    chromium: { launch(options: object): Promise<Browser> };
  };
  const quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];
  return playwright.chromium.launch({
    executablePath: chromium,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", ...quiet],
  });
}

/** A dashboard on a free port, with a ready hub behind it. */
export async function serve(hub: { client(name: string): HubClient }, port = 0): Promise<Dashboard> {
  const dashboard = await startDashboard({
    host: "127.0.0.1",
    port,
    trace: silentTrace,
    health: () => ({ status: "ready", why: [] }),
    metrics: async () => "",
    upgrades: new Map(),
  });
  dashboard.attach(hub.client("dashboard"));
  return dashboard;
}

/** Asks the page again and again until the expression is true there; fails with what it was last. */
export async function until(page: Page, expression: string, patienceMs = 8000): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const found = await page.evaluate<unknown>(expression);
    if (found === true) return;
    if (Date.now() > deadline) throw new Error(`${expression} is ${JSON.stringify(found)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** The figure under a name in the row above the wall. */
export const figure = (name: string): string =>
  `[...document.querySelectorAll(".bar dt")].find((each) => each.textContent === "${name}")?.nextSibling.textContent`;

/** Starts to collect the times between frames, in ms; read them with `frameTimes`. */
export async function watchFrames(page: Page): Promise<void> {
  await page.evaluate(`
    window.frameTimes = [];
    (function watch(last) {
      requestAnimationFrame((now) => {
        if (last > 0) window.frameTimes.push(now - last);
        watch(now);
      });
    })(0)`);
}

export interface FrameFigures {
  readonly frames: number;
  readonly median: number;
  readonly p99: number;
  readonly longest: number;
}

export async function frameFigures(page: Page): Promise<FrameFigures> {
  const times = (await page.evaluate<number[]>("window.frameTimes.splice(0)")).sort((a, b) => a - b);
  const at = (part: number): number => Math.round((times[Math.floor((times.length - 1) * part)] ?? 0) * 10) / 10;
  return { frames: times.length, median: at(0.5), p99: at(0.99), longest: at(1) };
}

/** Bytes of live JavaScript objects, after a collection. */
export async function heapBytes(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = (await session.send("Runtime.getHeapUsage")) as { usedSize: number };
  return usedSize;
}
