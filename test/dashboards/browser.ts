// A real browser for the tests: Debian's chromium through playwright-core, and a dashboard over the stand-in hub.
import { existsSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { type Dashboard, startDashboard } from "../../dashboards/mod.ts";
import { silentTrace } from "../../hub/trace.ts";
import type { StandIn } from "./stand_in.ts";

/** As much of playwright's types as the tests use; the package is not a dependency. */
export interface Page {
  goto(url: string): Promise<unknown>;
  evaluate<T>(work: string | (() => T | Promise<T>)): Promise<T>;
  waitForFunction(work: string, argument?: unknown, options?: { timeout?: number }): Promise<unknown>;
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
export async function serve(hub: StandIn, port = 0): Promise<Dashboard> {
  const dashboard = await startDashboard({
    host: "127.0.0.1",
    port,
    trace: silentTrace,
    health: () => ({ status: "ready", why: [] }),
    metrics: async () => "",
    upgrades: new Map(),
  });
  dashboard.attach(hub.client());
  return dashboard;
}
