// The list of topics: partitions, records a second, what is kept, and for how long.
// @ts-check
import { h, keyed, setText } from "./dom.js";
import { formatBytes, formatCount, formatRate, formatSpan } from "./format.js";

export class Topics {
  title = "Topics";
  #search = "";
  /** @type {any} */
  #message = null;
  #rows = h("tbody");
  #table = h(
    "table.list",
    {},
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, "Topic"),
        h("th.number", { scope: "col" }, "Messages/s"),
        h("th.number", { scope: "col" }, "Records"),
        h("th.number.size", { scope: "col" }, "Size"),
        h("th.number", { scope: "col" }, "Kept for"),
        h("th.wide", { scope: "col" }, "Partitions"),
        h("th.readers", { scope: "col" }, "Read by"),
      ),
    ),
    this.#rows,
  );
  #empty = h("div.empty", {}, h("p", {}, "Asking the hub for its topics\u2026"));
  element = h("div.page", {}, this.#empty, this.#table);
  /** What each group has not read of a topic: `[group, records]`. @type {Map<string, [string, number][]>} */
  #readers = new Map();
  /** @type {(() => void)[]} */
  #stops;

  /** @param {import("./link.js").Link} link */
  constructor(link) {
    this.#table.hidden = true;
    this.#stops = [
      link.watch("topics", (message) => {
        this.#message = message;
        this.#show();
      }),
      link.watch("groups", (message) => {
        this.#readers = readersOf(message.groups);
        this.#show();
      }),
    ];
  }

  leave() {
    for (const stop of this.#stops) stop();
  }

  /** @param {string} text */
  search(text) {
    this.#search = text.trim().toLowerCase();
    this.#show();
  }

  #show() {
    if (this.#message === null) return;
    /** @type {any[]} */
    const topics = this.#message.topics;
    // the hub's own topics come last
    const found = topics
      .filter(({ topic }) => topic.toLowerCase().includes(this.#search))
      .sort((a, b) => Number(a.internal) - Number(b.internal));
    this.#table.classList.toggle(
      "no-size",
      topics.every(({ bytes }) => bytes === null),
    );
    for (const topic of found) topic.readers = this.#readers.get(topic.topic) ?? [];
    keyed(this.#rows, found, ({ topic }) => topic, row);
    this.#table.hidden = found.length === 0;
    this.#empty.hidden = found.length > 0 && this.#message.more === 0;
    if (topics.length === 0) {
      this.#empty.replaceChildren(
        h("h2", {}, "No topic yet"),
        h("p", {}, "A topic is made by the first reading over MQTT, or by hand:"),
        h("pre", {}, "npm run partidor -- topic create orders --partitions 4"),
      );
    } else if (found.length === 0) {
      this.#empty.replaceChildren(h("h2", {}, "No such topic"), h("p", {}, "Escape clears the search."));
    } else this.#empty.replaceChildren(h("p", {}, `${formatCount(this.#message.more)} more are not listed.`));
  }
}

/** @param {any[]} groups @returns {Map<string, [string, number][]>} */
function readersOf(groups) {
  /** @type {Map<string, [string, number][]>} */
  const readers = new Map();
  for (const { group, topics, partitions } of groups) {
    for (const topic of topics) {
      let lag = 0;
      for (const each of partitions) if (each.topic === topic) lag += each.lag;
      readers.set(topic, [...(readers.get(topic) ?? []), [group, lag]]);
    }
  }
  return readers;
}

/** @param {any} first */
function row(first) {
  const rate = h("td.number.strong", { "data-label": "Messages/s" });
  const records = h("td.number", { "data-label": "Records" });
  const size = h("td.number.size", { "data-label": "Size" });
  const kept = h("td.number", { "data-label": "Kept for" });
  const strip = h("div.strip", { role: "img" });
  const note = h("span.note");
  const readers = h("td.readers", { "data-label": "Read by" });
  const name = h(
    "th",
    { scope: "row" },
    h("span.name", {}, first.topic),
    first.internal ? h("span.tag", {}, "internal") : null,
  );
  const element = h(
    "tr",
    {},
    name,
    rate,
    records,
    size,
    kept,
    h("td.wide", { "data-label": "Partitions" }, strip, note),
    readers,
  );
  return Object.assign(element, {
    update(/** @type {any} */ topic) {
      setText(rate, formatRate(topic.perSecond));
      setText(records, formatCount(topic.records));
      setText(size, formatBytes(topic.bytes));
      setText(kept, keptFor(topic));
      const most = Math.max(1, ...topic.partitions.map((/** @type {any} */ each) => each.end - each.start));
      const bars = topic.partitions.slice(0, 64).map((/** @type {any} */ each) => ({ ...each, most }));
      keyed(strip, bars, (/** @type {any} */ each) => String(each.partition), bar);
      const weak = topic.partitions.filter((/** @type {any} */ each) => each.inSync < each.replicas).length;
      setText(note, weak > 0 ? `${topic.partitions.length}, ${weak} not in sync` : String(topic.partitions.length));
      keyed(readers, topic.readers, (/** @type {[string, number]} */ [group]) => group, reader);
      strip.setAttribute("aria-label", `${topic.partitions.length} partitions`);
    },
  });
}

function bar() {
  const fill = h("i");
  const element = h("span", {}, fill);
  return Object.assign(element, {
    update(/** @type {any} */ each) {
      const count = each.end - each.start;
      fill.style.height = `${count === 0 ? 0 : Math.max(8, (100 * count) / each.most)}%`;
      element.title = `Partition ${each.partition}: offsets ${each.start} to ${each.end}, hub ${each.leader}`;
      element.className = each.inSync < each.replicas ? "weak" : "";
    },
  });
}

/** @param {[string, number]} first */
function reader([group]) {
  const lag = h("b");
  const element = h("span.reader", {}, group, " ", lag);
  return Object.assign(element, {
    update(/** @type {[string, number]} */ [, records]) {
      setText(lag, records === 0 ? "up to date" : `${formatCount(records)} behind`);
    },
  });
}

/** @param {any} topic */
function keptFor(topic) {
  if (topic.cleanup?.includes("compact")) return "newest per key";
  if (topic.retentionMs === null) return "\u2013";
  return topic.retentionMs < 0 ? "always" : formatSpan(topic.retentionMs / 1000);
}
