// UTF-8 as MQTT wants it: well-formed, without U+0000 and without surrogates (MQTT5 section 1.5.4). Pure.

export const Text = { illFormed: 0, zero: 1, ascii: 2, wide: 3 } as const;
export type Text = (typeof Text)[keyof typeof Text];

/** What the bytes are: `ascii` and `wide` are legal. */
export function textKind(bytes: Uint8Array, start: number, end: number): Text {
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte >= 0x80) return wideKind(bytes, at, end);
    if (byte === 0) return Text.zero;
  }
  return Text.ascii;
}

function wideKind(bytes: Uint8Array, start: number, end: number): Text {
  let at = start;
  while (at < end) {
    const byte = bytes[at]!;
    if (byte === 0) return Text.zero;
    const length = byte < 0x80 ? 1 : sequenceLength(bytes, at, end);
    if (length === 0) return Text.illFormed;
    at += length;
  }
  return Text.wide;
}

/** Bytes of the sequence at `at`; 0 if it is overlong, a surrogate, above U+10FFFF or cut short (RFC 3629). */
function sequenceLength(bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at]!;
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > end) return 0;
  const second = bytes[at + 1]!;
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let next = at + 2; next < at + length; next++) {
    if ((bytes[next]! & 0xc0) !== 0x80) return 0;
  }
  return length;
}

/** The text may be sent: it holds no U+0000 and no half of a surrogate pair. */
export function isSendable(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0) return false;
    if (unit < 0xd800 || unit > 0xdfff) continue;
    const next = text.charCodeAt(at + 1);
    if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return false;
    at++;
  }
  return true;
}
