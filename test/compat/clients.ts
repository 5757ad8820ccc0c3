// Whose programs speak with a hub in these tests: name, exact version, language, source; and how each is fetched once.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { root, run } from "../tools/hub_process.ts";
import { kafkaJars, kafkaVersion } from "./kafka_jars.ts";

const tools = path.join(root, "test/.tools");
const manifest = JSON.parse(readFileSync(path.join(tools, "package.json"), "utf8")) as {
  readonly dependencies: Readonly<Record<string, string>>;
};

/** Debian's own Python: what python3-kafka is installed for, and old enough to be everywhere. */
export const python = "/usr/bin/python3";

/** Packages beside a Python client: what it needs for every codec, exact as well. */
const pythonPackages: Readonly<Record<string, readonly string[]>> = {
  "kafka-python": [
    "kafka-python==3.0.12",
    "python-snappy==0.7.3",
    "cramjam==2.14.0",
    "lz4==4.4.5",
    "zstandard==0.25.0",
  ],
  "confluent-kafka": ["confluent-kafka==2.16.1"],
  aiokafka: [
    "aiokafka==0.14.0",
    "async-timeout==5.0.1",
    "packaging==26.3",
    "typing-extensions==4.16.0",
    "cramjam==2.14.0",
  ],
};

export interface Client {
  readonly name: string;
  readonly language: string;
  readonly from: string;
  readonly version: () => string;
}

const first = (text: string, pattern: RegExp): string => pattern.exec(text)?.[1] ?? "unknown";
const said = (command: string, args: readonly string[]): string =>
  spawnSync(command, args, { encoding: "utf8" }).stdout;
const pinned = (name: string): string => first(pythonPackages[name]![0]!, /==(.*)$/);
const goVersion = (): string =>
  first(readFileSync(path.join(root, "test/compat/franz_go/go.mod"), "utf8"), /franz-go v(\S+)/);

/** The rows of the table, in its order. */
export const clients = [
  {
    name: "kcat",
    language: "C (librdkafka)",
    from: "Debian",
    version: () => first(said("kcat", ["-V"]), /Version (\S+)/) + first(said("kcat", ["-V"]), /(, librdkafka \S+)/),
  },
  {
    name: "python3-kafka",
    language: "Python",
    from: "Debian",
    version: () => said(python, ["-c", "import kafka; print(kafka.__version__)"]).trim(),
  },
  { name: "kafkajs", language: "JavaScript", from: "npm", version: () => manifest.dependencies["kafkajs"]! },
  {
    name: "@platformatic/kafka",
    language: "JavaScript (Node 24)",
    from: "npm",
    version: () => manifest.dependencies["@platformatic/kafka"]!,
  },
  { name: "kafka-python", language: "Python", from: "PyPI", version: () => pinned("kafka-python") },
  {
    name: "confluent-kafka",
    language: "Python (librdkafka)",
    from: "PyPI",
    version: () => pinned("confluent-kafka"),
  },
  { name: "aiokafka", language: "Python", from: "PyPI", version: () => pinned("aiokafka") },
  { name: "franz-go", language: "Go", from: "Go modules", version: goVersion },
  { name: "Java client", language: "Java", from: "Maven Central", version: () => kafkaVersion },
  { name: "console tools", language: "Java", from: "Maven Central", version: () => kafkaVersion },
  { name: "Kafka Streams", language: "Java", from: "Maven Central", version: () => kafkaVersion },
  { name: "Kafka Connect", language: "Java", from: "Maven Central", version: () => kafkaVersion },
] as const satisfies readonly Client[];

export type ClientName = (typeof clients)[number]["name"];

/** A client could not be fetched or built here: the sentence says why. */
export class Missing extends Error {}

async function fetched<T>(what: string, fetch: () => Promise<T>): Promise<T> {
  try {
    return await fetch();
  } catch (error) {
    throw new Missing(`${what} could not be fetched or built: ${(error as Error).message.slice(0, 2_000)}`);
  }
}

/** A folder for PYTHONPATH with the client and its codecs. */
export function pythonClient(name: string): Promise<string> {
  return fetched(name, async () => {
    const packages = pythonPackages[name]!;
    const digest = createHash("sha256").update(packages.join(" ")).digest("hex").slice(0, 8);
    const folder = path.join(tools, "python", `${name}-${pinned(name)}-${digest}`);
    if (existsSync(folder)) return folder;
    const half = `${folder}.${process.pid}`;
    mkdirSync(path.dirname(folder), { recursive: true });
    try {
      const flags = ["--quiet", "--disable-pip-version-check", "--root-user-action=ignore", "--no-deps"];
      await run(python, ["-m", "pip", "install", ...flags, "--target", half, ...packages], { timeoutMs: 300_000 });
      if (!existsSync(folder)) renameSync(half, folder);
      return folder;
    } finally {
      rmSync(half, { recursive: true, force: true });
    }
  });
}

/** The file of the built franz-go program; Go's own caches make a second build quick. */
export function goProgram(): Promise<string> {
  return fetched("franz-go", async () => {
    const file = path.join(tools, "go/franz_go");
    const folder = path.join(root, "test/compat/franz_go");
    await run("go", ["-C", folder, "build", "-o", file, "."], { timeoutMs: 500_000 });
    return file;
  });
}

/** Kafka's jars alone, for a tool that needs nothing of ours. */
export const jarsOnly = (): Promise<string> => fetched("Apache Kafka", kafkaJars);

/** The class path of our Java programs and Kafka's jars: compiled once per text and version. */
export function javaClassPath(): Promise<string> {
  return fetched("Apache Kafka", async () => {
    const jars = await kafkaJars();
    const folder = path.join(root, "test/compat/java");
    const sources = readdirSync(folder)
      .filter((name) => name.endsWith(".java"))
      .sort()
      .map((name) => path.join(folder, name));
    const digest = createHash("sha256").update(kafkaVersion);
    for (const source of sources) digest.update(readFileSync(source));
    const classes = path.join(tools, "java", digest.digest("hex").slice(0, 12));
    if (!existsSync(classes)) {
      const half = `${classes}.${process.pid}`;
      await run("javac", ["-nowarn", "-cp", `${jars}/*`, "-d", half, ...sources], { timeoutMs: 200_000 });
      if (existsSync(classes)) rmSync(half, { recursive: true });
      else renameSync(half, classes);
    }
    return `${classes}:${jars}/*`;
  });
}

/** The Node 24 that lies with the test tools. */
export const node24 = path.join(tools, "node_modules/.bin/node");

/** Everything that the suites need, fetched side by side; the sentences of what is missing. */
export async function fetchAll(): Promise<string[]> {
  const fetches = [...Object.keys(pythonPackages).map(pythonClient), goProgram(), javaClassPath()];
  const results = await Promise.allSettled(fetches);
  return results.flatMap((result) => (result.status === "rejected" ? [(result.reason as Error).message] : []));
}

/** True where a client may be left out with a line: TESTS=partial, and never in CI. */
export const mayLeaveOut = process.env["TESTS"] === "partial" && process.env["CI"] !== "true";
