// An MQTT shared subscription is a consumer group to Apache Kafka's own tools: listed, described with its lag, rewound.
import assert from "node:assert/strict";
import { ackPacket, CodecClient, subscribePacket } from "../bridge/codec_client.ts";
import mqtt from "mqtt";
import { withHub } from "./program.ts";
import { compat } from "./table.ts";
import { startTools, type Tools } from "./tool_server.ts";

const payload = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/** A member that acknowledges what it is told to. */
async function join(port: number, clientId: string, filter: string): Promise<CodecClient> {
  const client = await CodecClient.open(port, clientId, { properties: { receiveMaximum: 100 } });
  client.send(subscribePacket(1, [{ filter, qos: 1 }]));
  await client.nth("suback");
  return client;
}

async function groups(tools: Tools, line: string): Promise<string> {
  const { code, text } = await tools.run("groups", line.split(" "));
  assert.equal(code, 0, text);
  return text;
}

interface Row {
  readonly partition: number;
  readonly offset: number;
  readonly end: number;
  readonly lag: number;
}

/** The lines of `--describe`, once they are as wanted. */
async function described(tools: Tools, group: string, wanted: (rows: readonly Row[]) => boolean): Promise<void> {
  let text = "";
  for (const until = Date.now() + 20_000; Date.now() < until; ) {
    text = await groups(tools, `--describe --group ${group}`);
    const found = [...text.matchAll(/^(\S+) +jobs +(\d+) +(\d+) +(\d+) +(\d+) /gm)].filter(
      ([, name]) => name === group,
    );
    const rows = found.map(([, , ...figures]) => {
      const [partition, offset, end, lag] = figures.map(Number) as [number, number, number, number];
      return { partition, offset, end, lag };
    });
    if (wanted(rows)) return;
  }
  throw new Error(`not as wanted:\n${text}`);
}

const lagOf = (rows: readonly Row[]): number => rows.reduce((sum, { lag }) => sum + lag, 0);

compat(
  "console tools",
  "kafka-consumer-groups: an MQTT shared subscription, its lag, its members, rewound",
  async () => {
    await withHub(async (hub) => {
      const tools = await startTools(`127.0.0.1:${hub().kafka}`);
      const author = await mqtt.connectAsync({ port: hub().mqtt, clientId: "author", protocolVersion: 5 });
      const publish = async (from: number, count: number): Promise<void> => {
        const numbers = Array.from({ length: count }, (_, at) => from + at);
        await Promise.all(numbers.map((n) => author.publishAsync(`jobs/device-${n}/do`, `job ${n}`, { qos: 1 })));
      };
      try {
        await publish(0, 1); // its topic is there
        const crew = await join(hub().mqtt, "worker", "$share/crew/jobs/#");
        const some = await join(hub().mqtt, "other", "$share/few/jobs/device-7/#");
        await publish(1, 20);
        await crew.nth("publish", 20);
        await described(tools, "crew", (rows) => rows.length === 4 && lagOf(rows) === 20);
        for (const { packetId } of crew.of("publish")) crew.send(ackPacket("puback", packetId));
        await described(tools, "crew", (rows) => lagOf(rows) === 0 && rows.every(({ offset, end }) => offset === end));

        const listed = await groups(tools, "--list");
        assert.match(listed, /^crew$/m);
        assert.match(listed, /^few:jobs\/device-7\/#$/m, "a filter that leaves records out has a group of its own");
        await described(tools, "few:jobs/device-7/#", (rows) => lagOf(rows) > 0 && lagOf(rows) < 20);
        const [member] = await Promise.all([groups(tools, "--describe --group crew --members"), some.nth("publish")]);
        assert.match(member, /^crew +\S+ +\S+ +\S+ +4 /m, "one member, with all partitions");
        assert.match(await groups(tools, "--describe --group crew --state"), /^crew .* Stable +1/m);

        // rewound by an operator while nobody is there: everything comes again
        crew.send({ kind: "disconnect", code: 0, properties: {} });
        await crew.untilClosed();
        for (const until = Date.now() + 20_000; ; ) {
          if (/Empty/.test(await groups(tools, "--describe --group crew --state"))) break;
          assert.ok(Date.now() < until, "the group is empty");
        }
        await groups(tools, "--reset-offsets --group crew --topic jobs --to-earliest --execute");
        const again = await join(hub().mqtt, "worker", "$share/crew/jobs/#");
        await again.nth("publish", 21);
        const jobs = again.of("publish").map((one) => payload(one.payload));
        assert.deepEqual([...jobs].sort(), Array.from({ length: 21 }, (_, n) => `job ${n}`).sort());
        for (const client of [crew, some, again]) client.destroy();
      } finally {
        author.end(true);
        await tools.end();
      }
    });
  },
);
