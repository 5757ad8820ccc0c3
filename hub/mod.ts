// The door of hub/: what bridge, subscribers, dashboards and cli may hold.
import { connectNet } from "./client/client.ts";
import type { HubClient } from "./client/faces.ts";
import { Reader } from "./bytes/reader.ts";
import { Writer } from "./bytes/writer.ts";
import { type Config, ConfigError, type ConfigSources, loadConfig as loadSettings } from "./config.ts";
import { Hub, type HubPorts } from "./hub.ts";
import { parseAddress } from "./hub_parts.ts";
import { parseToml, readTextFile } from "./io/config_file.ts";
import { openClock } from "./io/clock.ts";
import { openHashing, openRandom } from "./io/crypto.ts";
import { openDisk } from "./io/disk.ts";
import { openLogWriter } from "./io/log.ts";
import { guardMemory } from "./io/memory.ts";
import { openMetrics } from "./io/metrics.ts";
import { openNet } from "./io/net.ts";
import { parseRedisUrl } from "./io/redis_url.ts";
import { dumpLog, type RepairReport, repairLog, type VerifyReport, verifyLog } from "./log/verify.ts";
import type { Trace } from "./trace.ts";

export type {
  Acks,
  Admin,
  Appender,
  ClusterAdmin,
  ClusterDescription,
  ConfigEntry,
  Consumer,
  ConsumerOptions,
  Delivered,
  GroupDescription,
  Header,
  HubClient,
  Identity,
  InBatch,
  InRecord,
  OutRecord,
  PartitionOffset,
  Prepared,
  Producer,
  ProducerOptions,
  StartAt,
  TopicDescription,
  TopicPartition,
} from "./client/faces.ts";
export {
  type Config,
  ConfigError,
  configSchema,
  type DownlinkTable,
  isLoopback,
  nearest,
  parseAmount,
  type RouteTable,
} from "./config.ts";
export { Reader, Writer };
export { mqttRetainedTopic, mqttSessionsTopic } from "./engine/kept_topics.ts";
export { choosePartition } from "./client/partitioner.ts";
export { type ErrorName, errorCatalogue, HubError } from "./errors.ts";
export { type Health, Hub } from "./hub.ts";
export type { Clock } from "./io/ports.ts";
export { limits } from "./limits.ts";
export { slabs } from "./client/slabs.ts";
export { type Fields, type Level, silentTrace, type Trace } from "./trace.ts";

/** What the metrics mean, by name. */
const metricTexts: Readonly<Record<string, string>> = {
  log_bytes: "Bytes of all partition logs.",
  partitions: "Partitions this hub leads.",
  journal_backlog_bytes: "Bytes appended and not yet synced.",
  compaction_bytes_freed_total: "Bytes of segments that compaction gave back.",
  compaction_passes_total: "Cleanings of compacted partitions.",
  compaction_records_dropped_total:
    "Records that compaction left out: older ones of a key, due tombstones, aborted ones.",
  scrub_bytes_total: "Stored bytes read by the background scrub.",
  scrub_damaged_total: "Damaged ranges the scrub found; each is told once.",
  scrub_passes_total: "Passes of the scrub over the whole data folder.",
  fetches_parked: "Fetches that wait for data.",
  transactional_ids: "Transactional ids the coordinator knows.",
  transaction_marker_retries: "Markers and offsets of decided transactions that had to be tried again.",
  transaction_markers_waiting: "Markers and offsets of decided transactions that are still to be written.",
  transactions_timed_out: "Transactions aborted because they took longer than they asked for.",
  transactions_fenced: "Transactions aborted because another producer took their id over.",
  transactions_resumed: "Decided transactions that a start found without all of their markers.",
  transactions_rotated: "Producer ids replaced because their epochs were used up.",
  transactions_expired: "Transactional ids forgotten because nobody used them.",
  kafka_connections: "Open Kafka connections.",
  logins_total: "Logins that succeeded.",
  logins_failed_total: "Logins that failed.",
  connections_refused_total: "Connections closed because of what they sent.",
};

/** Logs and metrics of one process. */
export interface Telemetry {
  readonly trace: Trace;
  readonly metricsText: () => Promise<string>;
  readonly onScrape: (call: () => void) => void;
  readonly setLevel: (level: Config["log"]["level"]) => void;
}

/** JSON lines on stderr from `level` up, and a metrics registry. */
export function openTelemetry(level: Config["log"]["level"]): Telemetry {
  const metrics = openMetrics(metricTexts, openClock());
  const { event, setLevel } = openLogWriter(level);
  const { count, gauge, observe, onScrape, text } = metrics;
  return { trace: { event, count, gauge, observe }, metricsText: text, onScrape, setLevel };
}

/**
 * A hub over the real disk, clock and network; `start` it, `stop` it. `onFailed` is called when its data folder failed.
 * Throws INVALID_CONFIG for a Redis URL that is none, the DiskFault for a data folder that cannot be made.
 */
export function openHub(config: Config, trace: Trace, onFailed: (why: string) => void): Hub {
  const clock = openClock(config.hub.clockTrusted);
  guardMemory(clock);
  const { url } = config.redis;
  if (url !== null) parseRedisUrl(url); // a slip is told before anything is opened
  const openOffsets: HubPorts["openOffsets"] =
    url === null
      ? null
      : async (clusterId) => {
          const { openRedisRegistry } = await import("./io/redis.ts"); // a lone hub does without its library
          return openRedisRegistry({ url, clusterId, clock, trace });
        };
  const openCoordination: HubPorts["openCoordination"] =
    url === null
      ? null
      : async () => {
          const { openRedisCoordination } = await import("./io/redis_coordination.ts"); // likewise
          return openRedisCoordination({ url, clusterName: config.cluster.name, clock, trace });
        };
  const disk = openDisk(config.hub.data);
  const io = { clock, random: openRandom(), hashing: openHashing(), disk, net: openNet(clock), trace };
  const ports = { ...io, openOffsets, openCoordination };
  return new Hub(ports, config, onFailed);
}

/** Tools for a data folder that no hub has open. */
export interface LogTools {
  verify(): VerifyReport;
  dump(name: string): Iterable<string>;
  repair(): RepairReport;
}

/** Opens the tools on a data folder; `repair` throws when a hub has it open. */
export function openLogTools(folder: string): LogTools {
  const disk = openDisk(folder);
  return {
    verify: () => verifyLog(disk),
    dump: (name) => dumpLog(disk, name),
    repair: () => repairLog(disk, openRandom()),
  };
}

/** Clients of a hub, or of any Kafka cluster, over the network; nothing is dialled before it is needed. */
export function connect(options: { readonly bootstrap: string; readonly clientId: string }): HubClient {
  const clock = openClock();
  const bootstrap = options.bootstrap.split(",").map((one) => parseAddress(one.trim(), 9092));
  return connectNet({ net: openNet(clock), clock, bootstrap, clientId: options.clientId });
}

/** Reads `partidor.toml` (when `file` is given it must exist), environment and flags. Throws ConfigError. */
export function loadConfig(options: {
  readonly file?: string;
  readonly flags?: ConfigSources["flags"];
  readonly env?: ConfigSources["env"];
  readonly demo?: boolean;
}): Config {
  const fileName = options.file ?? "partidor.toml";
  const text = readText(fileName, options.file !== undefined);
  let file: Record<string, unknown> = {};
  try {
    if (text !== null) file = parseToml(text);
  } catch (error) {
    throw new ConfigError(fileName, (error as Error).message);
  }
  const { flags = {}, env = {}, demo = false } = options;
  const readSecret = (name: string): string => readText(name, true) ?? "";
  return loadSettings({ file, fileName, flags, env, demo, readSecret });
}

function readText(name: string, needed: boolean): string | null {
  let text: string | null;
  try {
    text = readTextFile(name);
  } catch (error) {
    throw new ConfigError(name, `cannot be read (${(error as { code?: string }).code ?? String(error)})`);
  }
  if (text === null && needed) throw new ConfigError(name, "there is no such file");
  return text;
}
