// Numbers, ages, sizes and payloads as a person reads them.
// @ts-check

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** A measured value: about four digits, the same number of decimals for the same magnitude. @param {number} v */
export function formatValue(v) {
  const size = Math.abs(v);
  if (size >= 1e7 || (size < 1e-3 && size > 0)) return v.toExponential(2).replace("e", " e").replace("+", "");
  if (size >= 10_000) return whole.format(v);
  return v.toFixed(size >= 1000 ? 0 : size >= 100 ? 1 : 2).replace("-", "\u2212");
}

/** A metric's name for a person. @param {string} metric */
export function formatMetric(metric) {
  return metric.replaceAll("_", " ");
}

/** The unit as one writes it: devices often leave out the degree sign. @param {string} unit @param {string} metric */
export function formatUnit(unit, metric) {
  return /^[CF]$/.test(unit) && /temp/i.test(metric) ? `\u00b0${unit}` : unit;
}

/** @param {number} n */
export function formatCount(n) {
  return n >= 1e6 ? compact.format(n) : whole.format(n);
}

/** Per second. @param {number | null} n */
export function formatRate(n) {
  if (n === null) return "\u2013";
  return n >= 100 || n === 0 ? formatCount(n) : n.toFixed(n >= 10 ? 0 : 1);
}

/** How long ago or how long. @param {number} seconds */
export function formatSpan(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** @param {number} seconds */
export function formatAge(seconds) {
  return seconds < 1.5 ? "now" : `${formatSpan(Math.floor(seconds)).replace(".0", "")} ago`;
}

/** @param {number | null} bytes */
export function formatBytes(bytes) {
  if (bytes === null) return "\u2013";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  let size = bytes;
  while (size >= 1024 && at < units.length - 1) {
    size /= 1024;
    at++;
  }
  return `${at === 0 ? size : size.toFixed(size >= 100 ? 0 : 1)} ${units[at]}`;
}

/** Time of day of a record. @param {number} ms */
export function formatClock(ms) {
  const date = new Date(ms);
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** A payload as text, by the kind that stands after it in a frame. @param {any} value @param {number} kind */
export function formatPayload(value, kind) {
  if (kind === 0) return JSON.stringify(value, null, 1);
  if (kind === 1) return String(value);
  if (kind === 2) return `base64: ${value}`;
  if (kind === 5) return "(no value: a tombstone)";
  return `${kind === 4 ? "base64: " : ""}${value[0]}\u2026 (${formatBytes(value[1])} in all)`;
}
