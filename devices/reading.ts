// THE shape of a reading: one measured value as a JSON payload. Pure.

/**
 * One measured value of one metric of one device. Device and metric are not in it: they are the MQTT topic
 * (topics.ts) and reach a consumer as the record's key and its `mqtt.topic` header.
 */
export interface Reading {
  /** When the device measured, in ms since the Unix epoch, by the device's own clock. A safe integer, >= 0. */
  readonly t: number;
  /** The value; finite. */
  readonly v: number;
  /** Unit as text, at most 16 characters; "" when there is none. */
  readonly u: string;
  /** Grows by one with each reading of the device since it started, over all its metrics; a gap is a lost reading. */
  readonly seq: number;
}

/** Longest payload `decodeReading` looks at. */
export const readingBytesMax = 512;
const unitLengthMax = 16;

/** A payload that is no reading; the message says what is wrong with it. */
export class ReadingError extends Error {
  constructor(detail: string) {
    super(`not a reading: ${detail}`);
    this.name = "ReadingError";
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** @throws ReadingError when a field is out of its bounds (a value that is not finite has no JSON form). */
export function encodeReading(reading: Reading): Uint8Array {
  const problem = problemOf(reading.t, reading.v, reading.u, reading.seq);
  if (problem !== null) throw new ReadingError(problem);
  return encoder.encode(`{"t":${reading.t},"v":${reading.v},"u":${JSON.stringify(reading.u)},"seq":${reading.seq}}`);
}

/**
 * Reads a payload. Fields it does not know are ignored, so that a later device may say more; `u` and `seq` may be
 * missing (then "" and 0), so that `mosquitto_pub -m '{"t":...,"v":21.5}'` is a reading.
 * @throws ReadingError for everything else.
 */
export function decodeReading(payload: Uint8Array): Reading {
  if (payload.length > readingBytesMax) {
    throw new ReadingError(`${payload.length} bytes, at most ${readingBytesMax} are allowed`);
  }
  let data: unknown;
  try {
    data = JSON.parse(decoder.decode(payload));
  } catch {
    throw new ReadingError("the payload is not JSON in UTF-8");
  }
  if (typeof data !== "object" || data === null || Array.isArray(data)) {
    throw new ReadingError("the payload is not a JSON object");
  }
  const { t, v, u = "", seq = 0 } = data as Record<string, unknown>;
  const problem = problemOf(t, v, u, seq);
  if (problem !== null) throw new ReadingError(problem);
  return { t: t as number, v: v as number, u: u as string, seq: seq as number };
}

function problemOf(t: unknown, v: unknown, u: unknown, seq: unknown): string | null {
  if (!Number.isSafeInteger(t) || (t as number) < 0) return '"t" must be whole milliseconds since 1970';
  if (typeof v !== "number" || !Number.isFinite(v)) return '"v" must be a finite number';
  if (typeof u !== "string" || u.length > unitLengthMax)
    return `"u" must be text of at most ${unitLengthMax} characters`;
  if (!Number.isSafeInteger(seq) || (seq as number) < 0) return '"seq" must be a whole number >= 0';
  return null;
}
