// Counters, gauges and histograms, shown as Prometheus text, through prom-client.
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Fields } from "../trace.ts";

/** What a metric says; the names are the contract with dashboards and alerts. */
export interface MetricText {
  readonly help: string;
  readonly labels?: readonly string[];
}

export interface Metrics {
  count(name: string, by?: number, labels?: Fields): void;
  gauge(name: string, value: number, labels?: Fields): void;
  observe(name: string, value: number, labels?: Fields): void;
  /** Called before each scrape, to set gauges that are only worth reading then. */
  onScrape(call: () => void): void;
  text(): Promise<string>;
}

const secondsBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** `texts` gives help by metric name; a metric appears once it was first touched. */
export function openMetrics(texts: Readonly<Record<string, string>>): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: "partidor_" });
  const made = new Map<string, Counter | Gauge | Histogram>();
  const scrapes: (() => void)[] = [];
  const meta = (name: string, labels: Fields | undefined) => ({
    name: `partidor_${name}`,
    help: texts[name] ?? name.replaceAll("_", " "),
    labelNames: Object.keys(labels ?? {}),
    registers: [registry],
  });
  const get = <M extends Counter | Gauge | Histogram>(name: string, make: () => M): M => {
    const known = made.get(name) as M | undefined;
    if (known) return known;
    const metric = make();
    made.set(name, metric);
    return metric;
  };
  const plain = (labels: Fields | undefined): Record<string, string> =>
    Object.fromEntries(Object.entries(labels ?? {}).map(([key, value]) => [key, String(value)]));
  return {
    count: (name, by = 1, labels) => get(name, () => new Counter(meta(name, labels))).inc(plain(labels), by),
    gauge: (name, value, labels) => get(name, () => new Gauge(meta(name, labels))).set(plain(labels), value),
    observe: (name, value, labels) =>
      get(name, () => new Histogram({ ...meta(name, labels), buckets: secondsBuckets })).observe(plain(labels), value),
    onScrape: (call) => void scrapes.push(call),
    text() {
      for (const call of scrapes) call();
      return registry.metrics();
    },
  };
}
