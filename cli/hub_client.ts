// The hub that a verb talks to: `--bootstrap`, opened for the length of one command.
import type { Admin, HubClient, TopicPartition } from "../hub/mod.ts";
import { bootstrapDefault, type Input } from "./command.ts";
import { CliError, exit, UsageError } from "./exit.ts";

/** Connects, runs, closes, whatever happens. Start-up of the client costs only the verbs that need it. */
export async function withHub<T>(input: Input, run: (client: HubClient) => Promise<T>): Promise<T> {
  const bootstrap = input.text("bootstrap") ?? bootstrapDefault;
  if (!/^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):\d{1,5}$/.test(bootstrap)) {
    throw new UsageError(`--bootstrap takes host:port, not ${JSON.stringify(bootstrap)}`);
  }
  const { connect } = await import("../hub/mod.ts");
  const client = await connect({ bootstrap, clientId: "partidor-cli" });
  try {
    return await run(client);
  } finally {
    await client.close();
  }
}

/** As `withHub`, for verbs that only look and change. */
export async function withAdmin<T>(input: Input, run: (admin: Admin, client: HubClient) => Promise<T>): Promise<T> {
  return withHub(input, async (client) => {
    const admin = client.admin();
    try {
      return await run(admin, client);
    } finally {
      await admin.close();
    }
  });
}

/** All partitions of a topic. @throws CliError 3 when there is no such topic. */
export async function partitionsOf(admin: Admin, topic: string): Promise<TopicPartition[]> {
  const [found] = await admin.topics([topic]);
  if (found === undefined) throw noTopic(topic);
  return found.partitions.map(({ partition }) => ({ topic, partition }));
}

export function noTopic(topic: string): CliError {
  const remedy = "`partidor topic list` shows what there is, `partidor topic create` makes one.";
  return new CliError(exit.notFound, `there is no topic ${JSON.stringify(topic)}`, remedy);
}

/** "topic/partition", for maps. */
export function placeKey(place: TopicPartition): string {
  return `${place.topic}/${place.partition}`;
}
