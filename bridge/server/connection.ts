// One MQTT byte stream: packets in with back-pressure, frames out in one write a turn, both within bounds.
import type { Duplex } from "node:stream";
import { limits } from "../../hub/mod.ts";
import type { Terms } from "../session/sender.ts";
import type { Client } from "./client.ts";
import { canDial } from "./detour.ts";
import type { Counts } from "./figures.ts";
import { FrameScanner } from "../wire/frames.ts";
import { encodePacket, type SendLimits } from "../wire/encode.ts";
import { FrameBatch, type OutgoingMessage } from "../wire/outgoing.ts";
import { readShared } from "./shared_read.ts";
import { MqttProblem, noProperties, type Packet, Reason, type Version } from "../wire/packet.ts";

/** What a connection asks of the broker around it. */
export interface ConnectionHost {
  /** Packets of one connection follow. */
  onRead(): void;
  /** The packet that the scanner stands on; throws MqttProblem for one that breaks the standard. */
  onFrame(connection: Connection): void;
  /** Bytes that are none of MQTT; nothing is read any more. */
  onProblem(connection: Connection, problem: MqttProblem): void;
  /** False: nothing is read until `resume`. */
  mayRead(connection: Connection): boolean;
  onWritable(connection: Connection, isWritable: boolean): void;
  /** The stream is gone; called once. */
  onClosed(connection: Connection): void;
  /** `flush` is called once at the end of the turn. */
  scheduleFlush(connection: Connection): void;
  /** Bytes that wait in sockets, all connections together. */
  readonly outBytes: { used: number };
  /** Connections that have some of them; each is looked at once a second. */
  readonly stuck: Set<Connection>;
  readonly counts: Counts;
  /** Milliseconds of a clock that never goes back. */
  now(): number;
}

/** Frames are written before the turn ends when so much has gathered. */
const batchBytesMax = 128 * 1024;

const owner = Symbol("connection");
type Owned = Duplex & { [owner]: Connection };

let onData: (this: Owned, chunk: Buffer, count?: number) => void;
let onDrain: (this: Owned) => void;
let onClose: (this: Owned) => void;

/** The client will send nothing more: to MQTT the connection is gone. */
function onEnd(this: Owned): void {
  this.destroy();
}

/** Close follows. */
function onError(): void {}

export class Connection {
  readonly remoteAddress: string;
  readonly scanner = new FrameScanner(limits.mqttConnectBytesMax);
  readonly openedAt: number;
  version: Version = 4;
  /** Its CONNECT came. */
  isGreeted = false;
  /** The session it belongs to; null before CONNECT and after the end. */
  client: Client | null = null;
  /** What the client takes, of CONNECT. */
  sendLimits: SendLimits = {};
  /** The broker's, for its end of this connection. */
  readonly #host: ConnectionHost;
  #endingSince = 0;
  #dropped = 0;
  readonly #stream: Duplex;
  readonly #batch = new FrameBatch();
  #isReading = false;
  #isPaused = false;
  #isStopped = false;
  #isEnding = false;
  #isScheduled = false;
  #isClosed = false;
  /** Bytes counted in `outBytes`. */
  #counted = 0;
  /** Since when the client has not taken what is queued for it; null while it does. */
  #stuckSince: number | null = null;

  constructor(stream: Duplex, remoteAddress: string, host: ConnectionHost) {
    this.#stream = stream;
    this.remoteAddress = remoteAddress;
    this.#host = host;
    this.openedAt = host.now();
    (stream as Owned)[owner] = this;
    if (readShared(stream as Owned, onData)) stream.resume();
    else stream.on("data", onData);
    stream.on("drain", onDrain);
    stream.on("end", onEnd);
    stream.on("error", onError);
    stream.on("close", onClose);
  }

  static {
    // one function for all connections: closures for each would cost half a kilobyte
    onData = function (this: Owned, chunk: Buffer, count = chunk.length) {
      this[owner].#onData(chunk, count);
    };
    onDrain = function (this: Owned) {
      this[owner].#onDrain();
    };
    onClose = function (this: Owned) {
      this[owner].#onClose();
    };
  }

  /** Not read for now, because the broker has enough. */
  get isPaused(): boolean {
    return this.#isPaused || this.#isStopped;
  }

  /** For how many milliseconds the client has taken nothing of what waits for it. Counts anew what waits. */
  stuckFor(now: number): number {
    this.#count();
    return this.#stuckSince === null ? 0 : now - this.#stuckSince;
  }

  /** Bytes that were written and that the system has not taken. */
  get waitingBytes(): number {
    return this.#stream.writableLength + this.#batch.length;
  }

  send(packet: Packet): void {
    this.#host.counts.messagesSent++;
    if (isPlainAcknowledgement(packet)) this.#batch.acknowledge(packet.kind, packet.packetId);
    else {
      const frame = encodePacket(packet, this.version, this.sendLimits);
      if (frame !== null) this.#batch.frame(frame); // else larger than the client takes [MQTT-3.1.2-25]
    }
    this.#gathered();
  }

  puback(packetId: number): void {
    this.#host.counts.messagesSent++;
    this.#batch.acknowledge("puback", packetId);
    this.#gathered();
  }

  publish(message: OutgoingMessage, terms: Terms): void {
    this.#host.counts.publishSent++;
    this.#host.counts.messagesSent++;
    this.#batch.publish(message, this.version, terms);
    this.#gathered();
  }

  /** Bytes encoded elsewhere. */
  write(frame: Uint8Array): void {
    this.#batch.frame(frame);
    this.#gathered();
  }

  /** Writes what was gathered. */
  flush(): void {
    this.#isScheduled = false;
    if (this.#batch.length === 0) return;
    this.#host.counts.bytesSent += this.#batch.length;
    const chunks = this.#batch.take();
    if (this.#isClosed || this.#isEnding) return;
    const stream = this.#stream;
    if (chunks.length === 1) stream.write(chunks[0]);
    else {
      stream.cork();
      for (const chunk of chunks) stream.write(chunk);
      stream.uncork();
    }
    this.#count();
    if (this.#isOver()) this.#host.onWritable(this, false);
  }

  /** Reads on: the broker has room again. */
  resume(): void {
    if (!this.#isPaused || this.#isStopped) return;
    this.#isPaused = false;
    this.#readOn();
    if (!this.#isPaused && !this.#isStopped) this.#stream.resume();
  }

  /** Nothing is read any more; the stream stays for what is still to be sent. */
  stop(): void {
    if (this.#isEnding) return; // what it still sends is read, and dropped
    this.#isStopped = true;
    this.#stream.pause();
  }

  /** Sends what was gathered, then closes; a client that does not take it is cut off. */
  end(): void {
    if (this.#isEnding || this.#isClosed) return;
    this.#isStopped = true;
    this.flush();
    this.#isEnding = true;
    this.#endingSince = this.#host.now();
    // what the client sends meanwhile is read and dropped: unread bytes would turn the end into a reset
    this.#stream.resume();
    this.#stream.end();
  }

  destroy(): void {
    this.#stream.destroy();
  }

  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** Nobody is there any more, or soon. */
  get isOver(): boolean {
    return this.#isClosed || this.#isEnding;
  }

  /** It came over TCP, so that another hub's address is of use to it. */
  get canDial(): boolean {
    return canDial(this.#stream);
  }

  /** Milliseconds since `end`. */
  endsFor(now: number): number {
    return now - this.#endingSince;
  }

  #onData(chunk: Buffer, count: number): void {
    if (this.#isStopped) return this.#drop(count);
    this.scanner.push(chunk, count);
    this.#readOn();
    if (this.#isPaused && !this.#isStopped) this.#stream.pause();
  }

  /** Nothing of it is looked at. Who sends on and on after the end is cut off. */
  #drop(bytes: number): void {
    this.#dropped += bytes;
    if (this.#isEnding && this.#dropped > limits.mqttDroppedBytesMax) this.#stream.destroy();
  }

  #readOn(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    this.#host.onRead();
    const { scanner } = this;
    const host = this.#host;
    try {
      while (!this.#isStopped) {
        if (!host.mayRead(this)) {
          scanner.hold();
          this.#isPaused = true;
          return;
        }
        if (!scanner.next()) return;
        host.onFrame(this);
      }
    } catch (error) {
      if (!(error instanceof MqttProblem)) throw error;
      this.stop();
      host.onProblem(this, error);
    } finally {
      this.#isReading = false;
    }
  }

  #gathered(): void {
    if (this.#batch.length >= batchBytesMax) return this.flush();
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#host.scheduleFlush(this);
  }

  /** One connection may have so much waiting, and less when all together have too much. */
  #isOver(): boolean {
    const most = this.#host.outBytes.used > limits.mqttOutBytesAllMax ? limits.mqttOutBytesFew : limits.mqttOutBytesMax;
    return this.#stream.writableLength > most;
  }

  #count(): void {
    const { outBytes, stuck } = this.#host;
    const waiting = this.#isClosed ? 0 : this.#stream.writableLength;
    if (waiting === this.#counted && waiting === 0) return;
    // less than before: the client takes something
    if (waiting === 0 || waiting < this.#counted) this.#stuckSince = null;
    if (waiting > 0) this.#stuckSince ??= this.#host.now();
    outBytes.used += waiting - this.#counted;
    this.#counted = waiting;
    if (waiting > 0) stuck.add(this);
    else stuck.delete(this);
  }

  #onDrain(): void {
    this.#count();
    this.#host.onWritable(this, true);
    if (this.#isPaused) this.resume();
  }

  #onClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isStopped = true;
    this.#count();
    this.#host.onClosed(this);
  }
}

type Plain = Extract<Packet, { readonly kind: "puback" | "pubrec" | "pubrel" | "pubcomp" }>;

function isPlainAcknowledgement(packet: Packet): packet is Plain {
  switch (packet.kind) {
    case "puback":
    case "pubrec":
    case "pubrel":
    case "pubcomp":
      return packet.code === Reason.success && packet.properties === noProperties;
    default:
      return false;
  }
}
