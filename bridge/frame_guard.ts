// Looks at an MQTT byte stream before anything buffers it: packet sizes, and the protocol of the CONNECT. Pure.

/** Why a stream must not be read further. `answer` is to be written before it is closed (empty: nothing). */
export interface GuardRefusal {
  readonly reason: "packet-too-large" | "malformed-length" | "not-connect" | "protocol-version";
  readonly detail: string;
  readonly answer: Uint8Array;
}

const nothing = new Uint8Array(0);
/** CONNACK, return code 1: unacceptable protocol version (MQTT 3.1.1 section 3.1.2.2). */
const connackVersion = Uint8Array.of(0x20, 2, 0, 1);
/** The same in the form of MQTT 5: reason code 0x84, no properties. */
const connackVersion5 = Uint8Array.of(0x20, 3, 0, 0x84, 0);

/** Bytes of a CONNECT that tell its protocol: length, "MQTT" or "MQIsdp", level. */
const headMax = 9;
const oldName = "MQIsdp";

/** Fed with the chunks of one connection, in order. */
export class FrameGuard {
  readonly #packetBytesMax: number;
  /** Bytes of the present packet's body still to come; -1 inside a fixed header. */
  #left = -1;
  /** Bytes of the fixed header seen; 0 between packets. */
  #headerBytes = 0;
  #length = 0;
  /** The first bytes of the CONNECT's body, until its protocol is known; then null. */
  #head: number[] | null = [];

  /** @param packetBytesMax largest remaining length, in bytes. */
  constructor(packetBytesMax: number) {
    this.#packetBytesMax = packetBytesMax;
  }

  /** null when the chunk may be read; a refusal ends the connection. Costs a few steps per packet, not per byte. */
  scan(chunk: Uint8Array): GuardRefusal | null {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left < 0) {
        const refusal = this.#header(chunk[at++]!);
        if (refusal !== null) return refusal;
        continue;
      }
      const take = Math.min(this.#left, chunk.length - at);
      if (this.#head !== null) {
        const refusal = this.#connect(chunk.subarray(at, at + take), this.#left === take);
        if (refusal !== null) return refusal;
      }
      at += take;
      this.#left -= take;
      if (this.#left === 0) this.#left = -1;
    }
    return null;
  }

  #header(byte: number): GuardRefusal | null {
    if (this.#headerBytes === 0) {
      if (this.#head !== null && byte !== 0x10) {
        return { reason: "not-connect", detail: "the first packet is no CONNECT", answer: nothing };
      }
      this.#headerBytes = 1;
      this.#length = 0;
      return null;
    }
    this.#length += (byte & 127) * 128 ** (this.#headerBytes - 1);
    if (byte >= 128) {
      if (this.#headerBytes === 4) {
        return { reason: "malformed-length", detail: "a remaining length of more than 4 bytes", answer: nothing };
      }
      this.#headerBytes++;
      return null;
    }
    this.#headerBytes = 0;
    if (this.#length > this.#packetBytesMax) {
      const detail = `a packet of ${this.#length} bytes, at most ${this.#packetBytesMax} are allowed`;
      return { reason: "packet-too-large", detail, answer: nothing };
    }
    this.#left = this.#length === 0 ? -1 : this.#length;
    if (this.#head !== null && this.#length === 0) {
      return { reason: "not-connect", detail: "an empty CONNECT", answer: nothing };
    }
    return null;
  }

  #connect(body: Uint8Array, whole: boolean): GuardRefusal | null {
    const head = this.#head!;
    for (let at = 0; at < body.length && head.length < headMax; at++) head.push(body[at]!);
    const nameLength = head.length < 2 ? -1 : head[0]! * 256 + head[1]!;
    const name = String.fromCharCode(...head.slice(2, 2 + Math.max(0, nameLength)));
    if (nameLength === 4 && name === "MQTT" && head.length >= 7) {
      this.#head = null;
      const level = head[6]!;
      if (level === 4) return null;
      const answer = level === 5 ? connackVersion5 : connackVersion;
      return { reason: "protocol-version", detail: `MQTT protocol level ${level}`, answer };
    }
    if (nameLength === oldName.length && name === oldName.slice(0, name.length)) {
      if (name !== oldName) return whole ? notConnect() : null;
      return { reason: "protocol-version", detail: "MQTT 3.1", answer: connackVersion };
    }
    const possible = nameLength === -1 || (nameLength === 4 && name === "MQTT".slice(0, name.length));
    return possible && !whole ? null : notConnect();
  }
}

function notConnect(): GuardRefusal {
  return { reason: "not-connect", detail: "a CONNECT without the protocol name MQTT", answer: nothing };
}
