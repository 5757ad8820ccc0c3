// A real hub in this process over a data folder of its own, for the tests of the dashboards.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Hub, type HubClient, loadConfig, openHub, type Producer, silentTrace } from "../../hub/mod.ts";

export interface RealHub {
  readonly hub: Hub;
  readonly client: HubClient;
  readonly producer: Producer;
  /** One reading of a device, as the bridge stores it. */
  reading(device: string, metric: string, v: number, timestamp?: number): Promise<unknown>;
  /** Stops it; the data folder stays for `openReal(folder)`. */
  stop(): Promise<void>;
  readonly folder: string;
}

const encoder = new TextEncoder();

export async function openReal(folder = mkdtempSync(path.join(tmpdir(), "partidor-dashboards-"))): Promise<RealHub> {
  const flags = { "hub.data": folder, "hub.listen": ["127.0.0.1"], "kafka.port": "0" };
  const hub = openHub(loadConfig({ flags }), silentTrace, (why) => {
    throw new Error(why);
  });
  await hub.start();
  const client = hub.client("test");
  const producer = client.producer();
  return {
    hub,
    client,
    producer,
    folder,
    reading(device, metric, v, timestamp = Date.now()) {
      return producer.publish("sensors", {
        key: encoder.encode(device),
        value: encoder.encode(JSON.stringify({ t: timestamp, v, u: "\u00b0C", seq: 0 })),
        headers: [{ key: "mqtt.topic", value: encoder.encode(`sensors/${device}/${metric}`) }],
        timestamp,
      });
    },
    async stop() {
      await producer.close();
      await client.close();
      await hub.stop();
    },
  };
}

/** Runs the work over a fresh hub and removes its folder. */
export async function withReal(work: (real: RealHub) => Promise<void>): Promise<void> {
  const real = await openReal();
  try {
    await work(real);
  } finally {
    await real.stop();
    rmSync(real.folder, { recursive: true, force: true });
  }
}
