// `partidor group`: list, describe with lag, reset, delete.
import type { Admin, GroupDescription, PartitionOffset, StartAt, TopicPartition } from "../hub/mod.ts";
import { type Command, hubFlags, type Input, runGroup } from "./command.ts";
import { CliError, type ExitCode, exit, UsageError } from "./exit.ts";
import { partitionsOf, placeKey, withAdmin } from "./hub_client.ts";
import { lagsOf } from "./lag.ts";
import { durationText, printJson, printRows, tableOf } from "./output.ts";
import { parsePlace, placeDoc, targetsOf } from "./place.ts";

async function list(input: Input): Promise<ExitCode> {
  return withAdmin(input, async (admin) => {
    const groups = (await admin.groups()).map(({ group, state, protocolType }) => ({ group, state, protocolType }));
    groups.sort((a, b) => (a.group < b.group ? -1 : 1));
    printRows(input.terminal, ["group", "state"], groups, "There are no groups.");
    return exit.ok;
  });
}

function noGroup(group: string): CliError {
  return new CliError(exit.notFound, `there is no group ${JSON.stringify(group)}`, "`partidor group list` shows them.");
}

async function find(admin: Admin, group: string): Promise<GroupDescription> {
  const found = await admin.describeGroup(group);
  // Kafka describes a group that does not exist as Dead instead of refusing.
  if (found.state === "Dead") throw noGroup(group);
  return found;
}

async function describe(input: Input): Promise<ExitCode> {
  return withAdmin(input, async (admin, client) => {
    const group = await find(admin, input.args[0]!);
    const committed = await admin.groupOffsets(group.group);
    const owners = new Map(group.members.flatMap((member) => member.assignment.map((at) => [placeKey(at), member])));
    const touched = [...committed, ...group.members.flatMap((member) => member.assignment)];
    const places = await allPartitions(admin, touched);
    const lags = await lagsOf(client, admin, places, committed);
    const rows = lags.map(({ topic, partition, committed: done, end, lag, lagSeconds, start }) => {
      const owner = owners.get(placeKey({ topic, partition }));
      return { topic, partition, committed: done, start, end, lag, lagSeconds, clientId: owner?.clientId ?? null };
    });
    const { terminal } = input;
    if (terminal.json) {
      printJson(terminal, { ...group, partitions: rows });
      return exit.ok;
    }
    terminal.write(`group ${group.group}  state ${group.state}  members ${group.members.length}\n`);
    const shown = rows.map((row) => ({
      ...row,
      behind: row.lagSeconds === null ? "?" : durationText(row.lagSeconds * 1_000),
    }));
    const columns = ["topic", "partition", "committed", "end", "lag", "behind", "clientId"];
    if (rows.length > 0) terminal.write(tableOf(columns, shown, terminal.width, terminal.color));
    const idle = group.members.filter((member) => member.assignment.length === 0).length;
    if (idle > 0) terminal.write(`${idle} of ${group.members.length} members have no partition.\n`);
    return exit.ok;
  });
}

/** Every partition of the topics touched: one without a commit has its whole log ahead. */
async function allPartitions(admin: Admin, touched: readonly TopicPartition[]): Promise<TopicPartition[]> {
  const names = new Set(touched.map(({ topic }) => topic));
  const topics = (await admin.topics()).filter(({ name }) => names.has(name));
  return unique(
    topics.flatMap(({ name, partitions }) => partitions.map(({ partition }) => ({ topic: name, partition }))),
  );
}

function unique(places: readonly TopicPartition[]): TopicPartition[] {
  const byKey = new Map(places.map(({ topic, partition }) => [placeKey({ topic, partition }), { topic, partition }]));
  return [...byKey.values()].sort((a, b) =>
    a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition,
  );
}

async function reset(input: Input): Promise<ExitCode> {
  const group = input.args[0]!;
  const to = input.text("to");
  if (to === undefined) throw new UsageError(`--to is missing: ${placeDoc}`);
  const at = parsePlace(to, Date.now(), "to");
  const only = input.number("partition", 0, 1_000_000);
  return withAdmin(input, async (admin) => {
    const committed = await offsetsOf(admin, group);
    const topics = input.texts("topic");
    const known =
      topics.length === 0 ? unique(committed) : (await Promise.all(topics.map((t) => partitionsOf(admin, t)))).flat();
    const places = known.filter(({ partition }) => only === undefined || partition === only);
    if (places.length === 0) {
      if (topics.length === 0 && committed.length === 0) {
        throw new CliError(
          exit.notFound,
          `group ${JSON.stringify(group)} has committed nothing`,
          "Name topics with --topic.",
        );
      }
      throw new CliError(exit.notFound, `there is no partition ${only}`);
    }
    const mapOf = async (place: StartAt): Promise<Map<string, number>> =>
      new Map((await admin.offsets(places, place)).map((entry) => [placeKey(entry), entry.offset]));
    const timed = typeof at === "object" && "time" in at;
    const times = timed ? await mapOf(at) : new Map<string, number>();
    const targets = targetsOf(at, places, await mapOf("earliest"), await mapOf("latest"), times);
    if (!input.has("dry-run")) await apply(admin, group, targets);
    const before = new Map(committed.map((entry) => [placeKey(entry), entry.offset]));
    const rows = targets.map((target) => {
      const from = before.get(placeKey(target)) ?? null;
      const { topic, partition } = target;
      return { group, topic, partition, from, to: target.offset, move: from === null ? null : target.offset - from };
    });
    printRows(input.terminal, ["topic", "partition", "from", "to", "move"], rows, "Nothing to reset.");
    if (input.has("dry-run")) input.terminal.note("Nothing was changed (--dry-run).\n");
    return exit.ok;
  });
}

async function offsetsOf(admin: Admin, group: string): Promise<PartitionOffset[]> {
  try {
    return await admin.groupOffsets(group);
  } catch (thrown) {
    if ((thrown as { kind?: string }).kind === "GROUP_ID_NOT_FOUND") return [];
    throw thrown;
  }
}

const busy: ReadonlySet<string> = new Set(["NON_EMPTY_GROUP", "UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION"]);

async function apply(admin: Admin, group: string, targets: readonly PartitionOffset[]): Promise<void> {
  try {
    await admin.setGroupOffsets(group, targets);
  } catch (thrown) {
    if (!busy.has((thrown as { kind?: string }).kind ?? "")) throw thrown;
    const remedy = "Stop them first (`partidor group describe` names them), then reset again.";
    throw new CliError(exit.conflict, `group ${JSON.stringify(group)} has members that are reading`, remedy);
  }
}

async function remove(input: Input): Promise<ExitCode> {
  return withAdmin(input, async (admin) => {
    for (const group of input.args) {
      try {
        await admin.deleteGroup(group);
      } catch (thrown) {
        if ((thrown as { kind?: string }).kind === "GROUP_ID_NOT_FOUND") throw noGroup(group);
        throw thrown;
      }
      if (input.terminal.json) printJson(input.terminal, { event: "deleted", group });
      else input.terminal.write(`deleted ${group}\n`);
    }
    return exit.ok;
  });
}

export const commands: readonly Command[] = [
  { name: "group list", summary: "List the groups.", takes: [], flags: hubFlags, run: list },
  {
    name: "group describe",
    summary: "Show members, positions and lag in records and time.",
    takes: ["GROUP"],
    flags: hubFlags,
    run: describe,
  },
  {
    name: "group reset",
    summary: "Set the positions of a group that has no members.",
    takes: ["GROUP"],
    flags: {
      ...hubFlags,
      to: { value: "PLACE", doc: `${placeDoc}.` },
      topic: {
        value: "TOPIC",
        doc: "Only this topic (may be repeated); all the group has positions for when left out.",
        many: true,
      },
      partition: { value: "N", doc: "Only this partition." },
      "dry-run": { doc: "Show what would change, change nothing." },
    },
    run: reset,
  },
  {
    name: "group delete",
    summary: "Delete groups with their positions.",
    takes: ["GROUP..."],
    flags: hubFlags,
    run: remove,
  },
];

export function run(argv: string[]): Promise<number> {
  return runGroup("group", commands, argv);
}
