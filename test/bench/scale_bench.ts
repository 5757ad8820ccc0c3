// What many groups members, partitions and waiting fetches cost a hub: memory, wake-up time and CPU.
//   npx tsx test/bench/scale_bench.ts [--partitions 2000] [--fetches 1000] [--members 200]
import { parseArgs } from "node:util";
import { scratch, startHub } from "../tools/hub_process.ts";
import { batchOf, fetchAll, makeTopic, produce } from "../tools/wire_calls.ts";
import { dialWire, type WireClient } from "../tools/wire_client.ts";
import { machine, median, usage } from "./systems.ts";

const { values } = parseArgs({
  options: {
    partitions: { type: "string", default: "2000" },
    fetches: { type: "string", default: "1000" },
    members: { type: "string", default: "200" },
  },
});
const partitions = Number(values.partitions);
const fetches = Number(values.fetches);
const members = Number(values.members);

const { folder, remove } = scratch();
const hub = await startHub({ data: folder, env: { PARTIDOR_SETTINGS__GROUP_INITIAL_REBALANCE_DELAY_MS: "100" } });
const lines: string[] = [];
const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
const rss = (): number => usage(hub.pid).rssBytes;
const cpu = (): number => usage(hub.pid).cpuSeconds;
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1500));

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const began = performance.now();
  const result = await work();
  return [result, performance.now() - began];
}

async function manyPartitions(wire: WireClient): Promise<void> {
  await settle();
  const before = rss();
  const [made, ms] = await timed(() => makeTopic(wire, "many", partitions));
  if (made.errorCode !== 0) throw new Error(`the topic was refused: ${made.errorMessage}`);
  await settle();
  const after = rss();
  const each = ((after - before) / partitions / 1024).toFixed(1);
  lines.push(
    `| ${partitions} partitions | made in ${ms.toFixed(0)} ms | +${mib(after - before)} MiB, ${each} KiB each |`,
  );
  const [, metadata] = await timed(() => wire.call("metadata", 12, { topics: null }));
  lines.push(`| metadata of all | ${metadata.toFixed(1)} ms | |`);
  const all = Array.from({ length: partitions }, (_, index) => index);
  const empty = async (): Promise<void> => {
    const { responses } = await fetchAll(wire, { topic: "many", partitions: all });
    const refused = responses[0]!.partitions.find(({ errorCode }) => errorCode !== 0);
    if (refused !== undefined) throw new Error(`a fetch was refused with ${refused.errorCode}`);
  };
  await empty();
  const began = cpu();
  const polls: number[] = [];
  for (let i = 0; i < 100; i++) polls.push((await timed(empty))[1]);
  const perPoll = ((cpu() - began) / 100) * 1000;
  lines.push(
    `| an empty fetch of all, 100 times | ${median(polls).toFixed(1)} ms | ${perPoll.toFixed(2)} ms CPU each |`,
  );
}

async function parkedFetches(wire: WireClient): Promise<void> {
  const clients = await Promise.all(Array.from({ length: fetches }, () => dialWire(hub.kafka)));
  await settle();
  const before = rss();
  const park = (index: number, partition: number): Promise<unknown> =>
    fetchAll(clients[index]!, { topic: "many", partitions: [partition], maxWaitMs: 60_000, offset: 0 });
  const parked = clients.map((_, index) => park(index, index % partitions));
  await settle();
  const each = ((rss() - before) / fetches / 1024).toFixed(1);
  lines.push(`| ${fetches} parked fetches, each on its own partition | | ${each} KiB each, connection aside |`);
  const began = cpu();
  const wakes: number[] = [];
  const woken = Math.min(fetches, 500);
  for (let index = 0; index < woken; index++) {
    const [, ms] = await timed(async () => {
      await Promise.all([produce(wire, "many", batchOf(100), { index: index % partitions }), parked[index]]);
    });
    wakes.push(ms);
  }
  const perWake = ((cpu() - began) / woken) * 1000;
  const others = `${fetches - woken} to ${fetches} stay parked`;
  lines.push(
    `| one record wakes one of them, ${others} | ${median(wakes).toFixed(2)} ms | ${perWake.toFixed(2)} ms CPU |`,
  );
  for (let index = woken; index < fetches; index++)
    await produce(wire, "many", batchOf(100), { index: index % partitions });
  await Promise.all(parked);
  await makeTopic(wire, "one", 1);
  const again = clients.map((one) => fetchAll(one, { topic: "one", maxWaitMs: 60_000 }));
  await settle();
  const start = cpu();
  const [, all] = await timed(() => Promise.all([produce(wire, "one", batchOf(100)), ...again]));
  const cost = (cpu() - start) * 1000;
  lines.push(
    `| one record wakes all ${fetches} | ${all.toFixed(0)} ms to the last answer | ${cost.toFixed(0)} ms CPU |`,
  );
  for (const client of clients) client.close();
}

interface Joined {
  readonly wire: WireClient;
  readonly memberId: string;
  generationId: number;
}

async function bigGroup(): Promise<void> {
  const clients = await Promise.all(Array.from({ length: members }, () => dialWire(hub.kafka)));
  await settle();
  const before = rss();
  const subscription = new Uint8Array(200);
  const ask = (memberId: string) => ({
    groupId: "big",
    sessionTimeoutMs: 45_000,
    rebalanceTimeoutMs: 60_000,
    memberId,
    protocolType: "consumer",
    protocols: [{ name: "range", metadata: subscription }],
  });
  const [joined, ms] = await timed(async () => {
    const all = await Promise.all(
      clients.map(async (wire): Promise<Joined & { leads: boolean; members: readonly { memberId: string }[] }> => {
        const { memberId } = await wire.call("joinGroup", 7, ask(""));
        const reply = await wire.call("joinGroup", 7, ask(memberId));
        const leads = reply.leader === reply.memberId;
        return { wire, memberId, generationId: reply.generationId, leads, members: reply.members };
      }),
    );
    const assignments = all
      .find(({ leads }) => leads)!
      .members.map(({ memberId }) => {
        return { memberId, assignment: new Uint8Array(100) };
      });
    await Promise.all(
      all.map(({ wire, memberId, generationId, leads }) =>
        wire.call("syncGroup", 5, {
          groupId: "big",
          generationId,
          memberId,
          protocolType: "consumer",
          protocolName: "range",
          assignments: leads ? assignments : [],
        }),
      ),
    );
    return all;
  });
  const after = rss();
  lines.push(`| a group of ${members} forms (join and sync) | ${ms.toFixed(0)} ms | +${mib(after - before)} MiB |`);
  const began = cpu();
  const rounds = 50;
  const [, beats] = await timed(async () => {
    for (let i = 0; i < rounds; i++) {
      await Promise.all(
        joined.map(({ wire, memberId, generationId }) =>
          wire.call("heartbeat", 4, { groupId: "big", generationId, memberId }),
        ),
      );
    }
  });
  const perBeat = ((cpu() - began) / (rounds * members)) * 1e6;
  const rate = Math.round((rounds * members * 1000) / beats);
  lines.push(`| heartbeats of all | ${rate} a second | ${perBeat.toFixed(0)} us CPU each |`);
  for (const client of clients) client.close();
}

try {
  const wire = await dialWire(hub.kafka);
  await manyPartitions(wire);
  await parkedFetches(wire);
  await bigGroup();
  wire.close();
  console.log(
    `${machine()}; RSS in the end ${mib(rss())} MiB\n\n| what | time | cost |\n|---|---|---|\n${lines.join("\n")}`,
  );
} finally {
  await hub.end();
  remove();
}
process.exit(0);
