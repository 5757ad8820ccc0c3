// Dark or light before the first paint: what was chosen here last, else what the system prefers.
// @ts-check
(() => {
  const root = document.documentElement;
  let chosen = null;
  try {
    chosen = localStorage.getItem("theme");
  } catch {
    // a browser that keeps nothing follows the system
  }
  if (chosen === "dark" || chosen === "light") root.setAttribute("data-theme", chosen);
})();
