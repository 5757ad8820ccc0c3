// `partidor topic`: create, list, describe, alter, delete.
import { type Command, hubFlags, type Input, runGroup } from "./command.ts";
import { CliError, type ExitCode, exit, UsageError } from "./exit.ts";
import { findTopic, placeKey, withAdmin } from "./hub_client.ts";
import { printJson, printRows, tableOf } from "./output.ts";

const partitionsMax = 1_000;
const configFlag = {
  config: {
    value: "NAME=VALUE",
    doc: "A topic setting by Kafka's name, for example retention.ms=86400000.",
    many: true,
  },
};

/** `NAME=VALUE` pairs. @throws UsageError */
export function parsePairs(flag: string, pairs: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    if (at < 1) throw new UsageError(`--${flag} takes NAME=VALUE, not ${JSON.stringify(pair)}`);
    found[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return found;
}

async function create(input: Input): Promise<ExitCode> {
  const name = input.args[0]!;
  const partitions = input.number("partitions", 1, partitionsMax);
  const replicationFactor = input.number("replication-factor", 1, 64);
  const configs = parsePairs("config", input.texts("config"));
  return withAdmin(input, async (admin) => {
    try {
      await admin.createTopic(name, {
        ...(partitions === undefined ? {} : { partitions }),
        ...(replicationFactor === undefined ? {} : { replicationFactor }),
        configs,
      });
    } catch (thrown) {
      const there = (thrown as { kind?: string }).kind === "TOPIC_ALREADY_EXISTS";
      if (!there) throw thrown;
      if (!input.has("if-not-exists")) {
        throw new CliError(
          exit.conflict,
          `topic ${JSON.stringify(name)} is there already`,
          "--if-not-exists accepts it.",
        );
      }
    }
    done(input, "created", name);
    return exit.ok;
  });
}

function done(input: Input, event: string, topic: string): void {
  if (input.terminal.json) printJson(input.terminal, { event, topic });
  else input.terminal.write(`${event} ${topic}\n`);
}

async function list(input: Input): Promise<ExitCode> {
  return withAdmin(input, async (admin) => {
    const topics = await admin.topics();
    const shown = topics.filter((topic) => input.has("internal") || !topic.internal);
    const rows = shown.map((topic) => ({
      topic: topic.name,
      partitions: topic.partitions.length,
      replicas: Math.max(0, ...topic.partitions.map(({ replicas }) => replicas.length)),
      underReplicated: topic.partitions.filter(({ replicas, inSync }) => inSync.length < replicas.length).length,
      internal: topic.internal,
    }));
    rows.sort((a, b) => (a.topic < b.topic ? -1 : 1));
    printRows(input.terminal, ["topic", "partitions", "replicas", "underReplicated"], rows, "There are no topics.");
    return exit.ok;
  });
}

async function describe(input: Input): Promise<ExitCode> {
  return withAdmin(input, async (admin) => {
    const topic = await findTopic(admin, input.args[0]!);
    const places = topic.partitions.map(({ partition }) => ({ topic: topic.name, partition }));
    const starts = new Map((await admin.offsets(places, "earliest")).map((at) => [placeKey(at), at.offset]));
    const ends = new Map((await admin.offsets(places, "latest")).map((at) => [placeKey(at), at.offset]));
    const partitions = topic.partitions.map(({ partition, leader, leaderEpoch, replicas, inSync }) => {
      const key = placeKey({ topic: topic.name, partition });
      const [start, end] = [starts.get(key) ?? null, ends.get(key) ?? null];
      const records = start === null || end === null ? null : end - start;
      return { partition, leader, leaderEpoch, replicas, inSync, start, end, records };
    });
    const configs = (await admin.topicConfigs(topic.name)).filter((entry) => input.has("all") || !entry.isDefault);
    const { terminal } = input;
    if (terminal.json) {
      const settings = Object.fromEntries(configs.map(({ name, value }) => [name, value]));
      printJson(terminal, { topic: topic.name, topicId: topic.topicId, partitions, configs: settings });
      return exit.ok;
    }
    terminal.write(`topic ${topic.name}  id ${topic.topicId}\n`);
    const columns = ["partition", "leader", "leaderEpoch", "replicas", "inSync", "start", "end", "records"];
    terminal.write(tableOf(columns, partitions, terminal.width, terminal.color));
    if (configs.length > 0) {
      const rows = configs.map(({ name, value, isDefault }) => ({ setting: name, value, default: isDefault }));
      terminal.write(`\n${tableOf(["setting", "value", "default"], rows, terminal.width, terminal.color)}`);
    }
    return exit.ok;
  });
}

async function alter(input: Input): Promise<ExitCode> {
  const name = input.args[0]!;
  const partitions = input.number("partitions", 1, partitionsMax);
  const changes: Record<string, string | null> = parsePairs("config", input.texts("config"));
  for (const setting of input.texts("unset")) changes[setting] = null;
  if (partitions === undefined && Object.keys(changes).length === 0) {
    throw new UsageError("nothing to alter: give --partitions, --config or --unset");
  }
  return withAdmin(input, async (admin) => {
    await findTopic(admin, name);
    if (Object.keys(changes).length > 0) await admin.alterTopicConfigs(name, changes);
    if (partitions !== undefined) await admin.createPartitions(name, partitions);
    done(input, "altered", name);
    return exit.ok;
  });
}

async function remove(input: Input): Promise<ExitCode> {
  return withAdmin(input, async (admin) => {
    for (const name of input.args) {
      // Looked up first: the client takes an unknown topic for one that is about to be known, and tries for long.
      const there = await findTopic(admin, name).catch((thrown: unknown) => {
        if (input.has("if-exists") && (thrown as { code?: number }).code === exit.notFound) return null;
        throw thrown;
      });
      if (there === null) continue;
      await admin.deleteTopic(name);
      done(input, "deleted", name);
    }
    return exit.ok;
  });
}

export const commands: readonly Command[] = [
  {
    name: "topic create",
    summary: "Make a topic.",
    takes: ["TOPIC"],
    flags: {
      ...hubFlags,
      partitions: {
        value: "N",
        doc: `Partitions, 1 to ${partitionsMax}; the hub's num.partitions when left out.`,
        short: "p",
      },
      "replication-factor": { value: "N", doc: "Copies of each partition; the hub's default when left out." },
      ...configFlag,
      "if-not-exists": { doc: "Say ok when it is there already." },
    },
    run: create,
  },
  {
    name: "topic list",
    summary: "List the topics.",
    takes: [],
    flags: { ...hubFlags, internal: { doc: "The hub's own topics too." } },
    run: list,
  },
  {
    name: "topic describe",
    summary: "Show partitions, leaders, offsets and settings of a topic.",
    takes: ["TOPIC"],
    flags: { ...hubFlags, all: { doc: "Every setting, not just those that differ from the default." } },
    run: describe,
  },
  {
    name: "topic alter",
    summary: "Add partitions, or change settings.",
    takes: ["TOPIC"],
    flags: {
      ...hubFlags,
      partitions: { value: "N", doc: "The new number of partitions; it only grows.", short: "p" },
      ...configFlag,
      unset: { value: "NAME", doc: "Go back to the default of this setting.", many: true },
    },
    notes: ["More partitions send keys elsewhere: the order of one device's records is kept from then on, not across."],
    run: alter,
  },
  {
    name: "topic delete",
    summary: "Delete topics with all their records.",
    takes: ["TOPIC..."],
    flags: { ...hubFlags, "if-exists": { doc: "Say ok when there is none." } },
    run: remove,
  },
];

export function run(argv: string[]): Promise<number> {
  return runGroup("topic", commands, argv);
}
