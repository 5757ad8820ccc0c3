// One device: its metrics with their last minute, windows, alerts, recent records, and the newest one raw.
// @ts-check
import { alarmOf, metricOf, readValue } from "./devices.js";
import { h, keyed, setText } from "./dom.js";
import { formatAge, formatClock, formatMetric, formatPayload, formatUnit, formatValue } from "./format.js";
import { readInk, spark } from "./tile.js";

const recordsMax = 100;
const rowsMax = 40;
const alertsMax = 8;

/** @typedef {{ offset: number, at: number, metric: string, value: any, kind: number, headers: string[][] }} Row */

export class Panel {
  #link;
  #devices;
  #element;
  #onClose;
  /** @type {string | null} */
  name = null;
  /** @type {(() => void)[]} */
  #stops = [];
  /** @type {Row[]} newest first */
  #records = [];
  /** @type {(import("./devices.js").Alarm & { id: number })[]} */
  #alerts = [];
  /** @type {Map<string, any>} newest window of each metric */
  #windows = new Map();
  #metrics = h("div.metrics");
  #alertList = h("ul.alerts");
  #rows = h("tbody");
  #raw = h("pre", { tabindex: 0 });
  #meta = h("p.note");
  #age = h("p.note");
  #changed = false;
  #from = /** @type {Element | null} */ (null);

  /** @param {import("./link.js").Link} link @param {import("./devices.js").Devices} devices
   * @param {HTMLElement} element @param {() => void} onClose */
  constructor(link, devices, element, onClose) {
    this.#link = link;
    this.#devices = devices;
    this.#element = element;
    this.#onClose = onClose;
    element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      onClose();
    });
    setInterval(() => this.#tick(), 250);
  }

  /** @param {string} name */
  open(name) {
    if (name === this.name) return;
    if (this.name === null) this.#from = document.activeElement;
    this.#end();
    this.name = name;
    this.#records = [];
    this.#alerts = [];
    this.#windows.clear();
    for (const part of [this.#metrics, this.#alertList, this.#rows]) part.replaceChildren();
    this.#raw.textContent = "";
    const device = this.#devices.all.get(name);
    const keys = [name];
    const partitions = device !== undefined && device.partition >= 0 ? { partitions: [device.partition] } : {};
    const take = (/** @type {import("./link.js").Frame} */ frame) => this.#take(frame);
    this.#stops.push(
      this.#link.subscribe(
        { topic: "sensors", keys, ...partitions, from: { last: 2000 }, headers: true },
        { onFrame: take },
      ),
      this.#link.subscribe(
        { topic: "alerts", keys, from: { last: "60m" } },
        { onFrame: (frame) => this.#takeAlerts(frame) },
      ),
      this.#link.subscribe(
        { topic: "aggregates", keys, from: { last: "15m" } },
        { onFrame: (frame) => this.#takeWindows(frame) },
      ),
    );
    this.#build(name);
    this.#tick();
  }

  close() {
    if (this.name === null) return;
    this.#end();
    this.name = null;
    this.#element.hidden = true;
    document.body.classList.remove("with-panel");
    if (this.#from instanceof HTMLElement) this.#from.focus();
  }

  #end() {
    for (const stop of this.#stops) stop();
    this.#stops = [];
  }

  /** @param {string} name */
  #build(name) {
    const close = h("button.icon", { type: "button", "aria-label": "Close", click: () => this.#onClose() }, "\u00d7");
    const columns = ["Time", "Metric", "Value", "Offset"];
    const heads = columns.map((text, i) => h(i >= 2 ? "th.number" : "th", { scope: "col" }, text));
    this.#element.replaceChildren(
      h("header", {}, h("div", {}, h("h2", { tabindex: -1 }, name), this.#age), close),
      this.#metrics,
      h("section.alert-box", { "aria-label": "Alerts" }, h("h3", {}, "Alerts"), this.#alertList),
      h(
        "section",
        { "aria-label": "Recent records" },
        h("h3", {}, "Recent"),
        h(
          "div.scroll",
          { tabindex: 0, role: "group", "aria-label": "Recent records" },
          h("table.list.small", {}, h("thead", {}, h("tr", {}, ...heads)), this.#rows),
        ),
      ),
      h("section", { "aria-label": "Newest record, raw" }, h("h3", {}, "Raw"), this.#raw, this.#meta),
    );
    this.#element.hidden = false;
    document.body.classList.add("with-panel");
    this.#element.querySelector("h2")?.focus({ preventScroll: true });
  }

  /** @param {import("./link.js").Frame} frame */
  #take(frame) {
    for (const [offset, at, , value, kind, headers] of frame.records) {
      const topic = headers.find((/** @type {[string, string]} */ [key]) => key === "mqtt.topic")?.[1];
      this.#records.unshift({ offset, at, metric: metricOf(topic), value, kind, headers });
    }
    this.#records.length = Math.min(this.#records.length, recordsMax);
    this.#changed = true;
  }

  /** @param {import("./link.js").Frame} frame */
  #takeAlerts(frame) {
    for (const [offset, at, , value, kind] of frame.records) {
      if (kind !== 0 || typeof value !== "object" || value === null) continue;
      this.#alerts.unshift({ id: offset, ...alarmOf(at, value) });
    }
    this.#alerts.length = Math.min(this.#alerts.length, alertsMax);
    this.#changed = true;
  }

  /** @param {import("./link.js").Frame} frame */
  #takeWindows(frame) {
    for (const [, , , value, kind] of frame.records) {
      if (kind === 0 && typeof value === "object" && value !== null && typeof value.mean === "number") {
        if (this.#windows.size < 64) this.#windows.set(String(value.metric), value);
      }
    }
  }

  /** Draws what changed: four times a second is as fast as one reads. */
  #tick() {
    if (this.name === null) return;
    const device = this.#devices.all.get(this.name);
    const now = this.#link.now();
    setText(this.#age, device === undefined ? "not heard of yet" : `heard ${formatAge((now - device.at) / 1000)}`);
    const series = [...(device?.series.values() ?? [])].sort((a, b) => (a.metric < b.metric ? -1 : 1));
    keyed(
      this.#metrics,
      series,
      ({ metric }) => metric,
      () => metricCard(this.#link, this.#windows),
    );
    const now_ = { now };
    for (const alert of this.#alertList.children) /** @type {any} */ (alert).age?.(now_);
    if (!this.#changed) return;
    this.#changed = false;
    keyed(this.#alertList, this.#alerts, ({ id }) => String(id), alertItem);
    /** @type {HTMLElement} */ (this.#alertList.parentElement).hidden = this.#alerts.length === 0;
    keyed(this.#rows, this.#records.slice(0, rowsMax), ({ offset }) => String(offset), recordRow);
    const newest = this.#records[0];
    if (newest === undefined) return;
    setText(this.#raw, formatPayload(newest.value, newest.kind));
    const headers = newest.headers.map(([key, value]) => `${key} ${value}`).join(" \u00b7 ");
    setText(this.#meta, `partition ${device?.partition ?? ""} \u00b7 offset ${newest.offset} \u00b7 ${headers}`);
  }
}

/** @param {import("./link.js").Link} link @param {Map<string, any>} windows */
function metricCard(link, windows) {
  const label = h("h3");
  const value = h("p.value");
  const unit = h("span.unit");
  const number = h("span");
  value.append(number, " ", unit);
  const canvas = /** @type {HTMLCanvasElement} */ (h("canvas", { "aria-hidden": "true" }));
  const note = h("p.note");
  const element = h("div.metric", {}, label, value, canvas, note);
  return Object.assign(element, {
    update(/** @type {import("./devices.js").Series} */ series) {
      setText(label, formatMetric(series.metric) || "value");
      setText(number, series.v === null ? series.text : formatValue(series.v));
      setText(unit, formatUnit(series.unit, series.metric));
      const window = windows.get(series.metric);
      setText(note, window === undefined ? "last 60 s" : windowText(window));
      drawSeries(canvas, series, link.now());
    },
  });
}

/** @param {any} window */
function windowText({ min, mean, max, start, end }) {
  const parts = [`min ${formatValue(min)}`, `mean ${formatValue(mean)}`, `max ${formatValue(max)}`];
  return `${parts.join(" \u00b7 ")} (${formatClock(start)} to ${formatClock(end)})`;
}

/** @param {HTMLCanvasElement} canvas @param {import("./devices.js").Series} series @param {number} now */
function drawSeries(canvas, series, now) {
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  const dpr = Math.min(3, devicePixelRatio || 1);
  if (width === 0) return;
  if (canvas.width !== Math.round(width * dpr)) {
    canvas.width = Math.round(width * dpr);
    canvas.height = Math.round(height * dpr);
  }
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(dpr, 0, 0, dpr, 0, 0);
  context.clearRect(0, 0, width, height);
  const ink = readInk(canvas);
  spark(context, series, width, height, now, ink.water, ink.waterSoft);
}

/** @param {import("./devices.js").Alarm} first */
function alertItem(first) {
  const when = h("span.note");
  const score = h("span.tag", {}, `score ${first.score.toFixed(2)}`);
  const title = `${formatMetric(first.metric)} ${first.v === null ? "" : formatValue(first.v)}`;
  const element = h("li", {}, h("strong", {}, title), score, when, h("p", {}, first.why));
  return Object.assign(element, {
    age(/** @type {{ now: number }} */ { now }) {
      setText(when, formatAge(Math.max(0, now - first.at) / 1000));
    },
  });
}

/** @param {Row} row */
function recordRow({ offset, at, metric, value, kind }) {
  const shown = readValue(value, kind);
  const text = shown.v === null ? shown.text : `${formatValue(shown.v)} ${formatUnit(shown.unit, metric)}`;
  return h(
    "tr",
    {},
    h("td", {}, formatClock(at)),
    h("td", {}, formatMetric(metric)),
    h("td.number.strong", {}, text),
    h("td.number.muted", {}, String(offset)),
  );
}
