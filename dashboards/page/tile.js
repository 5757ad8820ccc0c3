// Draws one device as a tile on the wall's canvas.
// @ts-check
import { alarmMs, staleMs } from "./devices.js";
import { formatAge, formatMetric, formatUnit, formatValue } from "./format.js";

export const tileHeight = 118;
const pad = 13;
const sparkTop = 78;
const sparkHeight = 28;
const seconds = 60;

/**
 * @typedef {{ page: string, surface: string, line: string, lineStrong: string, ink: string, muted: string,
 *   water: string, waterSoft: string, alarm: string, alarmSoft: string, font: string }} Ink
 */

/** Colours of the theme, read once per change. @param {Element} element @returns {Ink} */
export function readInk(element) {
  const style = getComputedStyle(element);
  const of = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  return {
    page: of("--page"),
    surface: of("--surface"),
    line: of("--line"),
    lineStrong: of("--line-strong"),
    ink: of("--ink"),
    muted: of("--muted"),
    water: of("--water"),
    waterSoft: of("--water-soft"),
    alarm: of("--alarm"),
    alarmSoft: of("--alarm-soft"),
    font: style.fontFamily,
  };
}

/**
 * Draws with the tile's top left corner at the origin; the caller has set the transform.
 * @param {CanvasRenderingContext2D} context @param {import("./devices.js").Device} device @param {number} width
 * @param {number} now @param {Ink} ink @param {{ focused: boolean, hovered: boolean, open: boolean }} marks
 */
export function drawTile(context, device, width, now, ink, marks) {
  const alarmed = device.alarmed(now);
  const stale = now - device.at > staleMs;
  context.fillStyle = ink.page;
  context.fillRect(-4, -4, width + 8, tileHeight + 8);
  box(context, 0.5, 0.5, width - 1, tileHeight - 1, 9);
  context.fillStyle = ink.surface;
  context.fill();
  context.lineWidth = 1;
  context.strokeStyle = marks.hovered || marks.open ? ink.lineStrong : ink.line;
  context.stroke();
  if (alarmed) drawRing(context, width, now - Number(device.alarm?.at), ink);
  if (marks.focused || marks.open) {
    box(context, -2, -2, width + 4, tileHeight + 4, 11);
    context.lineWidth = 2;
    context.strokeStyle = ink.water;
    context.stroke();
  }
  drawNames(context, device, width, now, ink, alarmed, stale);
  drawValue(context, device, width, ink, stale);
  const series = device.primary;
  if (series !== null && series.v !== null)
    drawSpark(context, series, width, now, alarmed ? ink.alarm : ink.water, ink);
}

/** @param {CanvasRenderingContext2D} context @param {number} width @param {number} age @param {Ink} ink */
function drawRing(context, width, age, ink) {
  box(context, 1.25, 1.25, width - 2.5, tileHeight - 2.5, 8.5);
  context.fillStyle = ink.alarmSoft;
  context.fill();
  context.lineWidth = 2.5;
  // the ring closes like a clock hand while the alarm grows old
  const round = 2 * (width + tileHeight);
  context.strokeStyle = ink.alarm;
  context.globalAlpha = 0.3;
  context.stroke();
  context.globalAlpha = 1;
  context.setLineDash([round * (1 - age / alarmMs), round]);
  context.stroke();
  context.setLineDash([]);
}

/** @param {CanvasRenderingContext2D} context @param {import("./devices.js").Device} device @param {number} width
 * @param {number} now @param {Ink} ink @param {boolean} alarmed @param {boolean} stale */
function drawNames(context, device, width, now, ink, alarmed, stale) {
  const room = width - 2 * pad - 18;
  context.textBaseline = "alphabetic";
  context.textAlign = "left";
  context.font = `600 13px ${ink.font}`;
  if (device.fittedWidth !== room) {
    device.fitted = fit(context, device.name, room);
    device.fittedWidth = room;
  }
  context.fillStyle = ink.ink;
  context.fillText(device.fitted, pad, 24);
  context.font = `11.5px ${ink.font}`;
  const more = device.series.size > 1 ? `  +${device.series.size - 1}` : "";
  const age = (now - device.at) / 1000;
  const note = alarmed
    ? `alert ${formatAge((now - Number(device.alarm?.at)) / 1000)}`
    : stale
      ? `silent ${formatAge(age).replace(" ago", "")}`
      : `${formatMetric(device.primary?.metric ?? "")}${more}`;
  context.fillStyle = alarmed ? ink.alarm : ink.muted;
  context.fillText(fit(context, note, room + 18), pad, 41);
  if (alarmed) triangle(context, width - pad - 5, 19.5, ink.alarm);
  else ageDot(context, width - pad - 4, 19.5, age, stale, ink);
}

/** Full while fresh, smaller as it ages, an empty circle when stale: readable without colour.
 * @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} age
 * @param {boolean} stale @param {Ink} ink */
function ageDot(context, x, y, age, stale, ink) {
  context.beginPath();
  context.arc(x, y, stale ? 3.5 : 4 - Math.min(1.5, age / 8), 0, 7);
  if (stale) {
    context.lineWidth = 1.5;
    context.strokeStyle = ink.muted;
    context.stroke();
  } else {
    context.fillStyle = age < 5 ? ink.water : ink.muted;
    context.fill();
  }
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {string} color */
function triangle(context, x, y, color) {
  context.beginPath();
  context.moveTo(x, y - 6);
  context.lineTo(x + 6, y + 5);
  context.lineTo(x - 6, y + 5);
  context.closePath();
  context.fillStyle = color;
  context.fill();
}

/** @param {CanvasRenderingContext2D} context @param {import("./devices.js").Device} device @param {number} width
 * @param {Ink} ink @param {boolean} stale */
function drawValue(context, device, width, ink, stale) {
  const series = device.primary;
  if (series === null) return;
  const room = width - 2 * pad;
  context.fillStyle = stale ? ink.muted : ink.ink;
  if (series.v === null) {
    context.font = `500 16px ${ink.font}`;
    context.fillText(fit(context, series.text, room), pad, 68);
    return;
  }
  context.font = `600 24px ${ink.font}`;
  const text = formatValue(series.v);
  context.fillText(text, pad, 69);
  const end = pad + context.measureText(text).width;
  context.font = `13px ${ink.font}`;
  context.fillStyle = ink.muted;
  context.fillText(fit(context, formatUnit(series.unit, series.metric), width - pad - end - 5), end + 5, 69);
}

/** @param {CanvasRenderingContext2D} context @param {import("./devices.js").Series} series @param {number} width
 * @param {number} now @param {string} color @param {Ink} ink */
function drawSpark(context, series, width, now, color, ink) {
  context.save();
  context.translate(pad, sparkTop);
  spark(context, series, width - 2 * pad, sparkHeight, now, color, color === ink.alarm ? ink.alarmSoft : ink.waterSoft);
  context.restore();
}

/**
 * The last minute as a line over a soft area, newest at the right, within [0, width] x [0, height].
 * @param {CanvasRenderingContext2D} context @param {import("./devices.js").Series} series @param {number} width
 * @param {number} height @param {number} now @param {string} color @param {string} soft
 */
export function spark(context, series, width, height, now, color, soft) {
  const newest = Math.floor(now / 1000);
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < seconds; i++) {
    const v = series.get(newest - i);
    if (v < min) min = v;
    if (v > max) max = v;
  }
  if (min > max) return;
  const flat = max - min < 1e-9;
  const yOf = (/** @type {number} */ v) => (flat ? height / 2 : height - 2 - ((v - min) / (max - min)) * (height - 4));
  const step = (width - 3) / (seconds - 1);
  context.beginPath();
  let first = -1;
  let x = 0;
  let y = 0;
  for (let i = 0; i < seconds; i++) {
    const v = series.get(newest - seconds + 1 + i);
    if (Number.isNaN(v)) continue;
    x = i * step;
    y = yOf(v);
    if (first < 0) context.moveTo(x, y);
    else context.lineTo(x, y);
    if (first < 0) first = x;
  }
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  context.strokeStyle = color;
  if (x > first) {
    context.stroke();
    context.lineTo(x, height);
    context.lineTo(first, height);
    context.closePath();
    context.fillStyle = soft;
    context.fill();
  }
  context.beginPath();
  context.arc(x, y, 2.4, 0, 7);
  context.fillStyle = color;
  context.fill();
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} width
 * @param {number} height @param {number} radius */
function box(context, x, y, width, height, radius) {
  context.beginPath();
  context.roundRect(x, y, width, height, radius);
}

/** Cuts a text so that it fits, with an ellipsis. @param {CanvasRenderingContext2D} context @param {string} text
 * @param {number} room */
function fit(context, text, room) {
  if (room <= 0) return "";
  const whole = text.slice(0, 80);
  if (context.measureText(whole).width <= room) return whole;
  let low = 0;
  let high = whole.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (context.measureText(`${whole.slice(0, middle)}\u2026`).width <= room) low = middle;
    else high = middle - 1;
  }
  return `${whole.slice(0, low)}\u2026`;
}
