// QoS 2 over three hubs: devices with full windows come back wherever they can and send again, while one hub after
// the other is killed or stopped for a while. Every message is in the topic exactly once, in the order of its device.
// `SEED=` chooses the faults, `SECONDS=` how long they last.
import assert from "node:assert/strict";
import test from "node:test";
import { connectFrame, publishFrame, pubrelFrame, RawClient, Type } from "../bridge/raw_client.ts";
import { seeded } from "../sim/clock.ts";
import { type ChaosHub, ChaosStage } from "./cluster/stage.ts";
import { readAll } from "./cluster/workload.ts";

const seed = Number(process.env["SEED"] ?? 1);
const seconds = Number(process.env["SECONDS"] ?? 30);
const chance = seeded(seed);
const pick = (count: number): number => Math.floor(chance() * count);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A device that hears nothing for so long tries elsewhere. */
const silenceMsMax = 4_000;
const windowMax = 6;

class Device {
  readonly name: string;
  readonly #hubs: readonly ChaosHub[];
  /** By packet id, in the order of sending. */
  readonly #open = new Map<number, { readonly number: number; isReceived: boolean }>();
  /** Numbers given out. */
  sent = 0;
  reconnects = 0;
  isEnding = false;

  constructor(name: string, hubs: readonly ChaosHub[]) {
    this.name = name;
    this.#hubs = hubs;
  }

  /** Until it is to end and everything is acknowledged. */
  async run(): Promise<void> {
    while (!this.isEnding || this.#open.size > 0) {
      const hub = this.#hubs[pick(this.#hubs.length)]!;
      try {
        await this.#connection(hub);
      } catch {
        this.reconnects++;
        await pause(50 + 200 * chance());
      }
    }
  }

  async #connection(hub: ChaosHub): Promise<void> {
    const raw = new RawClient(hub.ports.mqtt, hub.host);
    let heardAt = performance.now();
    const watch = setInterval(() => {
      if (performance.now() - heardAt > silenceMsMax) raw.destroy();
    }, 500);
    try {
      raw.send(connectFrame(this.name, { clean: false }));
      await raw.until(() => raw.packets.length > 0);
      if (raw.packets[0]!.body[1] !== 0) throw new Error("refused");
      await this.#exchange(raw, () => {
        heardAt = performance.now();
      });
    } finally {
      clearInterval(watch);
      raw.destroy();
    }
  }

  async #exchange(raw: RawClient, heard: () => void): Promise<void> {
    for (const [id, { number, isReceived }] of this.#open) {
      raw.send(isReceived ? pubrelFrame(id) : this.#publish(id, number, true));
    }
    for (let at = 1; ; ) {
      this.#sendMore(raw);
      if (this.isEnding && this.#open.size === 0) return;
      await raw.until(() => raw.packets.length > at);
      heard();
      for (; at < raw.packets.length; at++) this.#take(raw, raw.packets[at]!.type, raw.packets[at]!.body);
    }
  }

  #sendMore(raw: RawClient): void {
    for (let id = 1; id <= windowMax && !this.isEnding; id++) {
      if (this.#open.has(id)) continue;
      this.#open.set(id, { number: this.sent, isReceived: false });
      raw.send(this.#publish(id, this.sent++, false));
    }
  }

  #take(raw: RawClient, type: number, body: Buffer): void {
    const id = body.length >= 2 ? body.readUInt16BE(0) : 0;
    const open = this.#open.get(id);
    if (type === Type.Pubrec && open !== undefined) {
      open.isReceived = true;
      raw.send(pubrelFrame(id));
    } else if (type === Type.Pubcomp && open?.isReceived) this.#open.delete(id);
  }

  #publish(id: number, number: number, dup: boolean): Buffer {
    return publishFrame(`exact/${this.name}`, `${number}`, { qos: 2, id, dup });
  }
}

/** One hub at a time is away: dead, or stopped for longer than the others wait. */
async function hurt(hubs: readonly ChaosHub[], until: number): Promise<string[]> {
  const told: string[] = [];
  while (performance.now() < until) {
    await pause(500 + 2_500 * chance());
    const hub = hubs[pick(hubs.length)]!;
    if (pick(3) > 0) {
      told.push(`kill ${hub.id}`);
      await hub.end("SIGKILL");
      await pause(2_000 * chance());
      await hub.start();
    } else {
      told.push(`stop ${hub.id}`);
      hub.signal("SIGSTOP");
      await pause(1_000 + 5_000 * chance());
      hub.signal("SIGCONT");
    }
  }
  return told;
}

test("hubs that die and stop while devices send neither lose nor double a QoS 2 message", async (context) => {
  const stage = await ChaosStage.open(3);
  try {
    const devices = ["a", "b", "c", "d"].map((name) => new Device(name, stage.hubs));
    let isOver = false;
    void Promise.all(devices.map((device) => device.run())).then(() => {
      isOver = true;
    });
    const faults = await hurt(stage.hubs, performance.now() + 1_000 * seconds);
    for (const device of devices) device.isEnding = true;
    for (const end = performance.now() + 60_000; !isOver; await pause(50)) {
      assert.ok(performance.now() < end, "the devices are done when no hub is hurt any more");
    }
    const records = await readAll(stage, "exact");
    for (const { name, sent } of devices) {
      const own = records.filter(({ key }) => key === name).map(({ number }) => number);
      assert.deepEqual(
        own,
        Array.from({ length: sent }, (_, number) => number),
        `device ${name}, seed ${seed}: ${faults.join(", ")}`,
      );
      assert.ok(sent > 50, `device ${name} sent only ${sent}`);
    }
    context.diagnostic(
      `seed ${seed}: ${records.length} messages, ${devices.reduce((sum, one) => sum + one.reconnects, 0)} reconnects, ` +
        `${faults.length} faults, ${stage.hubs.map(({ words }) => words.split("mqtt_qos2_redone").length - 1)} takeovers with messages on their way`,
    );
  } catch (error) {
    const told = stage.hubs.map((hub) => `--- hub ${hub.id}:\n${hub.words.slice(-3000)}`).join("\n");
    throw new Error(`seed ${seed}: ${String(error)}\n${told}`, { cause: error });
  } finally {
    await stage.close();
  }
});
