// The groups: state, members, and how far behind they are, in records and in seconds.
// @ts-check
import { h, keyed, setText } from "./dom.js";
import { formatCount, formatSpan } from "./format.js";

const lateSeconds = 60;
/** Samples of the lag, one each 2 s: the last five minutes. */
const samplesMax = 150;

export class Groups {
  title = "Groups";
  #search = "";
  /** @type {any} */
  #message = null;
  #cards = h("div.cards");
  #empty = h("div.empty", {}, h("p", {}, "Asking the hub for its groups\u2026"));
  element = h("div.page", {}, this.#empty, this.#cards);
  #stop;

  /** @param {import("./link.js").Link} link */
  constructor(link) {
    this.#stop = link.watch("groups", (message) => {
      this.#message = message;
      this.#show();
    });
  }

  leave() {
    this.#stop();
  }

  /** @param {string} text */
  search(text) {
    this.#search = text.trim().toLowerCase();
    this.#show();
  }

  #show() {
    if (this.#message === null) return;
    /** @type {any[]} */
    const groups = this.#message.groups;
    const found = groups.filter(({ group }) => group.toLowerCase().includes(this.#search));
    keyed(this.#cards, found, ({ group }) => group, card);
    this.#empty.hidden = found.length > 0 && this.#message.more === 0;
    if (groups.length === 0) {
      this.#empty.replaceChildren(
        h("h2", {}, "No group reads here yet"),
        h("p", {}, "A group appears when its first consumer joins:"),
        h("pre", {}, `kcat -b ${location.hostname}:9092 -G my-group sensors`),
      );
    } else if (found.length === 0) {
      this.#empty.replaceChildren(h("h2", {}, "No such group"), h("p", {}, "Escape clears the search."));
    } else this.#empty.replaceChildren(h("p", {}, `${formatCount(this.#message.more)} more are not listed.`));
  }
}

/** The lag since the screen was opened, highest at the top. */
function trend() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const [area, line] = [0, 1].map(() => document.createElementNS("http://www.w3.org/2000/svg", "path"));
  svg.setAttribute("class", "trend");
  svg.setAttribute("viewBox", "0 0 100 40");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.append(/** @type {Node} */ (area), /** @type {Node} */ (line));
  /** @type {number[]} */
  const samples = [];
  return Object.assign(svg, {
    put(/** @type {number} */ lag) {
      samples.push(lag);
      if (samples.length > samplesMax) samples.shift();
      const most = Math.max(1, ...samples);
      const step = 100 / Math.max(1, Math.max(30, samples.length) - 1);
      const left = 100 - (samples.length - 1) * step;
      const points = samples.map(
        (each, i) => `${(left + i * step).toFixed(2)} ${(39 - (37 * each) / most).toFixed(2)}`,
      );
      line?.setAttribute("d", `M${points.join("L")}`);
      area?.setAttribute("d", `M${points.join("L")}L100 40L${left.toFixed(2)} 40Z`);
      svg.setAttribute("aria-label", `Lag over the last ${samples.length * 2} s, at most ${formatCount(most)}`);
    },
  });
}

/** @param {any} first */
function card(first) {
  const state = h("span.state");
  const lag = h("dd");
  const seconds = h("dd");
  const members = h("dd");
  const behind = h("div");
  const note = h("p.note");
  const lags = trend();
  const rows = h("tbody");
  const details = h(
    "details",
    {},
    h("summary", {}, "Partitions"),
    h(
      "div.scroll",
      { tabindex: 0, role: "group", "aria-label": `Partitions of ${first.group}` },
      h(
        "table.list.small",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ...["Partition", "Committed", "Lag", "Behind", "Member"].map((text, i) =>
              h(i > 0 && i < 4 ? "th.number" : "th", { scope: "col" }, text),
            ),
          ),
        ),
        rows,
      ),
    ),
  );
  const figures = h(
    "dl.stats",
    {},
    h("div", {}, h("dt", {}, "Lag"), lag),
    behind,
    h("div", {}, h("dt", {}, "Members"), members),
  );
  behind.append(h("dt", {}, "Behind"), seconds);
  const element = h("article.card", {}, h("header", {}, h("h2", {}, first.group), state), figures, lags, note, details);
  return Object.assign(element, {
    update(/** @type {any} */ group) {
      setText(state, stateText(group.state));
      state.dataset["state"] = group.state;
      setText(lag, formatCount(group.lag));
      if (group.sampled !== true) lags.put(group.lag);
      group.sampled = true; // a search shows the same message again
      setText(seconds, behindText(group.lag, group.seconds));
      behind.className = group.seconds > lateSeconds ? "slow" : "";
      setText(members, formatCount(group.memberCount));
      setText(note, noteOf(group));
      keyed(rows, group.partitions, (/** @type {any} */ each) => `${each.topic} ${each.partition}`, lagRow);
    },
  });
}

/** "PreparingRebalance" as words. @param {string} state */
function stateText(state) {
  return state.replace(/(?<=[a-z])([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`);
}

/** @param {any} group */
function noteOf(group) {
  if (group.topics.length === 0) return "Has committed nothing yet";
  return `reads ${group.topics.join(", ")}`;
}

/** @param {number} lag @param {number | null} seconds */
function behindText(lag, seconds) {
  if (lag === 0) return "up to date";
  return seconds === null ? "\u2013" : formatSpan(seconds);
}

/** @param {any} first */
function lagRow(first) {
  const cells = ["td.number", "td.number", "td.number", "td"].map((tag) => h(tag));
  const [committed, lag, behind, member] = /** @type {[HTMLElement, HTMLElement, HTMLElement, HTMLElement]} */ (cells);
  const element = h("tr", {}, h("th", { scope: "row" }, `${first.topic} ${first.partition}`), ...cells);
  return Object.assign(element, {
    update(/** @type {any} */ each) {
      setText(committed, String(each.committed));
      setText(lag, formatCount(each.lag));
      setText(behind, behindText(each.lag, each.seconds));
      setText(member, each.member ?? "none");
    },
  });
}
