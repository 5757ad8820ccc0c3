// The cluster: its hubs, who leads and replicates each partition, how far behind followers are, and what happened.
// @ts-check
import { h, keyed, setText } from "./dom.js";
import { formatClock, formatCount } from "./format.js";

const lookMs = 1000;
const eventsMax = 60;

export class Cluster {
  title = "Cluster";
  #search = "";
  /** @type {any} */
  #report = null;
  #facts = h("p.clusterfacts", { role: "status" });
  #hubs = h("div.cards");
  #strips = h("div.ledlists");
  #events = h("ol.clusterevents");
  #empty = h("div.empty", {}, h("p", {}, "Asking the hub for its cluster\u2026"));
  #body = h(
    "div.clusterbody",
    { hidden: true },
    this.#facts,
    this.#hubs,
    h("h2", {}, "Partitions"),
    h(
      "p.ledkey",
      {},
      h("i.ledcell", { "data-role": "leader" }),
      "leads ",
      h("i.ledcell", { "data-role": "sync" }),
      "in sync ",
      h("i.ledcell", { "data-role": "behind" }),
      "behind",
    ),
    this.#strips,
    h("h2", {}, "Events of this hub"),
    this.#events,
  );
  element = h("div.page", {}, this.#empty, this.#body);
  #timer = 0;
  #left = false;

  constructor() {
    void this.#look();
  }

  leave() {
    this.#left = true;
    clearTimeout(this.#timer);
  }

  /** @param {string} text */
  search(text) {
    this.#search = text.trim().toLowerCase();
    this.#show();
  }

  async #look() {
    try {
      const answer = await fetch("/api/cluster", { cache: "no-store" });
      this.#report = await answer.json();
    } catch {
      // the line at the top says that the hub does not answer
    }
    if (this.#left) return;
    this.#show();
    this.#timer = setTimeout(() => void this.#look(), lookMs);
  }

  #show() {
    const report = this.#report;
    if (report === null) return;
    this.#empty.hidden = report.lone !== true;
    this.#body.hidden = report.lone === true;
    if (report.lone === true) {
      this.#empty.replaceChildren(
        h("h2", {}, "One hub, no cluster"),
        h("p", {}, "This hub keeps the only copy of its records. Hubs that share a Redis become a cluster:"),
        h("pre", {}, "partidor up --hub-id 2 --redis redis://HOST:6379"),
      );
      return;
    }
    const seat = report.controller < 0 ? "none" : `hub ${report.controller}`;
    const redis = report.redis === "up" ? "reachable" : "away";
    setText(this.#facts, `Cluster ${report.clusterId} \u00b7 controller ${seat} \u00b7 Redis ${redis}`);
    this.#facts.dataset["redis"] = report.redis;
    const cards = report.hubs.map((/** @type {any} */ hub) => ({ ...hub, report }));
    keyed(this.#hubs, cards, ({ hubId }) => String(hubId), hubCard);
    const found = report.partitions.filter((/** @type {any} */ { topic }) =>
      topic.toLowerCase().includes(this.#search),
    );
    keyed(this.#strips, topicsOf(found), ({ topic }) => topic, strip);
    const events = report.events.slice(0, eventsMax);
    keyed(this.#events, events, (event) => `${event.time}${event.event}${JSON.stringify(event.fields)}`, eventRow);
  }
}

/** @param {any[]} partitions */
function topicsOf(partitions) {
  /** @type {Map<string, any[]>} */
  const topics = new Map();
  for (const one of partitions) topics.set(one.topic, [...(topics.get(one.topic) ?? []), one]);
  return [...topics].map(([topic, list]) => ({ topic, list })).sort((a, b) => (a.topic < b.topic ? -1 : 1));
}

/** @param {{ alive: boolean, draining: boolean }} hub */
const stateOf = ({ alive, draining }) => (!alive ? "down" : draining ? "draining" : "alive");

function hubCard() {
  const name = h("h2");
  const state = h("span.state");
  const address = h("p.note");
  const counts = h("p");
  const card = h("section.card", {}, h("header", {}, name, state), address, counts);
  return Object.assign(card, {
    update(/** @type {any} */ hub) {
      const { hubId, host, port, rack, report } = hub;
      const role = [hubId === report.controller ? "controller" : "", hubId === report.hub ? "this hub" : ""];
      setText(name, `Hub ${hubId}`);
      setText(state, stateOf(hub));
      state.dataset["hub"] = stateOf(hub);
      const words = [`${host}:${port}`, rack === null ? "" : `rack ${rack}`, ...role].filter((word) => word !== "");
      setText(address, words.join(" \u00b7 "));
      const of = report.partitions.filter((/** @type {any} */ one) => one.replicas.includes(hubId));
      const leads = of.filter((/** @type {any} */ { leader }) => leader === hubId).length;
      const behind = of.filter((/** @type {any} */ { inSync }) => !inSync.includes(hubId)).length;
      setText(counts, `leads ${leads} of ${of.length} replicas${behind > 0 ? `, ${behind} behind` : ""}`);
      card.dataset["behind"] = String(behind > 0);
    },
  });
}

function strip() {
  const name = h("h3");
  const rows = h("div");
  return Object.assign(h("section.ledlist", {}, name, rows), {
    update(/** @type {any} */ { topic, list }) {
      setText(name, topic);
      keyed(rows, list, ({ partition }) => String(partition), partitionRow);
    },
  });
}

function partitionRow() {
  const number = h("b");
  const cells = h("span.ledcells");
  const words = h("small");
  const row = h("p.ledrow", {}, number, cells, words);
  return Object.assign(row, {
    update(/** @type {any} */ one) {
      setText(number, String(one.partition));
      row.dataset["state"] = one.state;
      keyed(
        cells,
        one.replicas,
        (/** @type {number} */ hub) => String(hub),
        () => {
          const cell = h("i.ledcell");
          return Object.assign(cell, {
            update(/** @type {number} */ hub) {
              const role = hub === one.leader ? "leader" : one.inSync.includes(hub) ? "sync" : "behind";
              setText(cell, String(hub));
              cell.dataset["role"] = role;
              cell.title = `hub ${hub}: ${role === "leader" ? "leads" : role === "sync" ? "in sync" : "behind"}`;
            },
          });
        },
      );
      for (const cell of cells.children) {
        const hub = Number(/** @type {any} */ (cell).rowKey);
        const role = hub === one.leader ? "leader" : one.inSync.includes(hub) ? "sync" : "behind";
        /** @type {HTMLElement} */ (cell).dataset["role"] = role;
      }
      const late = Math.max(0, ...one.lag.map((/** @type {any} */ { records }) => records));
      const said = [
        one.state === "ok" ? "" : one.state,
        one.moving ? "moving" : "",
        late > 0 ? `lag ${formatCount(late)}` : "",
      ];
      setText(words, said.filter((word) => word !== "").join(", "));
    },
  });
}

/** @param {any} event */
function eventRow({ time, level, event, fields }) {
  const said = Object.entries(fields).map(([name, value]) => `${name} ${value}`);
  return h(
    "li",
    { "data-level": level },
    h("time", {}, formatClock(time)),
    h("b", {}, event.replaceAll("_", " ")),
    h("span", {}, said.join(", ")),
  );
}
