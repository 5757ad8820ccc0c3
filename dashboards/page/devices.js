// What the wall knows of each device: last values, a minute of history by second, alarms. No DOM.
// @ts-check

const seconds = 60;
export const devicesMax = 2000;
const seriesMax = 16;
/** A device is stale when it has been silent this long. */
export const staleMs = 30_000;
/** An alarm rings this long. */
export const alarmMs = 60_000;

/** One metric of a device: the last value of each of the last 60 seconds. */
export class Series {
  /** @param {string} metric */
  constructor(metric) {
    this.metric = metric;
    /** @type {number | null} */
    this.v = null;
    /** What it says when it is no number. */
    this.text = "";
    this.unit = "";
    this.at = 0;
    this.values = new Float64Array(seconds);
    this.stamps = new Float64Array(seconds);
  }

  /** @param {number} at ms @param {number} v */
  put(at, v) {
    const second = Math.floor(at / 1000);
    const slot = second % seconds;
    if (second < /** @type {number} */ (this.stamps[slot])) return;
    this.stamps[slot] = second;
    this.values[slot] = v;
  }

  /** Value in a second, or NaN. @param {number} second */
  get(second) {
    const slot = second % seconds;
    return this.stamps[slot] === second ? /** @type {number} */ (this.values[slot]) : Number.NaN;
  }

  /** How far the last value is from what the minute before was, in standard deviations. @param {number} now */
  surprise(now) {
    if (this.v === null) return 0;
    const oldest = Math.floor(now / 1000) - seconds;
    let count = 0;
    let mean = 0;
    let m2 = 0;
    for (let i = 0; i < seconds; i++) {
      if (/** @type {number} */ (this.stamps[i]) <= oldest) continue;
      const value = this.values[i] ?? 0;
      const delta = value - mean;
      mean += delta / ++count;
      m2 += delta * (value - mean);
    }
    const deviation = count < 5 ? 0 : Math.sqrt(m2 / (count - 1));
    return deviation < 1e-9 ? 0 : Math.abs(this.v - mean) / deviation;
  }
}

/**
 * @typedef {{ at: number, metric: string, score: number, v: number | null, why: string }} Alarm
 */

export class Device {
  /** @param {string} name @param {number} partition */
  constructor(name, partition) {
    this.name = name;
    this.partition = partition;
    this.lower = name.toLowerCase();
    /** @type {Map<string, Series>} */
    this.series = new Map();
    /** @type {Series | null} shown on the tile: the first metric by name */
    this.primary = null;
    this.at = 0;
    /** @type {Alarm | null} */
    this.alarm = null;
    this.dirty = true;
    this.drawnAt = 0;
    /** Label that fits its tile, kept by the drawer. */
    this.fitted = "";
    this.fittedWidth = 0;
  }

  /** @param {number} now */
  alarmed(now) {
    return this.alarm !== null && now - this.alarm.at < alarmMs;
  }
}

/** Metric of a record: the last level of `sensors/<device>/<metric>`; "" without the header. @param {unknown} topic */
export function metricOf(topic) {
  if (typeof topic !== "string") return "";
  const levels = topic.split("/");
  return levels.length >= 3 ? levels.slice(2).join("/") : "";
}

/** @typedef {{ v: number | null, unit: string, text: string }} Shown */

/** The value in a payload: a reading `{t, v, u}`, a bare number, or text. @param {any} value @param {number} kind
 * @returns {Shown} */
export function readValue(value, kind) {
  if (kind === 0 && typeof value === "number") return { v: value, unit: "", text: "" };
  if (kind === 0 && typeof value === "object" && value !== null && typeof value.v === "number") {
    return { v: value.v, unit: typeof value.u === "string" ? value.u.slice(0, 16) : "", text: "" };
  }
  if (kind === 0) return { v: null, unit: "", text: JSON.stringify(value).slice(0, 80) };
  if (kind === 1) return { v: null, unit: "", text: String(value).slice(0, 80) };
  return { v: null, unit: "", text: kind === 5 ? "removed" : "binary" };
}

export class Devices {
  /** @type {Map<string, Device>} */
  all = new Map();
  /** Devices beyond `devicesMax`: a set of a bounded number of names, so that they are counted once. */
  beyond = new Set();
  /** Grows when a device appears: the order is to be made anew. */
  generation = 0;

  /** @param {string} name @param {number} partition @returns {Device | null} */
  #device(name, partition) {
    const known = this.all.get(name);
    if (known !== undefined) return known;
    if (this.all.size >= devicesMax) {
      if (this.beyond.size < 100_000) this.beyond.add(name);
      return null;
    }
    const device = new Device(name, partition);
    this.all.set(name, device);
    this.generation++;
    return device;
  }

  /** Takes a frame of readings: `[offset, timestamp, key, value, kind, mqtt.topic]`.
   * @param {import("./link.js").Frame} frame */
  takeReadings(frame) {
    for (const [, timestamp, key, value, kind, topic] of frame.records) {
      const device = this.#device(typeof key === "string" ? key : "(no key)", frame.partition);
      if (device === null) continue;
      device.partition = frame.partition;
      const metric = metricOf(topic);
      let series = device.series.get(metric);
      if (series === undefined) {
        if (device.series.size >= seriesMax) continue;
        series = new Series(metric);
        device.series.set(metric, series);
        if (device.primary === null || metric < device.primary.metric) device.primary = series;
      }
      const shown = readValue(value, kind);
      if (timestamp >= series.at) {
        series.at = timestamp;
        series.v = shown.v;
        series.text = shown.text;
        series.unit = shown.unit;
      }
      if (shown.v !== null) series.put(timestamp, shown.v);
      if (timestamp > device.at) device.at = timestamp;
      device.dirty = true;
    }
  }

  /** Takes a frame of alerts. @param {import("./link.js").Frame} frame */
  takeAlerts(frame) {
    for (const [, timestamp, key, value, kind] of frame.records) {
      if (kind !== 0 || typeof value !== "object" || value === null || typeof key !== "string") continue;
      const device = this.all.get(key) ?? this.#device(key, -1);
      if (device === null || (device.alarm !== null && device.alarm.at > timestamp)) continue;
      const alarm = alarmOf(timestamp, value);
      device.alarm = alarm;
      device.dirty = true;
    }
  }

  /** @param {"name" | "age" | "anomaly"} sort @param {string} search @param {number} now @returns {Device[]} */
  list(sort, search, now) {
    const wanted = search.trim().toLowerCase();
    const found = [...this.all.values()].filter((device) => device.primary !== null && device.lower.includes(wanted));
    const byName = (/** @type {Device} */ a, /** @type {Device} */ b) => collator.compare(a.name, b.name);
    if (sort === "name") return found.sort(byName);
    if (sort === "age") return found.sort((a, b) => Math.floor(a.at / 2000) - Math.floor(b.at / 2000) || byName(a, b));
    const scores = new Map(found.map((device) => [device, anomaly(device, now)]));
    return found.sort((a, b) => Number(scores.get(b)) - Number(scores.get(a)) || byName(a, b));
  }
}

const collator = new Intl.Collator("en", { numeric: true });

/** @param {number} at @param {any} value @returns {Alarm} */
export function alarmOf(at, value) {
  return {
    at,
    metric: String(value.metric ?? "").slice(0, 64),
    score: Number(value.score) || 0,
    v: typeof value.v === "number" ? value.v : null,
    why: String(value.why ?? "").slice(0, 300),
  };
}

/** Alarms first, the newest on top; then coarse steps of surprise, so that the order rests. @param {Device} device
 * @param {number} now */
function anomaly(device, now) {
  if (device.alarmed(now)) return 1000 - Math.floor((now - Number(device.alarm?.at)) / 1000) / 100;
  let most = 0;
  for (const series of device.series.values()) most = Math.max(most, series.surprise(now));
  return Math.floor(most);
}
