// A real hub inside the test's process, on a scratch folder and free ports.
import { readFileSync } from "node:fs";
import { type Config, loadConfig } from "../../hub/config.ts";
import { Hub } from "../../hub/hub.ts";
import { openClock } from "../../hub/io/clock.ts";
import { openHashing, openRandom } from "../../hub/io/crypto.ts";
import { openDisk } from "../../hub/io/disk.ts";
import { openNet } from "../../hub/io/net.ts";
import type { Clock, Disk } from "../../hub/io/ports.ts";
import { openHub, silentTrace, type Trace } from "../../hub/mod.ts";
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
  /** The section [access]. */
  readonly access?: Readonly<Record<string, unknown>>;
  readonly trace?: Trace;
  /** Addresses to listen on; 127.0.0.1 when left out. */
  readonly listen?: readonly string[];
  /** Puts something between the hub and its disk, or its clock. */
  readonly between?: { readonly disk?: (disk: Disk) => Disk; readonly clock?: (clock: Clock) => Clock };
}

/** Starts a hub; groups do not wait for company unless the settings say so. */
export async function openTestHub(options: TestHubOptions = {}): Promise<TestHub> {
  const { folder, remove } = options.folder ? { folder: options.folder, remove: () => {} } : scratch();
  const settings = { "group.initial.rebalance.delay.ms": 0, ...options.settings };
  const config = loadConfig({
    file: { settings, access: options.access ?? {} },
    readSecret: (name) => readFileSync(name, "utf8"),
    flags: {
      "hub.data": folder,
      "kafka.port": 0,
      "hub.listen": options.listen ?? ["127.0.0.1"],
      "redis.url": options.redis,
    },
  });
  const trace = options.trace ?? silentTrace;
  const hub = options.between ? hubBehind(options.between, config, trace) : openHub(config, trace, () => {});
  const { kafka } = await hub.start().catch(async (error: unknown) => {
    await hub.stop();
    throw error;
  });
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

function hubBehind(between: NonNullable<TestHubOptions["between"]>, config: Config, trace: Trace): Hub {
  const same = <T>(port: T): T => port;
  const clock = (between.clock ?? same)(openClock(true));
  const disk = (between.disk ?? same)(openDisk(config.hub.data));
  const [random, hashing] = [openRandom(), openHashing()];
  const ports = { clock, random, hashing, disk, net: openNet(clock), trace, openOffsets: null, openCoordination: null };
  return new Hub(ports, config, () => {});
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
