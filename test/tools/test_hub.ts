// A real hub inside the test's process, on a scratch folder and free ports.
import { loadConfig } from "../../hub/config.ts";
import { type Hub, openHub, silentTrace, type Trace } from "../../hub/mod.ts";
import { scratch } from "./hub_process.ts";
import { dialWire, type WireClient } from "./wire_client.ts";

export interface TestHub {
  readonly hub: Hub;
  readonly kafka: number;
  readonly folder: string;
  readonly wire: WireClient;
  close(): Promise<void>;
}

export interface TestHubOptions {
  readonly folder?: string;
  readonly settings?: Readonly<Record<string, string | number>>;
  readonly redis?: string;
  readonly trace?: Trace;
}

/** Starts a hub; groups do not wait for company unless the settings say so. */
export async function openTestHub(options: TestHubOptions = {}): Promise<TestHub> {
  const { folder, remove } = options.folder ? { folder: options.folder, remove: () => {} } : scratch();
  const settings = { "group.initial.rebalance.delay.ms": 0, ...options.settings };
  const config = loadConfig({
    file: { settings },
    flags: { "hub.data": folder, "kafka.port": 0, "hub.listen": ["127.0.0.1"], "redis.url": options.redis },
  });
  const hub = openHub(config, options.trace ?? silentTrace, () => {});
  const { kafka } = await hub.start();
  const wire = await dialWire(kafka);
  return {
    hub,
    kafka,
    folder,
    wire,
    async close() {
      wire.close();
      await hub.stop();
      remove();
    },
  };
}

/** As `openTestHub`, closed whatever happens. */
export async function withHub(options: TestHubOptions, use: (opened: TestHub) => Promise<void>): Promise<void> {
  const opened = await openTestHub(options);
  try {
    await use(opened);
  } finally {
    await opened.close();
  }
}
