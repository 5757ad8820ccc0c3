// The page: routes between screens, the search key, the theme, and how the connection fares.
// @ts-check
import { Cluster } from "./cluster.js";
import { byId, setText } from "./dom.js";
import { Groups } from "./groups.js";
import { Link } from "./link.js";
import { Panel } from "./panel.js";
import { Topics } from "./topics.js";
import { Wall } from "./wall.js";
import { WallData } from "./wall_data.js";

/**
 * @typedef {{ title: string, element: HTMLElement, leave: () => void, search: (text: string) => void,
 *   retheme?: () => void, opened?: (name: string | null) => void, focusContent?: () => void }} Screen
 */

const link = new Link();
const data = new WallData();
data.start(link);
const place = byId("screen", HTMLElement);
const search = byId("search", HTMLInputElement);
const panel = new Panel(link, data.devices, byId("panel", HTMLElement), () => go("/"));

/** @type {Record<string, { name: string, make: () => Screen }>} */
const routes = {
  "/": { name: "wall", make: () => new Wall(link, data, (device) => go(`/?device=${encodeURIComponent(device)}`)) },
  "/topics": { name: "topics", make: () => new Topics(link) },
  "/groups": { name: "groups", make: () => new Groups(link) },
  "/cluster": { name: "cluster", make: () => new Cluster() },
};

/** @type {Screen | null} */
let screen = null;
let shownPath = "";

/** @param {string} url */
function go(url) {
  if (url !== location.pathname + location.search) history.pushState(null, "", url);
  show();
}

function show() {
  const route = routes[location.pathname] ?? routes["/"];
  if (route === undefined) return;
  if (shownPath !== location.pathname || screen === null) {
    screen?.leave();
    shownPath = location.pathname;
    screen = route.make();
    place.replaceChildren(screen.element);
    place.className = route.name;
    search.value = "";
    setText(byId("title", HTMLElement), screen.title);
    for (const anchor of document.querySelectorAll("nav a")) {
      if (anchor.getAttribute("data-screen") === route.name) anchor.setAttribute("aria-current", "page");
      else anchor.removeAttribute("aria-current");
    }
  }
  const device = location.pathname === "/" ? new URLSearchParams(location.search).get("device") : null;
  document.title = `${device ?? screen.title} \u00b7 Partidor`;
  if (device === null) panel.close();
  else panel.open(device);
  screen.opened?.(device);
}

addEventListener("popstate", show);

document.addEventListener("click", (event) => {
  const anchor = event.target instanceof Element ? event.target.closest("a[href^='/']") : null;
  if (anchor === null || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(anchor.getAttribute("href") ?? "/");
});

search.addEventListener("input", () => screen?.search(search.value));
search.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    search.value = "";
    screen?.search("");
    search.blur();
  } else if (event.key === "Enter" || event.key === "ArrowDown") screen?.focusContent?.();
});

addEventListener("keydown", (event) => {
  const typing = event.target instanceof HTMLInputElement;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && !typing) {
    event.preventDefault();
    search.focus();
    search.select();
  } else if (event.key === "Escape" && panel.name !== null && !typing) go("/");
});

// ---- theme -----------------------------------------------------------------------------------------------------

const dark = matchMedia("(prefers-color-scheme: dark)");
byId("theme", HTMLButtonElement).addEventListener("click", () => {
  const now = document.documentElement.dataset["theme"] ?? (dark.matches ? "dark" : "light");
  const next = now === "dark" ? "light" : "dark";
  document.documentElement.dataset["theme"] = next;
  try {
    localStorage.setItem("theme", next);
  } catch {
    // it lasts until the page is closed
  }
  screen?.retheme?.();
});
dark.addEventListener("change", () => screen?.retheme?.());

// ---- connection ------------------------------------------------------------------------------------------------

const texts = {
  connecting: "Connecting",
  live: "Live",
  catching: "Catching up",
  lost: "Reconnecting",
  starting: "Hub starts",
};
const status = byId("link", HTMLElement);
link.addEventListener("state", () => {
  status.dataset["state"] = link.state;
  setText(/** @type {Element} */ (status.querySelector("span")), texts[link.state]);
});
link.start();
show();
performance.mark("interactive");
