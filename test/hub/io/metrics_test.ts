// Prometheus text.
import assert from "node:assert/strict";
import test from "node:test";
import { openClock } from "../../../hub/io/clock.ts";
import { openMetrics } from "../../../hub/io/metrics.ts";

test("counters, gauges and histograms come out with help, labels and values", async () => {
  const metrics = openMetrics({ records_total: "Records appended." }, openClock());
  metrics.count("records_total", 2, { topic: "a" });
  metrics.count("records_total", 3, { topic: "a" });
  metrics.gauge("depth", 7);
  metrics.observe("wait_seconds", 0.2);
  metrics.onScrape(() => metrics.gauge("depth", 8));
  const text = await metrics.text();
  assert.match(text, /# HELP partidor_records_total Records appended\./);
  assert.match(text, /partidor_records_total\{topic="a"\} 5/);
  assert.match(text, /partidor_depth 8/);
  assert.match(text, /partidor_wait_seconds_bucket\{le="0\.25"\} 1/);
  assert.match(text, /partidor_process_cpu_seconds_total|partidor_process_cpu_user_seconds_total|partidor_nodejs_/);
});
