// A socket without a network: what is written is kept, what is sent arrives at once, and a peer may stop reading.
import { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import { encodePacket } from "../../../bridge/wire/encode.ts";
import { FrameScanner } from "../../../bridge/wire/frames.ts";
import { decodePacket } from "../../../bridge/wire/decode.ts";
import { type Connect, noProperties, type Packet, type Version } from "../../../bridge/wire/packet.ts";

export class Wire extends EventEmitter {
  /** Bytes that the peer has not taken. */
  writableLength = 0;
  /** The peer takes what is written; false: it all stays in `writableLength`. */
  takes = true;
  isPaused = false;
  isEnded = false;
  isDestroyed = false;
  readonly packets: Packet[] = [];
  readonly #scanner = new FrameScanner(1 << 28);
  readonly #version: Version;

  constructor(version: Version = 4) {
    super();
    this.#version = version;
  }

  get duplex(): Duplex {
    return this as unknown as Duplex;
  }

  write(bytes: Buffer): boolean {
    if (!this.takes) {
      this.writableLength += bytes.length;
      return false;
    }
    this.#scanner.push(Buffer.from(bytes));
    while (this.#scanner.next()) {
      const { type, flags, bytes: frame, start, end } = this.#scanner;
      this.packets.push(decodePacket(type, flags, frame, start, end, this.#version, "server"));
    }
    return true;
  }

  /** The peer takes all that waits. */
  drain(): void {
    this.writableLength = 0;
    this.emit("drain");
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  cork(): void {}
  uncork(): void {}

  end(): void {
    this.isEnded = true;
  }

  destroy(): void {
    if (this.isDestroyed) return;
    this.isDestroyed = true;
    this.emit("close");
  }

  send(packet: Packet): void {
    this.emit("data", encodePacket(packet, this.#version)!);
  }

  bytes(bytes: Uint8Array): void {
    this.emit("data", Buffer.from(bytes));
  }

  connect(clientId: string, more: Partial<Connect> = {}): void {
    const version = this.#version;
    const rest = { will: null, username: null, password: null, properties: noProperties };
    this.send({ kind: "connect", version, clean: true, keepAlive: 0, clientId, ...rest, ...more });
  }

  of<K extends Packet["kind"]>(kind: K): Extract<Packet, { kind: K }>[] {
    return this.packets.filter((packet): packet is Extract<Packet, { kind: K }> => packet.kind === kind);
  }
}
