// The shared tail: one consumer a topic, frames encoded once, a bounded ring.
import assert from "node:assert/strict";
import test from "node:test";
import { type From, parseMessage, type Subscribe } from "../../dashboards/protocol.ts";
import { type Reader, Tail, Tails } from "../../dashboards/tail.ts";
import { limits } from "../../hub/limits.ts";
import { silentTrace } from "../../hub/trace.ts";
import { StandIn } from "./stand_in.ts";

const wanted = (more: object = {}): Subscribe & { from: From } =>
  parseMessage(JSON.stringify({ type: "subscribe", id: 1, topic: "sensors", ...more })) as Subscribe;

class Listener implements Reader {
  readonly bodies: Buffer[] = [];
  changed = 0;
  #wake: () => void = () => {};
  onFrame(_: unknown, body: Buffer): void {
    this.bodies.push(body);
    this.#wake();
  }
  onChanged(): void {
    this.changed++;
    this.#wake();
  }
  /** Resolves when something was heard. */
  async heard(done: () => boolean): Promise<void> {
    while (!done()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

test("readers of one shape get the same bytes, from one consumer", async () => {
  const hub = new StandIn();
  hub.createTopic("sensors", 2);
  const tails = new Tails(hub.client(), silentTrace);
  try {
    const tail = tails.open("sensors")!;
    assert.equal(tails.open("sensors"), tail);
    await tail.ready();
    const [one, two, other] = [new Listener(), new Listener(), new Listener()];
    const shape = tail.join(wanted(), one);
    assert.equal(tail.join(wanted({ id: 7, from: "earliest", credit: 9 }), two), shape);
    assert.notEqual(tail.join(wanted({ keys: ["b"] }), other), shape);
    hub.append("sensors", 0, { key: "a", value: "1" });
    hub.append("sensors", 1, { key: "b", value: "2" });
    await one.heard(() => one.bodies.length === 2);
    await other.heard(() => other.bodies.some((body) => body.includes("[[")));
    assert.ok(one.bodies[0] === two.bodies[0] && one.bodies[1] === two.bodies[1], "the same buffer, not a copy");
    assert.match(String(other.bodies.at(-1)), /^"partition":1,"first":0,"next":1,"records":\[\[0,\d+,"b",2,0\]\]\}$/);
    assert.equal(hub.opened.get("dashboard-tail"), 1);
  } finally {
    await tails.close();
  }
});

test("the ring holds what came last within its bytes, and says from where", async () => {
  const hub = new StandIn();
  hub.createTopic("sensors", 1);
  const tail = new Tail(hub.client(), "sensors", silentTrace);
  try {
    await tail.ready();
    assert.equal(tail.oldest(0), 0);
    const listener = new Listener();
    tail.join(wanted(), listener);
    const value = "x".repeat(4096);
    const count = Math.ceil((limits.tailRingBytesMax / 4096) * 1.5);
    for (let n = 0; n < count; n++) hub.append("sensors", 0, { key: "k", value });
    await listener.heard(() => String(listener.bodies.at(-1) ?? "").includes(`"next":${count},`));
    const kept = tail.since(0, 0, Number.MAX_SAFE_INTEGER);
    const bytes = kept.reduce((sum, shown) => sum + shown.bytes, 0);
    assert.ok(bytes <= limits.tailRingBytesMax && bytes > limits.tailRingBytesMax / 2, `${bytes} bytes`);
    assert.equal(kept[0]!.offset, tail.oldest(0));
    assert.equal(kept.at(-1)!.offset, count - 1);
    assert.deepEqual(
      tail.since(0, count - 3, count - 1).map(({ offset }) => offset),
      [count - 3, count - 2],
    );
  } finally {
    await tail.close();
  }
});

test("a tail survives a consumer that fails, and goes on where it was", async () => {
  const hub = new StandIn();
  hub.createTopic("sensors", 1);
  const client = hub.client();
  let failures = 1;
  const flaky = {
    ...client,
    consumer: (options: Parameters<typeof client.consumer>[0]) => {
      const consumer = client.consumer(options);
      const poll = consumer.poll.bind(consumer);
      consumer.poll = async (ms) => {
        const batches = await poll(ms);
        if (batches.length > 0 && failures-- > 0) throw new Error("the connection broke");
        return batches;
      };
      return consumer;
    },
  };
  const tail = new Tail(flaky, "sensors", silentTrace);
  try {
    await tail.ready();
    const listener = new Listener();
    tail.join(wanted(), listener);
    hub.append("sensors", 0, { key: "k", value: "1" });
    await listener.heard(() => listener.bodies.length > 0);
    assert.match(String(listener.bodies[0]), /"first":0,"next":1/);
    assert.equal(listener.changed, 0);
  } finally {
    await tail.close();
  }
});

test("only so many topics are tailed; one that nobody watches makes place", async () => {
  const tails = new Tails(new StandIn().client(), silentTrace);
  try {
    const held = Array.from({ length: limits.tailTopicsMax }, (_, n) => tails.open(`topic-${n}`)!);
    assert.ok(held.every((tail) => tail !== null));
    assert.equal(tails.open("one-more"), null);
    tails.release(held[3]!);
    assert.notEqual(tails.open("one-more"), null);
  } finally {
    await tails.close();
  }
});
