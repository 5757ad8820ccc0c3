// Text that stands in records: checked and decoded, with a memory of recent ones, so that most cost no string. Pure.
import { Buffer } from "node:buffer";
import { hashOf, isSame } from "../wire/publish.ts";
import { Text, textKind } from "../wire/utf8.ts";

/** The longest string of a packet. */
const stringBytesMax = 65_535;
/** Longer texts are decoded each time. */
const memoBytesMax = 256;

/** The text of a header value; null: none that MQTT could carry. */
export function textOf(bytes: Uint8Array | null): string | null {
  if (bytes === null || bytes.length > stringBytesMax) return null;
  const kind = textKind(bytes, 0, bytes.length);
  if (kind === Text.illFormed || kind === Text.zero) return null;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString(kind === Text.ascii ? "latin1" : "utf8");
}

/**
 * Texts by their bytes. One displaces another of its slot: at most `slots` texts of 256 bytes are held. `accept`
 * says which texts are wanted; of the others null is remembered.
 */
export class TextMemo {
  readonly #mask: number;
  readonly #bytes: (Uint8Array | undefined)[];
  readonly #texts: (string | null)[];
  readonly #accept: (text: string) => boolean;

  /** `slots` is a power of two. */
  constructor(slots: number, accept: (text: string) => boolean) {
    if (slots < 1 || (slots & (slots - 1)) !== 0) throw new RangeError(`${slots} is not a power of two`);
    this.#mask = slots - 1;
    this.#bytes = new Array<Uint8Array | undefined>(slots).fill(undefined);
    this.#texts = new Array<string | null>(slots).fill(null);
    this.#accept = accept;
  }

  of(bytes: Uint8Array): string | null {
    const slot = hashOf(bytes, 0, bytes.length) & this.#mask;
    const known = this.#bytes[slot];
    if (known !== undefined && isSame(known, bytes, 0, bytes.length)) return this.#texts[slot]!;
    const text = textOf(bytes);
    const accepted = text !== null && this.#accept(text) ? text : null;
    if (bytes.length <= memoBytesMax) {
      this.#bytes[slot] = new Uint8Array(bytes);
      this.#texts[slot] = accepted;
    }
    return accepted;
  }
}
