// The wall in words and figures: the row above it, and a tile as a screen reader hears it.
// @ts-check
import { h, setText } from "./dom.js";
import { formatAge, formatMetric, formatUnit, formatValue } from "./format.js";

/** @param {{ name: string, value: string, mark: string }} shown */
export function figure({ name }) {
  const value = h("dd");
  const row = h("div", {}, h("dt", {}, name), value);
  return Object.assign(row, {
    update(/** @type {{ value: string, mark: string }} */ shown) {
      setText(value, shown.value);
      row.className = shown.mark;
    },
  });
}

/** A tile in words. @param {import("./devices.js").Device} device @param {number} now */
export function describe(device, now) {
  const series = device.primary;
  const value =
    series === null
      ? ""
      : series.v === null
        ? series.text
        : `${formatValue(series.v)} ${formatUnit(series.unit, series.metric)}`;
  const alarm = device.alarmed(now) ? ", alert" : "";
  const age = formatAge((now - device.at) / 1000);
  return `${device.name}, ${formatMetric(series?.metric ?? "")} ${value}, ${age}${alarm}`;
}
