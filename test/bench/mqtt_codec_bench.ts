// The MQTT codec: CPU microseconds per PUBLISH in and out, against mqtt-packet; short loops, to run beside other work.
import { encodePacket } from "../../bridge/wire/encode.ts";
import { FrameScanner } from "../../bridge/wire/frames.ts";
import { FrameBatch, OutgoingMessage, plainDelivery } from "../../bridge/wire/outgoing.ts";
import type { Properties, Publish, Version } from "../../bridge/wire/packet.ts";
import { PublishView, TopicMemo } from "../../bridge/wire/publish.ts";
import mqttPacket from "mqtt-packet";
import os from "node:os";

const rounds = Number(process.argv[2] ?? 5);
const perRound = 30_000;
const payload = Buffer.alloc(200, 0x61);
let sink = 0;

function publish(at: number, qos: 0 | 1, properties: Properties): Publish {
  return {
    kind: "publish",
    // a read of 64 KiB holds some 270 packets, of about three devices
    topic: `sensors/dev-${Math.floor(at / 100) % 500}/temperature`,
    payload,
    qos,
    retain: false,
    dup: false,
    packetId: qos === 0 ? 0 : 1 + (at % 65_535),
    properties,
  };
}

/** Reads of 64 KiB, as a socket gives them. */
function reads(version: Version, qos: 0 | 1, properties: Properties): Buffer[] {
  const frames = Array.from({ length: perRound }, (_, at) => encodePacket(publish(at, qos, properties), version)!);
  const all = Buffer.concat(frames);
  const cut: Buffer[] = [];
  for (let at = 0; at < all.length; at += 65_536) cut.push(all.subarray(at, at + 65_536));
  return cut;
}

/** Microseconds a packet: median and best of the rounds. */
function measure(name: string, run: () => number): void {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const from = process.cpuUsage();
    const count = run();
    // CPU time: the machine may have other work
    const { user, system } = process.cpuUsage(from);
    times.push((user + system) / count);
  }
  times.sort((a, b) => a - b);
  const median = times[times.length >> 1]!;
  console.log(`| ${name} | ${median.toFixed(3)} | ${times[0]!.toFixed(3)} |`);
}

function ours(version: Version, chunks: readonly Buffer[], use: (view: PublishView, memo: TopicMemo) => void): number {
  const scanner = new FrameScanner(1_000_000);
  const view = new PublishView();
  const memo = new TopicMemo(4096);
  let count = 0;
  for (const chunk of chunks) {
    scanner.push(chunk);
    while (scanner.next()) {
      view.look(scanner.bytes, scanner.flags, scanner.start, scanner.end, version);
      use(view, memo);
      count++;
    }
  }
  return count;
}

function theirs(version: Version, chunks: readonly Buffer[]): number {
  const parser = mqttPacket.parser({ protocolVersion: version });
  let count = 0;
  parser.on("packet", (packet) => {
    sink += (packet as { topic: string }).topic.length;
    count++;
  });
  for (const chunk of chunks) parser.parse(chunk);
  return count;
}

const lookAndTopic = (view: PublishView, memo: TopicMemo): void => {
  sink += view.topic(memo).length + view.payloadEnd - view.payloadStart;
};
const whole = (view: PublishView, memo: TopicMemo): void => {
  sink += view.decode("client", memo).payload.length;
};

function decoding(): void {
  const properties: Properties = { contentType: "application/json", userProperties: [["traceparent", "00-ab-cd-01"]] };
  const four = reads(4, 1, {});
  const five = reads(5, 1, {});
  const rich = reads(5, 1, properties);
  measure("in, 3.1.1: found, looked at, topic", () => ours(4, four, lookAndTopic));
  measure("in, 5: found, looked at, topic", () => ours(5, five, lookAndTopic));
  measure("in, 3.1.1: a value that outlives the buffer", () => ours(4, four, whole));
  measure("in, 5 with two properties: a value that outlives the buffer", () => ours(5, rich, whole));
  measure("in, 3.1.1: mqtt-packet", () => theirs(4, four));
  measure("in, 5 with two properties: mqtt-packet", () => theirs(5, rich));
}

/** One message to many subscribers, a write for every 100 frames. */
function fanOut(version: Version, message: OutgoingMessage, qos: 0 | 1): number {
  const batch = new FrameBatch();
  for (let at = 0; at < perRound; at++) {
    batch.publish(message, version, qos === 0 ? plainDelivery : { ...plainDelivery, qos, packetId: 1 + (at % 65_535) });
    if (at % 100 === 99) sink += batch.take().length;
  }
  return perRound;
}

function encoding(): void {
  const properties: Properties = { contentType: "application/json", userProperties: [["traceparent", "00-ab-cd-01"]] };
  const message = new OutgoingMessage("sensors/dev-7/temperature", payload, properties);
  measure("out, 5 with two properties, QoS 0 to many", () => fanOut(5, message, 0));
  measure("out, 5 with two properties, QoS 1 to many", () => fanOut(5, message, 1));
  measure("out, 3.1.1, QoS 1 to many", () => fanOut(4, message, 1));
  measure("out, 3.1.1, QoS 1, each a message of its own", () => {
    const batch = new FrameBatch();
    for (let at = 0; at < perRound; at++) {
      const own = new OutgoingMessage("sensors/dev-7/temperature", payload, {});
      batch.publish(own, 4, { ...plainDelivery, qos: 1, packetId: 1 + (at % 65_535) });
      if (at % 100 === 99) sink += batch.take().length;
    }
    return perRound;
  });
  measure("out, PUBACK", () => {
    const batch = new FrameBatch();
    for (let at = 0; at < perRound; at++) {
      batch.acknowledge("puback", 1 + (at % 65_535));
      if (at % 100 === 99) sink += batch.take().length;
    }
    return perRound;
  });
  const packet = { cmd: "publish", topic: "sensors/dev-7/temperature", payload, qos: 1, dup: false, retain: false };
  for (const protocolVersion of [4, 5]) {
    measure(`out, ${protocolVersion === 4 ? "3.1.1" : "5"}, QoS 1: mqtt-packet`, () => {
      for (let at = 0; at < perRound; at++) {
        const each = { ...packet, messageId: 1 + (at % 65_535) };
        sink += mqttPacket.generate(each as never, { protocolVersion } as never).length;
      }
      return perRound;
    });
  }
}

const load = os.loadavg()[0]!.toFixed(1);
console.log(`${os.cpus()[0]?.model ?? "?"} x ${os.cpus().length}, node ${process.version}, load average ${load}`);
console.log(`${rounds} rounds of ${perRound} PUBLISHes, 200-byte payload, 500 topics\n`);
console.log("| what | median us | best us |\n|---|---|---|");
decoding();
encoding();
if (sink === 0) console.log("nothing was measured");
