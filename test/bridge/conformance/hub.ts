// One hub for the tests of a file, and clients that do what a test says on it.
import { after } from "node:test";
import type { Packet, Publish, Version } from "../../../bridge/wire/packet.ts";
import { type HubProcess, scratch, startHub } from "../../tools/hub_process.ts";
import { ackPacket, CodecClient, type Hello, publishPacket, type PublishOptions } from "../codec_client.ts";

export const versions: readonly Version[] = [4, 5];
/** Topics that are stored, and topics that no route takes. */
export const places = ["plants", "/plants"];

let running: Promise<HubProcess> | null = null;
const { folder, remove } = scratch();
const clients: CodecClient[] = [];
let count = 0;

/** Begins with the first test that needs it and ends with the file. */
export function hub(): Promise<HubProcess> {
  running ??= startHub({ data: folder });
  return running;
}

after(async () => {
  for (const client of clients) client.destroy();
  await (await running)?.end();
  remove();
});

/** A name that no other test uses. */
export const fresh = (what: string): string => `${what}-${++count}`;

export async function dialHub(version: Version): Promise<CodecClient> {
  const client = new CodecClient((await hub()).mqtt, version);
  clients.push(client);
  return client;
}

export async function connectTo(port: number, version: Version, hello: Hello = {}, clientId = fresh("client")) {
  const client = await CodecClient.open(port, clientId, { ...hello, version });
  clients.push(client);
  return client;
}

/** A client that acknowledges what it gets. */
export async function subscriber(version: Version, hello: Hello = {}, clientId = fresh("client")) {
  const client = await connectTo((await hub()).mqtt, version, hello, clientId);
  answer(client);
  return client;
}

/** From now on the client answers what it gets, and what it got already. */
export function answer(client: CodecClient): void {
  client.onPacket = (packet) => {
    const reply = replyTo(packet);
    if (reply !== null) client.send(reply);
  };
  client.packets.forEach(client.onPacket);
}

function replyTo(packet: Packet): Packet | null {
  if (packet.kind === "publish" && packet.qos === 1) return ackPacket("puback", packet.packetId);
  if (packet.kind === "publish" && packet.qos === 2) return ackPacket("pubrec", packet.packetId);
  if (packet.kind === "pubrel") return ackPacket("pubcomp", packet.packetId);
  return packet.kind === "pubrec" ? ackPacket("pubrel", packet.packetId) : null;
}

let packetIds = 100;

/** Publishes with QoS 1 unless it says otherwise; resolves when it is acknowledged. */
export async function publish(client: CodecClient, topic: string, payload: string, options: PublishOptions = {}) {
  const { qos = 1 } = options;
  const packetId = qos === 0 ? 0 : ++packetIds;
  client.send(publishPacket(topic, payload, { qos, packetId, ...options }));
  if (qos === 0) return client.ping();
  const kind = qos === 1 ? "puback" : "pubcomp";
  await client.until(() => client.packets.some((packet) => packet.kind === kind && packet.packetId === packetId));
}

const text = new TextDecoder();
export const payloadOf = ({ payload }: Publish): string => text.decode(payload);

/** Payloads of all that the client was published, in order. */
export const payloadsOf = (client: CodecClient): readonly string[] => client.of("publish").map(payloadOf);
