// A client on a socket that speaks through our codec, packet by packet, and does nothing by itself.
import { connect as dial, type Socket } from "node:net";
import { decodePacket } from "../../bridge/wire/decode.ts";
import { encodePacket } from "../../bridge/wire/encode.ts";
import { FrameScanner } from "../../bridge/wire/frames.ts";
import {
  type Acknowledgement,
  type Connack,
  type Connect,
  noProperties,
  type Packet,
  type Properties,
  type Publish,
  type Qos,
  type Subscribe,
  type SubscriptionRequest,
  type Version,
  type Will,
} from "../../bridge/wire/packet.ts";

/** What `open` says in its CONNECT beside the client id. */
export interface Hello {
  readonly version?: Version;
  readonly clean?: boolean;
  readonly keepAlive?: number;
  readonly will?: Will | null;
  readonly username?: string | null;
  readonly password?: Uint8Array | null;
  readonly properties?: Properties;
}

export function connectPacket(clientId: string, hello: Hello = {}): Connect {
  const rest = { clean: true, keepAlive: 0, will: null, username: null, password: null, properties: noProperties };
  return { kind: "connect", version: 5, clientId, ...rest, ...hello };
}

export interface PublishOptions {
  readonly qos?: Qos;
  readonly retain?: boolean;
  readonly dup?: boolean;
  readonly packetId?: number;
  readonly properties?: Properties;
}

export function publishPacket(topic: string, payload: string, options: PublishOptions = {}): Publish {
  const rest = { qos: 0, retain: false, dup: false, packetId: 0, properties: noProperties } as const;
  return { kind: "publish", topic, payload: new TextEncoder().encode(payload), ...rest, ...options };
}

export function subscribePacket(
  packetId: number,
  filters: readonly (string | (Partial<SubscriptionRequest> & { readonly filter: string }))[],
  properties: Properties = noProperties,
): Subscribe {
  const rest = { qos: 2, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
  const subscriptions = filters.map((one) => ({ ...rest, ...(typeof one === "string" ? { filter: one } : one) }));
  return { kind: "subscribe", packetId, subscriptions, properties };
}

export const ackPacket = (kind: Acknowledgement["kind"], packetId: number, code = 0): Acknowledgement => {
  return { kind, packetId, code, properties: noProperties };
};

/** The packets of one kind. */
export type Of<K extends Packet["kind"]> = Packet & { readonly kind: K };

const frameMax = 8 * 1024 * 1024;

export class CodecClient {
  readonly version: Version;
  readonly socket: Socket;
  /** All that came, in order. */
  readonly packets: Packet[] = [];
  isClosed = false;
  /** Called for each packet, and at the end for what the bytes broke. */
  onPacket: ((packet: Packet) => void) | null = null;
  onClosed: (() => void) | null = null;
  /** The bytes of the server broke the standard. */
  problem: Error | null = null;
  readonly #scanner = new FrameScanner(frameMax);
  #waiting: (() => void)[] = [];

  constructor(port: number, version: Version = 5) {
    this.version = version;
    this.socket = dial({ host: "127.0.0.1", port, noDelay: true });
    this.socket.on("error", () => {});
    this.socket.on("close", () => this.#close());
    this.socket.on("data", (chunk: Buffer) => this.#take(chunk));
  }

  /** Connects, says CONNECT, waits for the CONNACK or the end. */
  static async open(port: number, clientId: string, hello: Hello = {}): Promise<CodecClient> {
    const client = new CodecClient(port, hello.version ?? 5);
    client.send(connectPacket(clientId, hello));
    await client.until(() => client.packets.length > 0 || client.isClosed);
    return client;
  }

  get connack(): Connack {
    const [first] = this.packets;
    if (first?.kind !== "connack") throw new Error(`no CONNACK, but ${first?.kind ?? "nothing"}`);
    return first;
  }

  send(...packets: readonly Packet[]): void {
    const frames = packets.map((packet) => encodePacket(packet, this.version)!);
    this.socket.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
  }

  sendBytes(...bytes: readonly number[]): void {
    this.socket.write(Uint8Array.from(bytes));
  }

  of<K extends Packet["kind"]>(kind: K): Of<K>[] {
    return this.packets.filter((packet) => packet.kind === kind) as Of<K>[];
  }

  /** The n-th packet of a kind, from 1 on, when it is there. */
  async nth<K extends Packet["kind"]>(kind: K, count = 1): Promise<Of<K>> {
    await this.until(() => this.of(kind).length >= count);
    return this.of(kind)[count - 1]!;
  }

  /** Resolves when the condition holds; looked at whenever something came or the connection closed. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.isClosed) throw new Error(`connection closed; got ${this.packets.map(({ kind }) => kind)}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async untilClosed(): Promise<void> {
    await this.until(() => this.isClosed);
  }

  /** A PINGREQ and its answer: what was sent before has been read by the server. */
  async ping(): Promise<void> {
    const before = this.of("pingresp").length;
    this.send({ kind: "pingreq" });
    await this.nth("pingresp", before + 1);
  }

  /** The line is cut; resolves when the server has closed its side, too. */
  async cut(): Promise<void> {
    this.socket.end();
    await this.untilClosed();
  }

  destroy(): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    try {
      this.#scanner.push(chunk);
      while (this.#scanner.next()) {
        const { type, flags, bytes, start, end } = this.#scanner;
        const packet = decodePacket(type, flags, bytes, start, end, this.version, "server");
        this.packets.push(packet);
        this.onPacket?.(packet);
      }
    } catch (error) {
      this.problem = error as Error;
      this.socket.destroy();
    }
    this.#wake();
  }

  #close(): void {
    this.isClosed = true;
    this.onClosed?.();
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
