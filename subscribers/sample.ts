// A record of the topic `sensors` as a sample: device, metric, event time, value; or why it is none. Pure.
import { decodeReading, parseSensorTopic, ReadingError } from "../devices/mod.ts";
import type { InRecord } from "../hub/mod.ts";

/** One reading with where and when it belongs. */
export interface Sample {
  readonly device: string;
  readonly metric: string;
  /** Event time: the device's own when it is sane, else the record's; ms since the Unix epoch. */
  readonly t: number;
  readonly v: number;
  readonly unit: string;
}

/** A device clock further ahead of the record's time than this is wrong: a reading is not made after it arrives. */
export const clockAheadMsMax = 60_000;
/** Older readings than this are not believed: longer than any outbox holds (one week). */
export const clockBehindMsMax = 7 * 24 * 3_600_000;
/** Metric of a record that came without an `mqtt.topic` header, from a Kafka producer. */
export const metricDefault = "value";
/** Longest device id; longer keys are refused, so that state per device stays small. */
export const deviceLengthMax = 256;

const decoder = new TextDecoder("utf-8", { fatal: true });

/** The sample, or in one clause why the record is none. */
export function sampleOf(record: InRecord): Sample | string {
  if (record.value === null) return "it has no value";
  let place: { device: string; metric: string };
  try {
    place = placeOf(record);
    const reading = decodeReading(record.value);
    if (place.device === "") return "it has neither a key nor an mqtt.topic header";
    if (place.device.length > deviceLengthMax) return `its key is longer than ${deviceLengthMax} characters`;
    return { ...place, t: eventTime(reading.t, record.timestamp), v: reading.v, unit: reading.u };
  } catch (thrown) {
    if (thrown instanceof ReadingError) return thrown.message;
    return "its key or its mqtt.topic header is not UTF-8";
  }
}

/** Device time when it is within (record time - 7 days, record time + 1 min), else the record's time. */
export function eventTime(deviceTime: number, recordTime: number): number {
  if (recordTime <= 0) return deviceTime;
  const behind = recordTime - deviceTime;
  return behind >= -clockAheadMsMax && behind <= clockBehindMsMax ? deviceTime : recordTime;
}

function placeOf(record: InRecord): { device: string; metric: string } {
  const key = record.key === null ? "" : decoder.decode(record.key);
  for (const header of record.headers) {
    if (header.key !== "mqtt.topic" || header.value === null) continue;
    const topic = parseSensorTopic(decoder.decode(header.value));
    if (topic !== null) return { device: key === "" ? topic.device : key, metric: topic.metric };
  }
  return { device: key, metric: metricDefault };
}
