// The groups as processes against a real hub: two share the partitions, one is killed, nothing is lost.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";
import test from "node:test";
import { type Consumer, connect, type HubClient } from "../../hub/mod.ts";
import { decodeAggregate, decodeAlert } from "../../subscribers/mod.ts";
import { root, runner } from "../tools/hub_process.ts";
import { withHub } from "../tools/test_hub.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const base = 1_700_000_040_000;
const devices = 12;
const minutes = 20;

function startGroup(group: string, kafka: number): ChildProcess {
  const args = [path.join(root, "subscribers/main.ts"), "--group", group, "--bootstrap", `127.0.0.1:${kafka}`];
  return spawn(process.execPath, [...runner(), ...args], { stdio: ["ignore", "ignore", "pipe"] });
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    process.kill(child.pid!, signal);
    await new Promise((resolve) => child.once("exit", resolve));
  }
  return child.exitCode;
}

/** Readings of a device, 10 s apart, from minute `from` on. */
async function publish(client: HubClient, from: number, to: number): Promise<void> {
  const producer = client.producer();
  for (let i = from * 6; i < to * 6; i++) {
    for (let device = 0; device < devices; device++) {
      const t = base + i * 10_000;
      const v = device === 3 && i > 300 && i < 312 ? 500 : device + (i % 6);
      const headers = [{ key: "mqtt.topic", value: bytes(`sensors/d${device}/temp`) }];
      producer.send("sensors", {
        key: bytes(`d${device}`),
        value: bytes(JSON.stringify({ t, v })),
        headers,
        timestamp: t,
      });
    }
  }
  await producer.close();
}

async function readUntil(consumer: Consumer, values: Uint8Array[], enough: () => boolean): Promise<void> {
  const end = Date.now() + 40_000;
  while (!enough()) {
    assert.ok(Date.now() < end, `only ${values.length} messages came`);
    for (const batch of await consumer.poll(200)) {
      for (const record of batch.records) if (record.value !== null) values.push(record.value);
    }
  }
}

async function withClient(kafka: number, use: (client: HubClient) => Promise<void>): Promise<void> {
  const client = connect({ bootstrap: `127.0.0.1:${kafka}`, clientId: "test" });
  try {
    await use(client);
  } finally {
    await client.close();
  }
}

test("two analytics processes share the partitions; one is killed and every window is there", async () => {
  await withHub({}, async ({ kafka }) => {
    await withClient(kafka, async (client) => {
      const admin = client.admin();
      await admin.createTopic("sensors", { partitions: 4 });
      await admin.createTopic("aggregates", { partitions: 4 });
      const one = startGroup("analytics", kafka);
      const two = startGroup("analytics", kafka);
      const consumer = client.consumer();
      try {
        const members = async (): Promise<number[]> => {
          const { members: list } = await admin.describeGroup("analytics").catch(() => ({ members: [] }));
          return list.map(({ assignment }) => assignment.length).sort();
        };
        const end = Date.now() + 20_000;
        while (JSON.stringify(await members()) !== "[2,2]") {
          assert.ok(Date.now() < end, `assignment ${await members()}`);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        await consumer.assign([{ topic: "aggregates", from: "earliest" }]);
        await publish(client, 0, minutes / 2);
        const values: Uint8Array[] = [];
        await readUntil(consumer, values, () => values.length >= devices * 3);
        await ended(one, "SIGKILL");
        await publish(client, minutes / 2, minutes + 1);
        const windows = (): Map<string, string> => {
          const found = new Map<string, string>();
          for (const value of values) {
            const { device, start, ...rest } = decodeAggregate(value);
            const key = `${device}/${(start - base) / 60_000}`;
            const text = JSON.stringify(rest);
            assert.equal(found.get(key) ?? text, text, `two contents for ${key}`);
            found.set(key, text);
          }
          return found;
        };
        await readUntil(consumer, values, () => windows().size >= devices * minutes);
        for (const [key, text] of windows()) assert.equal((JSON.parse(text) as { count: number }).count, 6, key);
        assert.equal(await ended(two, "SIGTERM"), 0);
        const left = await admin.describeGroup("analytics");
        assert.ok(left.members.length <= 1, "the one that was stopped has left");
      } finally {
        await Promise.all([ended(one, "SIGKILL"), ended(two, "SIGKILL")]);
        await consumer.close();
        await admin.close();
      }
    });
  });
});

test("ml names the device that went wrong, once per reading however often it starts", async () => {
  await withHub({}, async ({ kafka }) => {
    await withClient(kafka, async (client) => {
      const admin = client.admin();
      await admin.createTopic("sensors", { partitions: 2 });
      await publish(client, 0, 60);
      const consumer = client.consumer();
      const values: Uint8Array[] = [];
      try {
        const first = startGroup("ml", kafka);
        try {
          while ((await admin.topics()).every(({ name }) => name !== "alerts"))
            await new Promise((r) => setTimeout(r, 50));
          await consumer.assign([{ topic: "alerts", from: "earliest" }]);
          await readUntil(consumer, values, () => values.some((value) => decodeAlert(value).v === 500));
        } finally {
          assert.equal(await ended(first, "SIGTERM"), 0);
        }
        const second = startGroup("ml", kafka);
        try {
          await publish(client, 60, 62);
          const ids = values.map((value) => decodeAlert(value).id);
          assert.equal(new Set(ids).size, ids.length);
        } finally {
          await ended(second, "SIGTERM");
        }
      } finally {
        await consumer.close();
        await admin.close();
      }
    });
  });
});

test("wrong arguments end with 2", async () => {
  for (const args of [["--group", "x"], ["--grup", "ml"], []]) {
    const child = spawn(process.execPath, [...runner(), path.join(root, "subscribers/main.ts"), ...args]);
    const code = await new Promise((resolve) => child.once("exit", resolve));
    assert.equal(code, 2, args.join(" "));
  }
});
