// MQTT frames by hand over a socket, for what a well-behaved client library would not do.
import { connect as dial, type Socket } from "node:net";

export interface ConnectOptions {
  readonly name?: string;
  readonly level?: number;
  readonly clean?: boolean;
  readonly keepalive?: number;
  readonly will?: { readonly topic: string; readonly payload: string; readonly qos: number };
}

/** One packet as it came: first byte and body. */
export interface Packet {
  readonly type: number;
  readonly flags: number;
  readonly body: Buffer;
}

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
};

export function frame(first: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const head = [first];
  for (let left = body.length; ; left = Math.floor(left / 128)) {
    head.push((left % 128) | (left > 127 ? 128 : 0));
    if (left <= 127) break;
  }
  return Buffer.concat([Buffer.from(head), body]);
}

export function connectFrame(clientId: string, options: ConnectOptions = {}): Buffer {
  const { name = "MQTT", level = 4, clean = true, keepalive = 0, will } = options;
  const flags = (clean ? 2 : 0) | (will ? 4 | (will.qos << 3) : 0);
  const head = Buffer.from([level, flags, keepalive >> 8, keepalive & 255]);
  const parts = [text(name), head, ...(level === 5 ? [Buffer.from([0])] : []), text(clientId)];
  if (will) parts.push(text(will.topic), text(will.payload));
  return frame(0x10, ...parts);
}

export function publishFrame(
  topic: string,
  payload: string,
  { qos = 0, id = 0, dup = false, retain = false }: { qos?: number; id?: number; dup?: boolean; retain?: boolean },
): Buffer {
  const first = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
  const packetId = qos > 0 ? Buffer.from([id >> 8, id & 255]) : Buffer.alloc(0);
  return frame(first, text(topic), packetId, Buffer.from(payload));
}

export const pubrelFrame = (id: number): Buffer => frame(0x62, Buffer.from([id >> 8, id & 255]));

export const subscribeFrame = (id: number, filter: string, qos: number): Buffer =>
  frame(0x82, Buffer.from([id >> 8, id & 255]), text(filter), Buffer.from([qos]));

/** Packet types as they are read in a test. */
export const Type = {
  Connack: 2,
  Publish: 3,
  Puback: 4,
  Pubrec: 5,
  Pubrel: 6,
  Pubcomp: 7,
  Suback: 9,
  Pong: 13,
} as const;

/** A connection that keeps every packet it got. */
export class RawClient {
  readonly packets: Packet[] = [];
  readonly socket: Socket;
  closed = false;
  #rest: Buffer = Buffer.alloc(0);
  #waiting: (() => void)[] = [];

  constructor(port: number, host = "127.0.0.1") {
    this.socket = dial({ host, port, noDelay: true });
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.closed = true;
      this.#wake();
    });
    this.socket.on("data", (chunk: Buffer) => this.#take(chunk));
  }

  /** Connects, says CONNECT, waits for the CONNACK. */
  static async open(port: number, clientId: string, options: ConnectOptions = {}, host?: string): Promise<RawClient> {
    const client = new RawClient(port, host);
    client.send(connectFrame(clientId, options));
    await client.until(() => client.packets.length > 0);
    return client;
  }

  send(...frames: Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** Packet ids of the packets of one type, in the order they came. */
  ids(type: number): number[] {
    return this.packets.filter((packet) => packet.type === type).map((packet) => packet.body.readUInt16BE(0));
  }

  of(type: number): Packet[] {
    return this.packets.filter((packet) => packet.type === type);
  }

  /** Topics and payloads of the QoS 0 PUBLISHes that came. */
  published(): [string, string][] {
    return this.of(Type.Publish).map(({ body, flags }) => {
      const end = 2 + body.readUInt16BE(0);
      return [body.subarray(2, end).toString(), body.subarray(end + ((flags & 6) > 0 ? 2 : 0)).toString()];
    });
  }

  /** Resolves when the condition holds; looked at whenever a packet came or the connection closed. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.closed) throw new Error(`connection closed; got ${this.packets.map((packet) => packet.type)}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async untilClosed(): Promise<void> {
    while (!this.closed) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** A PINGREQ and its answer: everything sent before has been handled as far as it can. */
  async ping(): Promise<void> {
    const before = this.of(Type.Pong).length;
    this.send(frame(0xc0));
    await this.until(() => this.of(Type.Pong).length > before);
  }

  destroy(): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      let length = 0;
      let at = 1;
      let whole = false;
      while (at < this.#rest.length && !whole) {
        const byte = this.#rest[at]!;
        length += (byte & 127) * 128 ** (at - 1);
        whole = byte < 128;
        at++;
      }
      if (!whole || this.#rest.length < at + length) break;
      const first = this.#rest[0]!;
      this.packets.push({ type: first >> 4, flags: first & 15, body: this.#rest.subarray(at, at + length) });
      this.#rest = this.#rest.subarray(at + length);
    }
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
