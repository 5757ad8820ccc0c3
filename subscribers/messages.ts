// The messages that the subscribers write: Aggregate and Alert, and their JSON. Pure.

/** Topic of the readings (devices/topics.ts). */
export const sourceTopic = "sensors";
/** Topic of `Aggregate`, keyed by device. */
export const aggregatesTopic = "aggregates";
/** Topic of `Alert`, keyed by device. */
export const alertsTopic = "alerts";

/** One closed window of one metric of one device. */
export interface Aggregate {
  /** `<topic>-<partition>-<first>/<metric>/<start>`: the same window written twice bears the same id. */
  readonly id: string;
  readonly device: string;
  readonly metric: string;
  /** Event time in ms since the Unix epoch; the window is [start, end). */
  readonly start: number;
  readonly end: number;
  /** Readings in the window; 0 only when `late` > 0, and then min, mean and max are null. */
  readonly count: number;
  readonly min: number | null;
  readonly mean: number | null;
  readonly max: number | null;
  /** Unit of the last reading; "" when none was given. */
  readonly unit: string;
  /** Readings of this device and metric that came for windows already closed, while this one was the oldest open. */
  readonly late: number;
  /** Offsets of the first and last record that this window took, late ones included. */
  readonly first: number;
  readonly last: number;
}

/** One reading that the model finds unlikely. */
export interface Alert {
  /** `<topic>-<partition>-<offset>` of the reading: the same alert written twice bears the same id. */
  readonly id: string;
  readonly device: string;
  readonly metric: string;
  /** Event time of the reading, ms since the Unix epoch. */
  readonly t: number;
  readonly v: number;
  /** 0..1; the higher the less likely. */
  readonly score: number;
  /** Which view of the series was surprised, with its figures, for a person to read. */
  readonly why: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The JSON form that stands in the record's value. */
export function encodeMessage(message: Aggregate | Alert): Uint8Array {
  return encoder.encode(JSON.stringify(message));
}

/** @throws SyntaxError or TypeError for bytes that are no aggregate. */
export function decodeAggregate(value: Uint8Array): Aggregate {
  return checked(value, ["start", "end", "count", "late"]) as unknown as Aggregate;
}

/** @throws SyntaxError or TypeError for bytes that are no alert. */
export function decodeAlert(value: Uint8Array): Alert {
  return checked(value, ["t", "v", "score"]) as unknown as Alert;
}

function checked(value: Uint8Array, numbers: readonly string[]): Record<string, unknown> {
  const data: unknown = JSON.parse(decoder.decode(value));
  if (typeof data !== "object" || data === null) throw new TypeError("not a JSON object");
  const fields = data as Record<string, unknown>;
  for (const name of ["id", "device", "metric"]) {
    if (typeof fields[name] !== "string") throw new TypeError(`"${name}" must be text`);
  }
  for (const name of numbers) {
    if (typeof fields[name] !== "number") throw new TypeError(`"${name}" must be a number`);
  }
  return fields;
}
