// Clusters of three that a bench compares on one machine: hubs, NATS JetStream, Apache Kafka. Each on empty folders.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import mqtt from "mqtt";
import { connect } from "../../hub/mod.ts";
import { brokerProperties, clusterId, quiet } from "../compat/apache_kafka.ts";
import { kafkaJars } from "../compat/kafka_jars.ts";
import { eventually, HubCluster } from "../tools/hub_cluster.ts";
import { run, scratch } from "../tools/hub_process.ts";
import { freePort } from "../tools/redis.ts";

export const nodes = [1, 2, 3] as const;

export interface PeerCluster {
  /** Of every server process, and of what it needs beside them. */
  readonly pids: readonly number[];
  /** Of what it needs beside them, counted among `pids` too: Redis. */
  readonly besidePids: readonly number[];
  readonly mqttPorts: readonly number[];
  readonly bootstrap: string;
  /** Messages of a topic that the cluster holds; rejects when they have less than three copies. */
  held(topic: string): Promise<number>;
  /** Ends every process by its pid and removes the folders. */
  close(): Promise<void>;
}

/** What the Kafka protocol says of a topic: the sum of the ends of its partitions. */
async function heldByKafka(bootstrap: string, topic: string): Promise<number> {
  const client = connect({ bootstrap, clientId: "bench-look" });
  try {
    const admin = client.admin();
    const look = async () => (await admin.topics([topic]))[0]!.partitions;
    const found = await eventually(look, (all) => all.every(({ inSync }) => inSync.length === nodes.length));
    const places = found.map(({ partition }) => ({ topic, partition }));
    return (await admin.offsets(places, "latest")).reduce((sum, { offset }) => sum + offset, 0);
  } finally {
    await client.close();
  }
}

/** Hubs with their defaults: flushed before each answer, three copies, two of them on disk before a PUBACK. */
export async function openHubs(): Promise<PeerCluster> {
  const cluster = await HubCluster.open(nodes.length);
  const hubs = nodes.map((id) => cluster.hubs.get(id)!);
  const redis = Number(await cluster.redis.answer("INFO server", /process_id:(\d+)\r\n/));
  return {
    pids: [...hubs.map(({ pid }) => pid), redis],
    besidePids: [redis],
    mqttPorts: hubs.map((hub) => hub.mqtt),
    bootstrap: cluster.bootstrap(),
    held: (topic) => heldByKafka(cluster.bootstrap(), topic),
    async close() {
      // a profiler writes when its process ends in order
      if (process.env.NODE_OPTIONS !== undefined) for (const id of nodes) await cluster.end(id);
      await cluster.close();
    },
  };
}

/** Starts a program; ended by SIGKILL, or with this process. */
function server(command: string, args: readonly string[]): { readonly pid: number; readonly end: () => Promise<void> } {
  const child: ChildProcess = spawn(command, args, { stdio: ["ignore", "ignore", "inherit"] });
  const gone = new Promise<void>((resolve, reject) => {
    child.once("exit", () => resolve());
    child.once("error", reject);
  });
  gone.catch(() => {});
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  return {
    pid: child.pid ?? -1,
    async end() {
      kill();
      await gone;
      process.off("exit", kill);
    },
  };
}

/** JetStream's own answer about the stream that holds what MQTT published with QoS 1. */
interface JetStream {
  readonly account_details?: readonly {
    readonly stream_detail?: readonly {
      readonly name: string;
      readonly state: { readonly messages: number };
      readonly config: { readonly num_replicas: number };
      readonly cluster: { readonly leader?: string; readonly replicas?: readonly { readonly current: boolean }[] };
    }[];
  }[];
}

async function heldByNats(monitors: readonly number[]): Promise<number> {
  const look = async () => {
    const answers = monitors.map(async (port) => {
      const reply = await fetch(`http://127.0.0.1:${port}/jsz?accounts=true&streams=true&config=true`);
      return (await reply.json()) as JetStream;
    });
    const streams = (await Promise.all(answers)).flatMap(({ account_details: accounts }) => {
      return (accounts ?? []).flatMap(({ stream_detail: found }) => found ?? []);
    });
    return streams.filter(({ name }) => name === "$MQTT_msgs");
  };
  // each of the three has it, and the leader sees both of the others up to date
  const found = await eventually(look, (copies) => {
    const whole = copies.some(({ cluster }) => cluster.replicas?.filter(({ current }) => current).length === 2);
    return whole && copies.length === 3 && new Set(copies.map(({ state }) => state.messages)).size === 1;
  });
  if (found.some(({ config }) => config.num_replicas !== 3)) throw new Error("the stream is not R3");
  return found[0]!.state.messages;
}

/** A stream of NATS keeps what somebody is to have: a session with QoS 1 that is away, so that nothing is delivered. */
async function awayForAll(port: number): Promise<void> {
  const client = mqtt.connect({ host: "127.0.0.1", port, clientId: "away", clean: false });
  try {
    // asked too early it closes the connection; the client tries again each second
    await eventually(async () => client.connected, Boolean, 60_000);
    const [granted] = await client.subscribeAsync("sensors/#", { qos: 1 });
    if (granted?.qos !== 1) throw new Error("NATS did not grant the session that is away");
  } finally {
    await client.endAsync(true);
  }
}

/** Servers of nats-server (on the PATH) with JetStream R3 and MQTT; acknowledged by a majority from their page caches. */
export async function openNats(sync: "default" | "always"): Promise<PeerCluster> {
  const { folder, remove } = scratch();
  const places = await Promise.all(
    nodes.map(async (id) => {
      const [client, route, port, monitor] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
      return { id, client, route, port, monitor };
    }),
  );
  const routes = places.map(({ route }) => `nats://127.0.0.1:${route}`).join(", ");
  const started = places.map(({ id, client, route, port, monitor }) => {
    const conf = path.join(folder, `${id}.conf`);
    const text = [
      `server_name: n${id}`,
      `listen: "127.0.0.1:${client}"`,
      `http: "127.0.0.1:${monitor}"`,
      `jetstream { store_dir: "${folder}/js${id}"${sync === "always" ? ", sync_interval: always" : ""} }`,
      `cluster { name: lab, listen: "127.0.0.1:${route}", routes: [${routes}] }`,
      `mqtt { listen: "127.0.0.1:${port}", stream_replicas: 3 }`,
      `logfile: "${folder}/${id}.log"`,
    ];
    writeFileSync(conf, `${text.join("\n")}\n`);
    return server("nats-server", ["-c", conf]);
  });
  const cluster: PeerCluster = {
    pids: started.map(({ pid }) => pid),
    besidePids: [],
    mqttPorts: places.map(({ port }) => port),
    bootstrap: "",
    held: () => heldByNats(places.map(({ monitor }) => monitor)),
    async close() {
      await Promise.all(started.map(({ end }) => end()));
      remove();
    },
  };
  const healthy = async (): Promise<boolean> => {
    const answers = await Promise.all(places.map(({ monitor }) => fetch(`http://127.0.0.1:${monitor}/healthz`)));
    return answers.every(({ ok }) => ok);
  };
  await eventually(healthy, Boolean, 60_000)
    .then(() => awayForAll(places[0]!.port))
    .catch(async (error: unknown) => {
      await cluster.close();
      throw error;
    });
  return cluster;
}

/** What Kafka's start script gives a broker. */
const brokerJava = [
  ...["-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"],
  ...["-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"],
];

/** Brokers of Apache Kafka, each a controller too; their defaults leave flushing to the system. */
export async function openKafka(): Promise<PeerCluster> {
  const classPath = `${await kafkaJars()}/*`;
  const { folder, remove } = scratch();
  const places = await Promise.all(
    nodes.map(async (id) => ({ id, port: await freePort(), controller: await freePort() })),
  );
  const voters = places.map(({ id, controller }) => `${id}@127.0.0.1:${controller}`).join(",");
  const files = places.map(({ id, port, controller }) => {
    const home = path.join(folder, `k${id}`);
    mkdirSync(home);
    const file = path.join(home, "server.properties");
    writeFileSync(
      file,
      brokerProperties(port, controller, home, { "node.id": id, "controller.quorum.voters": voters }),
    );
    return file;
  });
  for (const file of files) {
    const format = ["kafka.tools.StorageTool", "format", "-t", clusterId, "-c", file];
    await run("java", ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", quiet, "-cp", classPath, ...format]);
  }
  const started = files.map((file) => server("java", [...brokerJava, quiet, "-cp", classPath, "kafka.Kafka", file]));
  const bootstrap = places.map(({ port }) => `127.0.0.1:${port}`).join(",");
  const cluster: PeerCluster = {
    pids: started.map(({ pid }) => pid),
    besidePids: [],
    mqttPorts: [],
    bootstrap,
    held: (topic) => heldByKafka(bootstrap, topic),
    async close() {
      await Promise.all(started.map(({ end }) => end()));
      remove();
    },
  };
  const client = connect({ bootstrap, clientId: "bench-start" });
  try {
    const look = () => client.admin().cluster().describe();
    await eventually(look, ({ hubs }) => hubs.length === nodes.length, 120_000);
    return cluster;
  } catch (error) {
    await cluster.close();
    throw error;
  } finally {
    await client.close();
  }
}

export function natsVersion(): string {
  return execFileSync("nats-server", ["-v"], { encoding: "utf8" }).trim();
}
