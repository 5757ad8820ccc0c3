// Counters, gauges and histograms, shown as Prometheus text, through prom-client.
import type { Counter, Gauge, Histogram } from "prom-client";
import { limits } from "../limits.ts";
import type { Fields } from "../trace.ts";
import type { Clock } from "./ports.ts";

export interface Metrics {
  count(name: string, by?: number, labels?: Fields): void;
  gauge(name: string, value: number, labels?: Fields): void;
  observe(name: string, value: number, labels?: Fields): void;
  /** Called before each scrape, to set gauges that are only worth reading then. */
  onScrape(call: () => void): void;
  text(): Promise<string>;
}

const secondsBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** The library takes a while to load, so it does when the hub already serves. */
const loadAfterMs = 2_000;

/** `texts` gives help by metric name; a metric appears once it was first touched. */
export function openMetrics(texts: Readonly<Record<string, string>>, clock: Clock): Metrics {
  let loaded: Metrics | null = null;
  let loading: Promise<Metrics> | null = null;
  const early: ((metrics: Metrics) => void)[] = [];
  const load = (): Promise<Metrics> => {
    loading ??= import("prom-client").then((library) => {
      loaded = metricsOf(library, texts);
      for (const call of early.splice(0)) call(loaded);
      return loaded;
    });
    return loading;
  };
  const now = (call: (metrics: Metrics) => void): void => {
    if (loaded) call(loaded);
    else if (early.length < limits.metricsBeforeLoadMax) early.push(call);
  };
  clock.after(loadAfterMs, () => void load().catch(() => {}));
  return {
    count: (name, by, labels) => now((metrics) => metrics.count(name, by, labels)),
    gauge: (name, value, labels) => now((metrics) => metrics.gauge(name, value, labels)),
    observe: (name, value, labels) => now((metrics) => metrics.observe(name, value, labels)),
    onScrape: (call) => now((metrics) => metrics.onScrape(call)),
    text: async () => (await load()).text(),
  };
}

type Made = Counter | Gauge | Histogram;

function metricsOf(library: typeof import("prom-client"), texts: Readonly<Record<string, string>>): Metrics {
  const registry = new library.Registry();
  library.collectDefaultMetrics({ register: registry, prefix: "partidor_" });
  const made = new Map<string, Made>();
  const scrapes: (() => void)[] = [];
  const meta = (name: string, labels: Fields | undefined) => ({
    name: `partidor_${name}`,
    help: texts[name] ?? name.replaceAll("_", " "),
    labelNames: Object.keys(labels ?? {}),
    registers: [registry],
  });
  const get = <M extends Made>(name: string, make: () => M): M => {
    const known = made.get(name) as M | undefined;
    if (known) return known;
    const metric = make();
    made.set(name, metric);
    return metric;
  };
  const plain = (labels: Fields | undefined): Record<string, string> =>
    labels === undefined ? {} : Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, String(value)]));
  const histogram = (name: string, labels: Fields | undefined): Histogram =>
    new library.Histogram({ ...meta(name, labels), buckets: secondsBuckets });
  return {
    count: (name, by = 1, labels) => get(name, () => new library.Counter(meta(name, labels))).inc(plain(labels), by),
    gauge: (name, value, labels) => get(name, () => new library.Gauge(meta(name, labels))).set(plain(labels), value),
    observe: (name, value, labels) => get(name, () => histogram(name, labels)).observe(plain(labels), value),
    onScrape: (call) => void scrapes.push(call),
    text() {
      for (const call of scrapes) call();
      return registry.metrics();
    },
  };
}
