// The same requests, byte for byte in the same versions, to a hub and to Apache Kafka: the answers are the same.
import assert from "node:assert/strict";
import test from "node:test";
import { openTestHub, type TestHub } from "../tools/test_hub.ts";
import { type ApacheKafka, startApacheKafka } from "./apache_kafka.ts";
import { mayLeaveOut } from "./clients.ts";
import { any, type Deliberate, deliberate } from "./differential/deliberate.ts";
import { type Difference, differences, type Plain } from "./differential/normal.ts";
import { clusterScenarios } from "./differential/cluster.ts";
import { consumerGroupScenarios } from "./differential/consumer_groups.ts";
import { fetchScenarios } from "./differential/fetch.ts";
import { groupScenarios } from "./differential/groups.ts";
import { produceScenarios } from "./differential/produce.ts";
import { type Scenario, Stage, type Step } from "./differential/stage.ts";
import { topicScenarios } from "./differential/topics.ts";
import { transactionScenarios } from "./differential/transactions.ts";

const scenarios: readonly Scenario[] = [
  ...produceScenarios,
  ...fetchScenarios,
  ...topicScenarios,
  ...groupScenarios,
  ...transactionScenarios,
  ...consumerGroupScenarios,
  ...clusterScenarios,
];

/** What both are told alike: groups that do not wait, and internal topics of few files. */
const alike = { "group.initial.rebalance.delay.ms": 0, "auto.create.topics.enable": "false" };
const internal = { "offsets.topic.num.partitions": 2, "transaction.state.log.num.partitions": 2 };

interface Pair {
  readonly hub: TestHub;
  readonly apache: ApacheKafka;
}

let pair: Promise<Pair> | null = null;

function open(): Promise<Pair> {
  return (pair ??= (async () => {
    const apache = await startApacheKafka({ ...alike, ...internal });
    const hub = await openTestHub({ settings: alike });
    try {
      for (const port of [apache.port, hub.kafka]) await warm(port);
    } catch (error) {
      await Promise.all([apache.end(), hub.close()]);
      throw error;
    }
    return { apache, hub };
  })());
}

/** Asks for a group and a transaction of each partition until their coordinators are there. */
async function warm(port: number): Promise<void> {
  const stage = new Stage(port);
  for (let i = 0; i < 8; i++) {
    // Kafka makes the topics of its coordinators when it is first asked for them
    for (const keyType of [0, 1]) await stage.ask("findCoordinator", 3, { key: `warm-${i}`, keyType });
    await stage.ask("offsetFetch", 7, { groupId: `warm-${i}`, topics: null });
    await stage.ask("initProducerId", 4, { transactionalId: `warm-${i}`, transactionTimeoutMs: 1000 });
  }
  stage.close();
}

async function played(port: number, { play }: Scenario): Promise<readonly Step[]> {
  const stage = new Stage(port);
  try {
    await play(stage);
  } catch (error) {
    stage.note("the scenario ended early", (error as Error).stack ?? String(error));
  } finally {
    stage.close();
  }
  return stage.steps;
}

const used = new Set<Deliberate>();
let [stepsCompared, ran] = [0, 0];

const pattern = (text: string): RegExp => new RegExp(`^${text.replace(/[.[\]()|+?]/g, "\\$&").replace(/\*/g, ".*")}$`);
const same = (listed: Plain, found: Plain): boolean =>
  listed === any || JSON.stringify(listed) === JSON.stringify(found);

function isDeliberate(step: string, { path, hub, apache }: Difference): boolean {
  const line = deliberate.find(
    (one) =>
      pattern(one.at).test(step) && pattern(one.path).test(path) && same(one.hub, hub) && same(one.apache, apache),
  );
  if (line !== undefined) used.add(line);
  return line !== undefined;
}

function compare(scenario: string, hub: readonly Step[], apache: readonly Step[]): string[] {
  const names = [...new Set([...apache, ...hub].map(({ name }) => name))];
  stepsCompared += names.length;
  return names.flatMap((name) => {
    const of = (steps: readonly Step[]): Plain | undefined => steps.find((step) => step.name === name)?.answer;
    const step = `${scenario} / ${name}`;
    const all = differences(of(hub), of(apache)).filter((one) => !isDeliberate(step, one));
    return all.map((one) => {
      const [here, there] = [one.hub, one.apache].map((value) => JSON.stringify(value));
      return `${step}: ${one.path === "" ? "the answer" : one.path}: hub ${here}, Apache ${there}`;
    });
  });
}

const only = process.env["ONLY"] ?? "";

for (const scenario of scenarios.filter(({ name }) => name.includes(only))) {
  test(`as Apache Kafka: ${scenario.name}`, async () => {
    const { hub, apache } = await open().catch((error: Error) => {
      if (mayLeaveOut) console.log(`left out, Apache Kafka beside a hub: ${error.message}`);
      if (mayLeaveOut) return { hub: null, apache: null };
      throw error;
    });
    if (hub === null) return;
    const [here, there] = await Promise.all([played(hub.kafka, scenario), played(apache.port, scenario)]);
    ran += 1;
    const found = compare(scenario.name, here, there);
    assert.equal(found.length, 0, `answered differently:\n  ${found.join("\n  ")}`);
  });
}

test("as Apache Kafka: each deliberate difference is still one", async () => {
  const opened = await pair?.catch(() => null);
  if (opened) {
    await opened.hub.close();
    await opened.apache.end();
  }
  if (ran < scenarios.length) return;
  const stale = deliberate.filter((line) => !used.has(line)).map(({ at, path }) => `${at}: ${path}`);
  assert.deepEqual(stale, [], "listed in deliberate.ts, and not different");
  assert.ok(stepsCompared > 0, "nothing was compared");
  console.log(`${stepsCompared} steps of ${ran} scenarios compared, ${deliberate.length} differences on purpose`);
});
