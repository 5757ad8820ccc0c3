// Apache Kafka's command-line tools, many in one JVM (java/ToolServer.java): a tool costs milliseconds, not a start.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { javaArguments } from "./cases.ts";
import { javaClassPath } from "./clients.ts";

const mains = {
  topics: "org.apache.kafka.tools.TopicCommand",
  produce: "org.apache.kafka.tools.ConsoleProducer",
  consume: "org.apache.kafka.tools.consumer.ConsoleConsumer",
  groups: "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
  allGroups: "org.apache.kafka.tools.GroupsCommand",
  offsets: "org.apache.kafka.tools.GetOffsetShell",
  deleteRecords: "org.apache.kafka.tools.DeleteRecordsCommand",
  transactions: "org.apache.kafka.tools.TransactionsCommand",
  apiVersions: "org.apache.kafka.tools.BrokerApiVersionsCommand",
  cluster: "org.apache.kafka.tools.ClusterTool",
  producerPerformance: "org.apache.kafka.tools.ProducerPerformance",
  consumerPerformance: "org.apache.kafka.tools.ConsumerPerformance",
  endToEndLatency: "org.apache.kafka.tools.EndToEndLatency",
  streamsReset: "org.apache.kafka.tools.StreamsResetter",
} as const;

export interface Tools {
  /** Runs one tool with words beside its `--bootstrap-server`; its exit code and all it printed. */
  run(tool: keyof typeof mains, words: readonly string[], input?: string): Promise<{ code: number; text: string }>;
  end(): Promise<void>;
}

/** Starts the JVM; the tools speak with the hub at `server`. */
export async function startTools(server: string): Promise<Tools> {
  const child = spawn("java", [...javaArguments(await javaClassPath()), "ToolServer"]);
  let words = "";
  child.stderr.on("data", (bytes: Buffer) => (words = (words + bytes.toString()).slice(-10_000)));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const gone = new Promise<void>((resolve) => child.on("close", () => resolve()));
  return {
    async run(tool, words_, input = "") {
      const where = ["--bootstrap-server", server];
      const args = tool === "cluster" ? [...words_, ...where] : [...where, ...words_];
      child.stdin.write(`${JSON.stringify({ main: mains[tool], args, input })}\n`);
      const { value } = await lines.next();
      if (value === undefined) throw new Error(`the tools ended:\n${words}`);
      return JSON.parse(value) as { code: number; text: string };
    },
    async end() {
      child.stdin.end();
      await gone;
    },
  };
}
