// Apache Kafka's jars at one exact version: fetched through Maven once, kept in test/.tools/maven/<version>/.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { root, run } from "../tools/hub_process.ts";

const pom = path.join(root, "test/compat/java/pom.xml");
const goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.0:copy-dependencies";

export const kafkaVersion = /<kafka\.version>([^<]+)</.exec(readFileSync(pom, "utf8"))![1]!;

/** The folder that holds the jars; rejects with Maven's words when they cannot be fetched. */
export async function kafkaJars(): Promise<string> {
  const cache = path.join(root, "test/.tools/maven");
  const jars = path.join(cache, kafkaVersion);
  if (existsSync(jars)) return jars;
  const half = `${jars}.${process.pid}`;
  mkdirSync(cache, { recursive: true });
  try {
    const wanted = [`-DoutputDirectory=${half}`, "-DincludeScope=runtime"];
    await run("mvn", ["-q", "-B", "-f", pom, goal, ...wanted], { timeoutMs: 500_000 });
    // another test process may have been quicker
    if (!existsSync(jars)) renameSync(half, jars);
    return jars;
  } finally {
    rmSync(half, { recursive: true, force: true });
  }
}
