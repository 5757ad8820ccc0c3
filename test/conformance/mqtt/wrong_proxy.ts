// A proxy in front of a broker that gets one thing wrong, so that the differential test is known to be able to fail.
import { connect as dial, createServer, type AddressInfo, type Socket } from "node:net";
import { decodePacket } from "../../../bridge/wire/decode.ts";
import { encodePacket } from "../../../bridge/wire/encode.ts";
import { FrameScanner } from "../../../bridge/wire/frames.ts";
import type { Packet, Publish, Sender, Version } from "../../../bridge/wire/packet.ts";
import type { RunningBroker } from "./brokers.ts";

/** The packet as it goes on; null: it does not. */
export type Change = (packet: Packet) => Packet | null;

export interface Wrong {
  readonly what: string;
  /** Whose packets are changed. */
  readonly of: Sender;
  readonly change: () => Change;
}

const publishes =
  (change: (packet: Publish) => Publish | null): (() => Change) =>
  () =>
  (packet) =>
    packet.kind === "publish" ? change(packet) : packet;

const always =
  (change: Change): (() => Change) =>
  () =>
    change;

/** What a broker may get wrong in matching, in sessions and in what it retains. */
export const wrongs: readonly Wrong[] = [
  {
    what: "loses a QoS 0 message now and then",
    of: "server",
    change: () => {
      let count = 0;
      return (packet) => (packet.kind === "publish" && packet.qos === 0 && ++count % 25 === 0 ? null : packet);
    },
  },
  { what: "never says RETAIN", of: "server", change: publishes((packet) => ({ ...packet, retain: false })) },
  { what: "never says DUP", of: "server", change: publishes((packet) => ({ ...packet, dup: false })) },
  {
    what: "forgets subscription identifiers",
    of: "server",
    change: publishes((packet) => {
      const { subscriptionIds: _, ...properties } = packet.properties;
      return { ...packet, properties };
    }),
  },
  {
    what: "turns user properties round",
    of: "server",
    change: publishes((packet) => {
      const { userProperties: all, ...rest } = packet.properties;
      return { ...packet, properties: all === undefined ? rest : { ...rest, userProperties: [...all].reverse() } };
    }),
  },
  {
    what: "says that no session is present",
    of: "server",
    change: always((packet) => (packet.kind === "connack" ? { ...packet, sessionPresent: false } : packet)),
  },
  {
    what: "keeps retained messages that were removed",
    of: "client",
    change: publishes((packet) => (packet.payload.length === 0 ? { ...packet, retain: false } : packet)),
  },
  {
    what: "knows no wills",
    of: "client",
    change: always((packet) => (packet.kind === "connect" ? { ...packet, will: null } : packet)),
  },
  {
    what: "sends to the publisher what has No Local",
    of: "client",
    change: always((packet) => {
      if (packet.kind !== "subscribe") return packet;
      return { ...packet, subscriptions: packet.subscriptions.map((one) => ({ ...one, noLocal: false })) };
    }),
  },
  {
    what: "sends retained messages for every subscription",
    of: "client",
    change: always((packet) => {
      if (packet.kind !== "subscribe") return packet;
      return { ...packet, subscriptions: packet.subscriptions.map((one) => ({ ...one, retainHandling: 0 as const })) };
    }),
  },
  {
    what: "matches + with the rest of the topic",
    of: "client",
    change: always((packet) => {
      if (packet.kind !== "subscribe") return packet;
      const wider = (filter: string): string => (filter.endsWith("/+") ? `${filter.slice(0, -1)}#` : filter);
      return { ...packet, subscriptions: packet.subscriptions.map((one) => ({ ...one, filter: wider(one.filter) })) };
    }),
  },
  {
    what: "grants QoS 1 at most",
    of: "client",
    change: always((packet) => {
      if (packet.kind !== "subscribe") return packet;
      const lower = packet.subscriptions.map((one) => ({ ...one, qos: one.qos === 2 ? (1 as const) : one.qos }));
      return { ...packet, subscriptions: lower };
    }),
  },
  {
    what: "forgets a session when its client is cut off",
    of: "client",
    change: always((packet) => (packet.kind === "connect" ? { ...packet, clean: true } : packet)),
  },
];

/** Packets of one direction, changed where they are to be. */
function relay(from: Socket, to: Socket, sender: Sender, version: () => Version, change: Change | null): void {
  const scanner = new FrameScanner(8 * 1024 * 1024);
  from.on("data", (chunk: Buffer) => {
    scanner.push(chunk);
    while (scanner.next()) {
      const { type, flags, bytes, start, end } = scanner;
      const packet = decodePacket(type, flags, bytes, start, end, version(), sender);
      if (packet.kind === "connect") learn(from, packet.version);
      const changed = change === null ? packet : change(packet);
      if (changed !== null) to.write(encodePacket(changed, version())!);
    }
  });
  from.on("end", () => to.end());
  from.on("error", () => to.destroy());
  from.on("close", () => to.end());
}

const versions = new WeakMap<Socket, Version>();
const learn = (socket: Socket, version: Version): void => void versions.set(socket, version);

/** `wrong`: null passes everything on as it is. */
export async function startWrongProxy(target: RunningBroker, wrong: Wrong | null): Promise<RunningBroker> {
  const sockets = new Set<Socket>();
  const change = wrong?.change() ?? null;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const broker = dial({ host: "127.0.0.1", port: target.port, noDelay: true, allowHalfOpen: true });
    for (const socket of [client, broker]) sockets.add(socket);
    const version = (): Version => versions.get(client) ?? 4;
    relay(client, broker, "client", version, wrong?.of === "client" ? change : null);
    relay(broker, client, "server", version, wrong?.of === "server" ? change : null);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
