// Sending to a real hub through a network that breaks: nothing acknowledged is lost, nothing doubled, order kept.
import assert from "node:assert/strict";
import process from "node:process";
import test from "node:test";
import { connectNet } from "../../../hub/client/client.ts";
import { openClock } from "../../../hub/io/clock.ts";
import { openNet } from "../../../hub/io/net.ts";
import type { Clock, Net, Socket } from "../../../hub/io/ports.ts";
import { take, text, withClient } from "./ways.ts";

const real = openClock();
/** Retry pauses are cut short; deadlines stay. */
const clock: Clock = { ...real, after: (delayMs, call) => real.after(delayMs > 2_000 ? delayMs : delayMs / 20, call) };

/** Breaks each connection after a random number of writes or of chunks read, sometimes with answers still on the way. */
function breakingNet(net: Net, random: () => number): Net & { breaks: number } {
  const broken = {
    breaks: 0,
    listen: net.listen.bind(net),
    async dial(host: string, port: number, timeoutMs: number): Promise<Socket> {
      if (random() < 0.1) throw new Error("no route to host");
      const socket = await net.dial(host, port, timeoutMs);
      let left = 3 + Math.trunc(random() * 10);
      const wear = (): void => {
        left -= 1;
        if (left !== 0) return;
        broken.breaks += 1;
        socket.destroy();
      };
      const write = socket.write.bind(socket);
      socket.write = (parts) => {
        const room = write(parts);
        wear();
        return room;
      };
      // The connection sets its own `onData`: it is called for whole chunks, or not at all.
      return new Proxy(socket, {
        set(target, name, value) {
          const wrapped =
            name === "onData"
              ? (bytes: Uint8Array) => {
                  wear();
                  if (left !== 0) (value as Socket["onData"])(bytes);
                }
              : value;
          return Reflect.set(target, name, wrapped, target);
        },
        get(target, name) {
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
    },
  };
  return broken;
}

test("a network that breaks all the time: what was told as delivered is there, once and in order", async () => {
  const seed = Number(process.env.SEED ?? Math.trunc(Math.random() * 1e9));
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  await withClient("without a socket", async (ground) => {
    const topic = await ground.topic(3);
    const net = breakingNet(openNet(real), random);
    const bootstrap = [{ host: "127.0.0.1", port: ground.kafka }];
    const client = connectNet({ net, clock, bootstrap, clientId: "breaking" });
    const producer = client.producer({ batchBytes: 500 });
    const delivered = new Map<string, string>();
    const failed: string[] = [];
    for (let index = 0; index < 1500; index += 1) {
      const record = { key: null, value: Buffer.from(`v${index}`), partition: index % 3 };
      producer.send(topic, record, (error, offset, partition) => {
        if (error === null) delivered.set(`v${index}`, `${partition}@${offset}`);
        else failed.push(`v${index}`);
      });
      if (random() < 0.05) await new Promise((resolve) => setImmediate(resolve));
    }
    await producer.flush();
    await client.close();
    const consumer = ground.client.consumer({ from: "earliest" });
    await consumer.assign([{ topic }]);
    const records = await take(consumer, delivered.size);
    const places = new Map(records.map((record) => [text(record.value), `${record.partition}@${record.offset}`]));
    assert.equal(places.size, records.length, `doubled (SEED=${seed})`);
    for (const [value, place] of delivered) {
      // A doubled batch that the hub recognised late is told without its offset.
      if (!place.endsWith("@-1")) assert.equal(places.get(value), place, `${value} (SEED=${seed})`);
      assert.ok(places.has(value), `${value} is lost (SEED=${seed})`);
    }
    for (const partition of [0, 1, 2]) {
      const mine = records.filter((record) => record.partition === partition);
      const numbers = mine.map(({ value }) => Number(text(value).slice(1)));
      assert.deepEqual(
        numbers,
        [...numbers].sort((one, other) => one - other),
        `order (SEED=${seed})`,
      );
    }
    assert.ok(net.breaks > 3, `${net.breaks} breaks (SEED=${seed})`);
    assert.ok(failed.length < 500, `${failed.length} failed (SEED=${seed})`);
  });
});
