// The wall: a tile per device on one canvas, of which only what is seen is drawn, a few tiles a frame.
// @ts-check
import { staleMs } from "./devices.js";
import { h, keyed, setText } from "./dom.js";
import { formatCount, formatRate } from "./format.js";
import { describe, figure } from "./wall_words.js";
import { drawTile, readInk, tileHeight } from "./tile.js";

const gap = 12;
const tileWidthMin = 184;
const tileWidthMinPhone = 148;
const drawMs = 4;
const redrawMs = 200;
const redrawCalmMs = 1000;
const sorts = /** @type {const} */ ([
  ["name", "Name"],
  ["age", "Age"],
  ["anomaly", "Anomaly"],
]);

/** @typedef {import("./devices.js").Device} Device */

export class Wall {
  title = "Wall";
  #link;
  #data;
  #open;
  /** @type {Device[]} */
  #list = [];
  #columns = 1;
  #tileWidth = tileWidthMin;
  #left = 0;
  /** @type {string | null} */
  #focused = null;
  /** @type {string | null} */
  #hovered = null;
  /** @type {string | null} */
  #opened = null;
  /** @type {"name" | "age" | "anomaly"} */
  #sort = "name";
  #search = "";
  #whole = true;
  #ordered = 0;
  #generation = -1;
  #counted = { at: performance.now(), live: 0, rate: 0 };
  #running = true;
  #next = 0;
  #calm = matchMedia("(prefers-reduced-motion: reduce)");
  #canvas = /** @type {HTMLCanvasElement} */ (h("canvas", { "aria-hidden": "true" }));
  #spacer = h("div.spacer");
  #option = h("div.hidden", { role: "option", id: "tile", "aria-selected": "true" });
  #tiles = h(
    "div.tiles",
    { role: "listbox", tabindex: 0, "aria-label": "Devices" },
    this.#canvas,
    this.#spacer,
    this.#option,
  );
  #stats = h("dl.stats");
  #empty = h("div.empty", { hidden: true });
  #sorter = h("div.segments", { role: "group", "aria-label": "Sort by" });
  #bar = h("div.bar", {}, this.#stats, this.#sorter);
  element = h("div.wall", {}, this.#bar, this.#empty, this.#tiles);
  #context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d", { alpha: false }));
  #ink = readInk(document.body);
  #watch = new ResizeObserver(() => this.#layout());

  /** @param {import("./link.js").Link} link @param {import("./wall_data.js").WallData} data
   * @param {(device: string) => void} open */
  constructor(link, data, open) {
    this.#link = link;
    this.#data = data;
    this.#open = open;
    const kept = sessionStorage.getItem("sort");
    for (const [sort] of sorts) if (sort === kept) this.#sort = sort;
    for (const [sort, label] of sorts) {
      const click = () => this.#sortBy(sort);
      this.#sorter.append(h("button", { type: "button", "data-sort": sort, click }, label));
    }
    this.#sortBy(this.#sort);
    this.#tiles.addEventListener("scroll", () => this.repaint());
    this.#tiles.addEventListener("keydown", (event) => this.#key(event));
    this.#tiles.addEventListener("focus", () => this.#focus(this.#focused ?? this.#list[0]?.name ?? null));
    this.#tiles.addEventListener("blur", () => this.repaint());
    this.#tiles.addEventListener("pointermove", (event) => this.#hover(this.#at(event)));
    this.#tiles.addEventListener("pointerleave", () => this.#hover(null));
    this.#tiles.addEventListener("click", (event) => this.#click(this.#at(event)));
    this.#watch.observe(this.#tiles);
    requestAnimationFrame(() => this.#frame());
  }

  leave() {
    this.#running = false;
    this.#watch.disconnect();
  }

  /** @param {string} text */
  search(text) {
    this.#search = text;
    this.#focused = null;
    this.#ordered = 0;
    this.#order(this.#link.now()); // at once: Enter goes to the first that is found
    this.#tiles.scrollTop = 0;
  }

  focusContent() {
    this.#tiles.focus();
  }

  /** The device shown in the panel. @param {string | null} name */
  opened(name) {
    this.#opened = name;
    this.repaint();
  }

  /** Theme or place changed: everything is drawn again. */
  repaint() {
    this.#whole = true;
  }

  retheme() {
    this.#ink = readInk(document.body);
    this.repaint();
  }

  /** @param {"name" | "age" | "anomaly"} sort */
  #sortBy(sort) {
    this.#sort = sort;
    sessionStorage.setItem("sort", sort);
    for (const button of this.#sorter.children) {
      button.setAttribute("aria-pressed", String(button.getAttribute("data-sort") === sort));
    }
    this.#ordered = 0;
  }

  #layout() {
    const width = this.#tiles.clientWidth;
    const height = this.#tiles.clientHeight;
    const dpr = Math.min(3, devicePixelRatio || 1);
    const style = getComputedStyle(this.#tiles);
    this.#left = Number.parseFloat(style.getPropertyValue("--side")) || 16;
    const room = width - 2 * this.#left;
    const least = room < 480 ? tileWidthMinPhone : tileWidthMin;
    this.#columns = Math.max(1, Math.floor((room + gap) / (least + gap)));
    this.#tileWidth = Math.floor((room + gap) / this.#columns - gap);
    this.#canvas.width = Math.max(1, Math.round(width * dpr));
    this.#canvas.height = Math.max(1, Math.round(height * dpr));
    this.#canvas.style.width = `${width}px`;
    this.#canvas.style.height = `${height}px`;
    this.#resize();
    this.repaint();
  }

  #resize() {
    const rows = Math.ceil(this.#list.length / this.#columns);
    const height = Math.max(0, rows * (tileHeight + gap) + 2 * gap - this.#tiles.clientHeight);
    this.#spacer.style.height = `${height}px`;
  }

  /** @param {number} index */
  #place(index) {
    const x = this.#left + (index % this.#columns) * (this.#tileWidth + gap);
    return { x, y: gap + Math.floor(index / this.#columns) * (tileHeight + gap) };
  }

  /** Orders once a second, or when a device appeared. @param {number} now */
  #order(now) {
    const { devices } = this.#data;
    if (this.#ordered > 0 && performance.now() - this.#ordered < 1000 && devices.generation === this.#generation)
      return;
    this.#ordered = performance.now();
    this.#generation = devices.generation;
    const list = devices.list(this.#sort, this.#search, now);
    const same = list.length === this.#list.length && list.every((device, i) => device === this.#list[i]);
    if (!same) {
      this.#list = list;
      this.#resize();
      this.repaint();
    }
    this.#say(now);
  }

  #frame() {
    if (!this.#running) return;
    requestAnimationFrame(() => this.#frame());
    const now = this.#link.now();
    this.#order(now);
    const began = performance.now();
    const top = this.#tiles.scrollTop;
    const row = tileHeight + gap;
    const first = Math.max(0, Math.floor((top - gap) / row)) * this.#columns;
    const last = Math.min(this.#list.length, Math.ceil((top + this.#tiles.clientHeight) / row) * this.#columns);
    const whole = this.#whole;
    if (whole) {
      this.#context.setTransform(1, 0, 0, 1, 0, 0);
      this.#context.fillStyle = this.#ink.page;
      this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
      this.#whole = false;
    }
    const redraw = this.#calm.matches ? redrawCalmMs : redrawMs;
    const count = last - first;
    for (let i = 0; i < count; i++) {
      // goes on where the last frame stopped, so that every tile has its turn
      const index = whole ? first + i : first + ((this.#next + i) % count);
      const device = /** @type {Device} */ (this.#list[index]);
      const rest = began - device.drawnAt;
      if (!whole && !(device.dirty && rest >= redraw) && rest < 1000) continue;
      if (!whole && performance.now() - began > drawMs) {
        this.#next = index - first;
        break;
      }
      this.#draw(device, index, top, now);
      device.drawnAt = began;
      device.dirty = false;
    }
  }

  /** @param {Device} device @param {number} index @param {number} top @param {number} now */
  #draw(device, index, top, now) {
    const dpr = this.#canvas.width / Math.max(1, this.#tiles.clientWidth);
    const { x, y } = this.#place(index);
    this.#context.setTransform(dpr, 0, 0, dpr, x * dpr, (y - top) * dpr);
    const focused = device.name === this.#focused && this.#tiles.matches(":focus-visible");
    const marks = { focused, hovered: device.name === this.#hovered, open: device.name === this.#opened };
    drawTile(this.#context, device, this.#tileWidth, now, this.#ink, marks);
  }

  /** Figures above the wall, and what a screen reader hears of the tile in focus. @param {number} now */
  #say(now) {
    const { devices } = this.#data;
    const link = this.#link;
    const passed = (performance.now() - this.#counted.at) / 1000;
    if (passed >= 1) {
      const rate = (this.#data.live - this.#counted.live) / passed;
      this.#counted = { at: performance.now(), live: this.#data.live, rate };
    }
    let alarms = 0;
    let stale = 0;
    for (const device of devices.all.values()) {
      if (device.alarmed(now)) alarms++;
      if (now - device.at > staleMs) stale++;
    }
    const beyond = devices.beyond.size > 0 ? ` of ${formatCount(devices.all.size + devices.beyond.size)}` : "";
    const figures = [
      { name: "Devices", value: formatCount(devices.all.size) + beyond, mark: "" },
      { name: "Readings/s", value: formatRate(this.#counted.rate), mark: "" },
      { name: "Alerts", value: formatCount(alarms), mark: alarms > 0 ? "alarm" : "" },
      { name: "Silent", value: formatCount(stale), mark: "" },
      { name: "Conflated", value: `${formatRate(link.conflated)}/s`, mark: link.slow ? "slow" : "" },
    ];
    if (link.missed > 0) figures.push({ name: "Missed", value: formatCount(link.missed), mark: "slow" });
    keyed(this.#stats, figures, ({ name }) => name, figure);
    this.#sayEmpty();
    const device = this.#focused === null ? undefined : devices.all.get(this.#focused);
    if (device !== undefined) setText(this.#option, describe(device, now));
  }

  #sayEmpty() {
    const { devices, state } = this.#data;
    const none = this.#list.length === 0;
    this.#empty.hidden = !none;
    this.#tiles.hidden = none;
    if (!none) return;
    const key = this.#search !== "" && devices.all.size > 0 ? `search ${this.#search}` : state;
    if (this.#empty.dataset["key"] === key) return;
    this.#empty.dataset["key"] = key;
    if (key.startsWith("search ")) {
      this.#empty.replaceChildren(
        h("h2", {}, "No such device"),
        h(
          "p",
          {},
          `None of ${formatCount(devices.all.size)} is called \u201c${this.#search}\u201d. Escape clears the search.`,
        ),
      );
    } else {
      const payload = `'{"t":'$(date +%s000)',"v":21.5}'`;
      const command = `mosquitto_pub -h ${location.hostname} -q 1 -t sensors/dev-1/temperature -m ${payload}`;
      this.#empty.replaceChildren(
        h("h2", {}, "No device has spoken in the last minute"),
        h("p", {}, "A tile appears with the first reading. Publish one over MQTT:"),
        h("pre", {}, command),
        h("p", {}, "or start the hub with its demo fleet: ", h("code", {}, "npm start")),
      );
    }
  }

  /** @param {MouseEvent} event @returns {string | null} */
  #at(event) {
    const { left, top } = this.#tiles.getBoundingClientRect();
    const x = event.clientX - left - this.#left;
    const y = event.clientY - top + this.#tiles.scrollTop - gap;
    const column = Math.floor(x / (this.#tileWidth + gap));
    const row = Math.floor(y / (tileHeight + gap));
    const inside =
      x - column * (this.#tileWidth + gap) <= this.#tileWidth && y - row * (tileHeight + gap) <= tileHeight;
    if (column < 0 || column >= this.#columns || row < 0 || !inside) return null;
    return this.#list[row * this.#columns + column]?.name ?? null;
  }

  /** @param {string | null} name */
  #hover(name) {
    if (name === this.#hovered) return;
    this.#hovered = name;
    this.#tiles.style.cursor = name === null ? "" : "pointer";
    this.repaint();
  }

  /** @param {string | null} name */
  #click(name) {
    if (name === null) return;
    this.#focused = name;
    this.#open(name);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const at = this.#list.findIndex((device) => device.name === this.#focused);
    const page = Math.max(1, Math.floor(this.#tiles.clientHeight / (tileHeight + gap))) * this.#columns;
    /** @type {Record<string, number>} */
    const steps = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -this.#columns,
      ArrowDown: this.#columns,
      PageUp: -page,
      PageDown: page,
    };
    const step = steps[event.key];
    let to = at;
    if (step !== undefined) to = at < 0 ? 0 : Math.max(0, Math.min(this.#list.length - 1, at + step));
    else if (event.key === "Home") to = 0;
    else if (event.key === "End") to = this.#list.length - 1;
    else if ((event.key === "Enter" || event.key === " ") && this.#focused !== null) this.#open(this.#focused);
    else return;
    event.preventDefault();
    this.#focus(this.#list[to]?.name ?? null);
  }

  /** @param {string | null} name */
  #focus(name) {
    this.#focused = name;
    this.repaint();
    const index = this.#list.findIndex((device) => device.name === name);
    if (index < 0) return;
    this.#tiles.setAttribute("aria-activedescendant", "tile");
    setText(this.#option, describe(/** @type {Device} */ (this.#list[index]), this.#link.now()));
    const { y } = this.#place(index);
    const { scrollTop, clientHeight } = this.#tiles;
    if (y < scrollTop + gap) this.#tiles.scrollTop = y - gap;
    else if (y + tileHeight > scrollTop + clientHeight - gap)
      this.#tiles.scrollTop = y + tileHeight - clientHeight + gap;
  }
}
