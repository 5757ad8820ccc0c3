// `partidor route test`: where an MQTT topic would go, by the configured routes; needs no hub.
import { type Command, type Input, runGroup } from "./command.ts";
import { type ExitCode, exit } from "./exit.ts";
import { printJson, tableOf } from "./output.ts";

async function test(input: Input): Promise<ExitCode> {
  const { TopicMap } = await import("../bridge/mod.ts");
  const { loadConfig } = await import("../hub/mod.ts");
  const file = input.text("config");
  const config = loadConfig({ ...(file === undefined ? {} : { file }), env: process.env });
  const map = new TopicMap((config.routes ?? undefined) as ConstructorParameters<typeof TopicMap>[0]);
  const client = input.text("client") ?? "client-id";
  const rows = input.args.map((mqttTopic) => {
    const routed = map.route(mqttTopic, client);
    if (routed.kind === "store") {
      const { match, topic, key, acks, rawTopic } = routed;
      const reason = rawTopic === topic ? null : `characters that a topic may not have became _ (${rawTopic})`;
      return { mqttTopic, outcome: "stored", topic, key, acks: acks === -1 ? "all" : String(acks), match, reason };
    }
    const outcome = routed.kind === "mqtt-only" ? "not stored" : "refused";
    return { mqttTopic, outcome, topic: null, key: null, acks: null, match: routed.match, reason: routed.reason };
  });
  const { terminal } = input;
  if (terminal.json) for (const row of rows) printJson(terminal, row);
  else {
    const columns = ["mqttTopic", "outcome", "topic", "key", "acks", "match", "reason"];
    terminal.write(tableOf(columns, rows, terminal.width, terminal.color));
  }
  return rows.some((row) => row.outcome === "refused") ? exit.failure : exit.ok;
}

export const commands: readonly Command[] = [
  {
    name: "route test",
    summary: "Say to which topic, with which key, an MQTT message would go. Code 1 when one would be refused.",
    takes: ["MQTT_TOPIC..."],
    flags: {
      config: { value: "FILE", doc: "Settings file; partidor.toml in this folder when left out." },
      client: { value: "ID", doc: "MQTT client id of the publisher." },
    },
    run: test,
  },
];

export function run(argv: string[]): Promise<number> {
  return runGroup("route", commands, argv);
}
