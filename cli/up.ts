// `partidor up`: the composition root. Starts what a hub is made of; stop is the list of starts, reversed.
import { mkdirSync } from "node:fs";
import type { Duplex } from "node:stream";
import { parseArgs } from "node:util";
import {
  anonymousAccess,
  type Bridge,
  compileDownlinks,
  type DownlinkConfig,
  DownlinkError,
  type RouteConfig,
  RouteError,
  startBridge,
  TopicMap,
} from "../bridge/mod.ts";
import { startDashboard } from "../dashboards/mod.ts";
import {
  type Config,
  ConfigError,
  HubError,
  isLoopback,
  loadConfig,
  openHub,
  openTelemetry,
  type Telemetry,
} from "../hub/mod.ts";

export const usage = `partidor up [--config FILE] [--data DIR] [--hub-id N] [--listen HOST] [--advertise HOST]
            [--mqtt-port N] [--kafka-port N] [--http-port N] [--redis URL] [--demo] [--insecure] [--json]

Runs a hub: MQTT in, durable partitioned logs, the Kafka protocol and a dashboard out.
  --config FILE     settings file (partidor.toml in this folder, when there is one)
  --data DIR        data folder (./data)
  --hub-id N        this hub's number, 0..63 (1)
  --listen HOST     address to listen on, repeatable (127.0.0.1 and ::1)
  --advertise HOST  host or host:port that Kafka clients are told
  --mqtt-port N     MQTT port (1883); 0 picks a free one, also for the other two
  --kafka-port N    Kafka port (9092)
  --http-port N     dashboard, /readyz, /metrics and MQTT over WebSocket (8080)
  --redis URL       keep group offsets in Redis: redis://[user:password@]host:port[/db]
  --demo            add a demo fleet of devices and two consumer groups
  --insecure        listen beyond this machine without credentials
  --json            print one line {"event":"ready",...} on stdout when the hub serves`;

const options = {
  config: { type: "string" },
  data: { type: "string" },
  "hub-id": { type: "string" },
  listen: { type: "string", multiple: true },
  advertise: { type: "string" },
  "mqtt-port": { type: "string" },
  "kafka-port": { type: "string" },
  "http-port": { type: "string" },
  redis: { type: "string" },
  demo: { type: "boolean" },
  insecure: { type: "boolean" },
  json: { type: "boolean" },
} as const;

const Exit = { Ok: 0, Failure: 1, Usage: 2, DataFolderFailed: 70 } as const;

/** A start that failed for a reason the operator can mend: one sentence, no stack trace. */
class StartError extends Error {
  readonly exit: number;

  constructor(sentence: string, exit: number = Exit.Failure) {
    super(sentence);
    this.exit = exit;
  }
}

/** Runs until it is told to stop; resolves with the exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options });
  const read = (): Config => readConfig(values);
  const config = read();
  checkListening(config);
  return new Promise((resolve) => {
    const process_ = new HubProcess(config, read, values.json ?? false, resolve);
    void process_.start();
  });
}

type Flags = ReturnType<typeof parseArgs<{ options: typeof options }>>["values"];

function readConfig(values: Flags): Config {
  const config = loadConfig({
    ...(values.config === undefined ? {} : { file: values.config }),
    env: process.env,
    demo: values.demo ?? false,
    flags: {
      "hub.data": values.data,
      "hub.id": values["hub-id"],
      "hub.listen": values.listen,
      "hub.insecure": values.insecure,
      "kafka.advertised": values.advertise,
      "mqtt.port": values["mqtt-port"],
      "kafka.port": values["kafka-port"],
      "http.port": values["http-port"],
      "redis.url": values.redis,
    },
  });
  if (config.routes !== null) new TopicMap(routesOf(config)); // a slip is told before anything is opened
  compileDownlinks(downlinksOf(config));
  return config;
}

/** The keys whose values differ, as `section.key`. */
function changedKeys(one: Config, other: Config): string[] {
  const flat = (config: Config): Map<string, string> => {
    const { settings, ...rest } = config;
    const keys = new Map([...settings].map(([name, value]) => [`settings.${name}`, value]));
    for (const [section, content] of Object.entries(rest)) {
      const entries = Array.isArray(content) ? [["", content]] : Object.entries(content ?? {});
      for (const [key, value] of entries) keys.set(key === "" ? section : `${section}.${key}`, JSON.stringify(value));
    }
    return keys;
  };
  const [before, after] = [flat(one), flat(other)];
  return [...new Set([...before.keys(), ...after.keys()])].filter((key) => before.get(key) !== after.get(key));
}

/** The bridge checks what a route or a downlink says; the configuration only knows that it is a table of texts. */
function routesOf(config: Config): readonly RouteConfig[] {
  return (config.routes ?? []) as unknown as readonly RouteConfig[];
}

function downlinksOf(config: Config): readonly DownlinkConfig[] {
  return config.downlinks as unknown as readonly DownlinkConfig[];
}

function checkListening(config: Config): void {
  const open = config.hub.listen.filter((host) => !isLoopback(host));
  if (open.length === 0) return;
  if (!config.hub.insecure) {
    if (config.access.sasl.length > 0) {
      sayWhatIsGuarded(config);
      return;
    }
    const sentence =
      `Listening on ${open.join(", ")} lets everybody on that network read and write, and no credentials are ` +
      "configured. Set sasl, user and password_file in [access] of partidor.toml, listen on 127.0.0.1, or add " +
      "--insecure if the network is trusted.";
    throw new ConfigError("--listen", sentence);
  }
  console.error(`WARNING: listening on ${open.join(", ")} without credentials: everybody there can read and write.`);
}

/** Logins guard the Kafka port alone, so the others stay with this machine. */
function sayWhatIsGuarded(config: Config): void {
  console.error("Logins guard the Kafka port; MQTT and the dashboard serve this machine only (--insecure opens them).");
  if (config.access.sasl.includes("PLAIN")) {
    console.error("WARNING: PLAIN sends passwords as they are: only for networks that nobody listens to.");
  }
}

/** Where the dashboard listens: it knows no users yet, so beyond this machine only when that is asked for. */
function dashboardHosts({ hub: { listen, insecure } }: Config): readonly string[] {
  if (insecure || listen.every(isLoopback)) return listen;
  const local = listen.filter(isLoopback);
  return local.length > 0 ? local : ["127.0.0.1", "::1"];
}

const sameSignalMs = 500;
/** A service manager kills after 30 s (TimeoutStopSec): better to end by ourselves, and say what hung. */
const stopMsMax = 25_000;
const endMsMax = 1_000;

interface Part {
  readonly name: string;
  readonly stop: () => Promise<void>;
}

class HubProcess {
  readonly #config: Config;
  readonly #read: () => Config;
  readonly #json: boolean;
  readonly #exit: (code: number) => void;
  readonly #parts: Part[] = [];
  /** From its call on, /readyz answers 503. */
  #drain: () => void = () => {};
  #stopping = false;
  #signalledAt = Number.NEGATIVE_INFINITY;

  constructor(config: Config, read: () => Config, json: boolean, exit: (code: number) => void) {
    this.#config = config;
    this.#read = read;
    this.#json = json;
    this.#exit = exit;
  }

  async start(): Promise<void> {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => this.#signalled(signal));
    try {
      await this.#startParts();
    } catch (error) {
      console.error(`partidor: ${sentenceOf(error)}`);
      await this.#stopParts();
      this.#exit(exitOf(error));
    }
  }

  async #startParts(): Promise<void> {
    const config = this.#config;
    const { hub: hubConfig } = config;
    const telemetry = openTelemetry(config.log.level);
    const { trace, metricsText, onScrape } = telemetry;
    process.on("SIGHUP", () => this.#reload(telemetry));
    const hub = this.#openHub(trace);
    onScrape(() => hub.measure());
    this.#drain = () => hub.drain();
    let bridge: Bridge | null = null;
    const overWebSocket = (stream: Duplex, remoteAddress: string): void => {
      if (bridge === null) stream.destroy();
      else bridge.accept(stream, remoteAddress);
    };
    const dashboard = await listening("dashboard", "--http-port", config.http.port, () =>
      startDashboard({
        host: dashboardHosts(config),
        port: config.http.port,
        trace,
        health: () => hub.health(),
        metrics: metricsText,
        upgrades: new Map([["/mqtt", overWebSocket]]),
        testRoute: (mqttTopic) => bridge?.testRoute(mqttTopic) ?? null,
        topicBytes: (topic) => hub.topicBytes(topic),
        cluster: () => hub.cluster(),
        allowedOrigins: config.http.origins,
      }),
    );
    // The port answers from the start (503), but what it shows comes from the hub, so it closes before the hub does.
    this.#parts.push({ name: "hub", stop: () => hub.stop() }, { name: "dashboard", stop: () => dashboard.close() });
    const { kafka } = await listening("Kafka", "--kafka-port", config.kafka.port, () => hub.start());
    const client = hub.client("bridge");
    bridge = await listening("MQTT", "--mqtt-port", config.mqtt.port, () =>
      startBridge({
        client,
        hub,
        clock: hub.clock,
        host: hubConfig.listen,
        port: config.mqtt.port,
        access: anonymousAccess(hubConfig.insecure ? "everywhere" : "loopback"),
        ...(config.routes === null ? {} : { routes: routesOf(config) }),
        downlinks: downlinksOf(config),
        trace,
        ackTimeoutMs: config.mqtt.ackTimeout,
        presence: config.mqtt.presence,
        connectionsMax: config.mqtt.connectionsMax,
        elsewhere: () => hub.elsewhere(),
      }),
    );
    const started = bridge;
    hub.offerMqtt(bridge.port, () => started.hasRoom);
    this.#parts.push({ name: "bridge", stop: () => started.close() });
    dashboard.attach(hub.client("dashboard"));
    const ports = { mqtt: bridge.port, kafka, http: dashboard.port };
    if (config.demo) {
      const { startDemo } = await import("./demo.ts"); // a plain hub does without the fleet and its groups
      const demo = await startDemo({ hub, mqttPort: bridge.port, trace });
      this.#parts.push({ name: "demo", stop: () => demo.stop() });
    }
    this.#announce(ports);
  }

  #openHub(trace: Parameters<typeof openHub>[1]): ReturnType<typeof openHub> {
    const { data } = this.#config.hub;
    try {
      mkdirSync(data, { recursive: true });
      return openHub(this.#config, trace, (why) => this.#failed(why));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (typeof code !== "string") throw error;
      throw new StartError(`The data folder ${data} cannot be used (${code}): ${reasons[code] ?? "see --data"}`);
    }
  }

  #announce(ports: { readonly mqtt: number; readonly kafka: number; readonly http: number }): void {
    if (this.#json) {
      console.log(JSON.stringify({ event: "ready", ...ports, hubId: this.#config.hub.id }));
      return;
    }
    const host = this.#config.hub.listen.some(isLoopback) ? "localhost" : this.#config.hub.listen[0]!;
    const rows = [
      ["Dashboard", `http://${host}:${ports.http}`],
      ["MQTT", `${host}:${ports.mqtt}   (over WebSocket: ws://${host}:${ports.http}/mqtt)`],
      ["Kafka", `${host}:${ports.kafka}`],
      ["Data folder", this.#config.hub.data],
    ];
    console.log(`\nPartidor hub ${this.#config.hub.id} serves:\n`);
    for (const [name, value] of rows) console.log(`  ${name!.padEnd(12)} ${value}`);
    console.log("\nCtrl-C stops it.\n");
  }

  /** Takes over what can change while the hub runs, and says what needs a restart. */
  #reload({ trace, setLevel }: Telemetry): void {
    try {
      const next = this.#read();
      setLevel(next.log.level);
      const restart = changedKeys(this.#config, next).filter((key) => key !== "log.level");
      trace.event("info", "settings_reloaded", { applied: "log.level", needRestart: restart.join(" ") || null });
    } catch (error) {
      trace.event("error", "settings_refused", { detail: sentenceOf(error) });
    }
  }

  #signalled(signal: string): void {
    // A terminal signals its whole group and a wrapper passes the signal on: one Ctrl-C may arrive twice.
    const now = performance.now();
    if (this.#stopping && now - this.#signalledAt < sameSignalMs) return;
    if (this.#stopping) process.exit(Exit.Failure);
    this.#signalledAt = now;
    if (!this.#json) console.error(`partidor: ${signal}, draining; once more stops at once`);
    void this.#stopParts().then((good) => this.#end(good ? Exit.Ok : Exit.Failure));
  }

  /** Nothing that was left open by mistake keeps a hub that has stopped. */
  #end(code: number): void {
    this.#exit(code);
    setTimeout(() => process.exit(code), endMsMax).unref();
  }

  #failed(why: string): void {
    console.error(
      `partidor: the data folder failed: ${why}. Nothing is acknowledged any more; replace or repair the disk.`,
    );
    void this.#stopParts(Exit.DataFolderFailed).then(() => this.#end(Exit.DataFolderFailed));
  }

  /** @param late the exit code when a part does not stop */
  async #stopParts(late: number = Exit.Failure): Promise<boolean> {
    this.#stopping = true;
    this.#drain();
    let [good, stops] = [true, ""];
    const bound = setTimeout(() => {
      console.error(`partidor: the ${stops} does not stop; ended after ${stopMsMax / 1000} s without a clean mark`);
      process.exit(late);
    }, stopMsMax);
    for (const part of this.#parts.splice(0).reverse()) {
      stops = part.name;
      try {
        await part.stop();
      } catch (error) {
        good = false;
        console.error(`partidor: stopping the ${part.name}: ${sentenceOf(error)}`);
      }
    }
    clearTimeout(bound);
    return good;
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "this user may not write there; choose another folder with --data, or change its owner.",
  EPERM: "this user may not write there; choose another folder with --data, or change its owner.",
  EROFS: "its file system is read-only; choose another with --data.",
  ENOTDIR: "a part of the path is a file; choose another with --data.",
  EEXIST: "a file of that name is in the way; choose another with --data.",
  ENOSPC: "its file system is full; free space or choose another with --data.",
};

/** Says which port of which face is taken, and what to do. */
async function listening<T>(face: string, flag: string, port: number, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") {
      throw new StartError(`The ${face} port ${port} is taken by another program; choose another with ${flag}.`);
    }
    if (syscall === "listen" && code === "EACCES") {
      throw new StartError(`The ${face} port ${port} is not open to this user; choose one above 1023 with ${flag}.`);
    }
    if (syscall === "listen" && code === "EADDRNOTAVAIL") {
      throw new StartError(`This machine has no such address to listen on; check --listen (${face}).`);
    }
    if (code !== undefined && reasons[code]) throw new StartError(`The data folder cannot be used: ${reasons[code]}`);
    throw error;
  }
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function exitOf(error: unknown): number {
  if (error instanceof StartError) return error.exit;
  const settings =
    error instanceof ConfigError ||
    error instanceof RouteError ||
    error instanceof DownlinkError ||
    (error instanceof HubError && error.kind === "INVALID_CONFIG");
  return settings ? Exit.Usage : Exit.Failure;
}
