// Load over the Kafka protocol in the shape of mqtt_load.mjs: producers with a window of records each, one key each.
//   npx tsx test/bench/kafka_load.ts --bootstrap a:1,b:2 --topic t [--conns 60] [--window 32] [--n 100000] [--pid 1,2]
//
// Our own client for every system: acks=all, idempotent, no linger: a batch is what one turn of the loop gave. A record that
// is acknowledged is followed by the next one of its producer. Prints one JSON line.
import { parseArgs } from "node:util";
import { connect } from "../../hub/mod.ts";
import { usage } from "./systems.ts";

const { values } = parseArgs({
  options: {
    bootstrap: { type: "string" },
    topic: { type: "string" },
    conns: { type: "string", default: "60" },
    window: { type: "string", default: "32" },
    n: { type: "string", default: "100000" },
    payload: { type: "string", default: "200" },
    pid: { type: "string", default: "" },
  },
});
const [conns, window, n] = [values.conns, values.window, values.n].map(Number) as [number, number, number];
const topic = values.topic!;
const pids = values.pid.split(",").filter(Boolean).map(Number);
const value = Buffer.alloc(Number(values.payload), '{"t":21.53,"h":48.1,"unit":"C","seq":');
const latencies = new Float64Array(n);
const cpu = (): number => pids.reduce((sum, pid) => sum + usage(pid).cpuSeconds, 0);

const clients = Array.from({ length: conns }, (_, i) =>
  connect({ bootstrap: values.bootstrap!, clientId: `dev-${i}` }),
);
const producers = clients.map((client) => client.producer({ acks: -1 }));
// connected and known before the clock runs
await Promise.all(producers.map((one, i) => one.publish(topic, { key: Buffer.from(`dev-${i}`), value })));

let [sent, acked] = [0, 0];
const before = cpu();
const own = process.cpuUsage();
const began = performance.now();
await new Promise<void>((resolve, reject) => {
  const send = (at: number): void => {
    if (sent === n) return;
    sent += 1;
    const from = performance.now();
    producers[at]!.send(topic, { key: Buffer.from(`dev-${at}`), value }, (error) => {
      if (error) return reject(error);
      latencies[acked++] = performance.now() - from;
      if (acked === n) resolve();
      else send(at);
    });
  };
  for (let at = 0; at < conns; at++) for (let i = 0; i < window; i++) send(at);
});
const seconds = (performance.now() - began) / 1000;
const used = cpu() - before;
const mine = process.cpuUsage(own);
latencies.sort();
const at = (share: number): number => Number(latencies[Math.floor(n * share)]!.toFixed(3));
const figures = {
  n,
  sent_in_all: n + conns,
  seconds: Number(seconds.toFixed(2)),
  msgs_per_s: Math.round(n / seconds),
  puback_ms: { p50: at(0.5), p99: at(0.99) },
  server_cpu_s_per_million: Number(((used / n) * 1e6).toFixed(2)),
  server_rss_mib_peak: Math.round(pids.reduce((sum, pid) => sum + usage(pid).rssBytes, 0) / 2 ** 20),
  generator_cpu_s_per_million: Number(((mine.user + mine.system) / n).toFixed(2)),
};
console.log(JSON.stringify(figures));
await Promise.all(clients.map((client) => client.close()));
process.exit(0);
