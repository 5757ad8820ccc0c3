// The hub that a verb talks to: `--bootstrap`, opened for the length of one command.
import { connect as dialTcp } from "node:net";
import type { Admin, HubClient, TopicDescription, TopicPartition } from "../hub/mod.ts";
import { bootstrapDefault, type Input } from "./command.ts";
import { CliError, exit, UsageError } from "./exit.ts";

/** `host:port` or `[v6]:port`. */
const addressForm = /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):\d{1,5}$/;

/** Connects, runs, closes, whatever happens. Start-up of the client costs only the verbs that need it. */
export async function withHub<T>(input: Input, run: (client: HubClient) => Promise<T>): Promise<T> {
  const bootstrap = input.text("bootstrap") ?? bootstrapDefault;
  if (!bootstrap.split(",").every((one) => addressForm.test(one.trim()))) {
    throw new UsageError(`--bootstrap takes host:port, not ${JSON.stringify(bootstrap)}`);
  }
  await answers(bootstrap.split(",").map((one) => one.trim()));
  const { connect } = await import("../hub/mod.ts");
  // The client's timers do not keep a process alive; this command wants its answer.
  const awake = setInterval(() => {}, 60_000);
  const client = connect({ bootstrap, clientId: "partidor-cli" });
  try {
    return await run(client);
  } finally {
    await client.close();
    clearInterval(awake);
  }
}

const dialMsMax = 3_000;

/** Resolves when one of the addresses takes a connection: the client would try for longer than a person waits. */
async function answers(addresses: readonly string[]): Promise<void> {
  const dial = (address: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const at = address.lastIndexOf(":");
      const host = address.slice(0, at).replace(/^\[|\]$/g, "");
      const socket = dialTcp({ host, port: Number(address.slice(at + 1)), timeout: dialMsMax });
      socket.once("connect", () => {
        socket.destroy();
        resolve();
      });
      socket.once("error", reject);
      socket.once("timeout", () => {
        socket.destroy();
        reject(Object.assign(new Error(`${address} does not answer in ${dialMsMax} ms`), { code: "ETIMEDOUT" }));
      });
    });
  try {
    await Promise.any(addresses.map(dial));
  } catch (thrown) {
    const first = (thrown as AggregateError).errors[0] as Error & { code?: string };
    // A name with several addresses fails with one error that holds the others.
    const inner = first instanceof AggregateError ? (first.errors[0] as Error & { code?: string }) : first;
    throw Object.assign(new Error(`no connection to ${addresses.join(", ")} (${inner.code ?? inner.message})`), {
      code: inner.code ?? "ECONNREFUSED",
    });
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
  const found = await findTopic(admin, topic);
  return found.partitions.map(({ partition }) => ({ topic, partition }));
}

/** @throws CliError 3 when there is no such topic. */
export async function findTopic(admin: Admin, topic: string): Promise<TopicDescription> {
  try {
    const [found] = await admin.topics([topic]);
    if (found !== undefined) return found;
  } catch (thrown) {
    if ((thrown as { kind?: string }).kind !== "UNKNOWN_TOPIC_OR_PARTITION") throw thrown;
  }
  throw noTopic(topic);
}

export function noTopic(topic: string): CliError {
  const remedy = "`partidor topic list` shows what there is, `partidor topic create` makes one.";
  return new CliError(exit.notFound, `there is no topic ${JSON.stringify(topic)}`, remedy);
}

/** "topic/partition", for maps. */
export function placeKey(place: TopicPartition): string {
  return `${place.topic}/${place.partition}`;
}
