// Makes elements. Text only ever becomes a text node, so a payload can never become markup.
// @ts-check

/**
 * @param {string} tag with classes, as "p.empty.wide"
 * @param {Record<string, string | number | boolean | null | ((event: any) => void)>} [props] functions listen
 * @param {...(Node | string | number | null)} children
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(/** @type {string} */ (name));
  if (classes.length > 0) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(props)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== null && value !== false) element.setAttribute(key, String(value));
  }
  for (const child of children) if (child !== null) element.append(typeof child === "number" ? String(child) : child);
  return element;
}

/** Changes a text only when it differs: a text node that stays keeps a reader's selection.
 * @param {Element} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @template {HTMLElement} T @param {string} id @param {new () => T} type @returns {T} */
export function byId(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`no ${id} in the page`);
  return element;
}

/**
 * Keeps the children of a parent equal to a list, by key: rows that stay are updated, not made anew.
 * @template T
 * @param {Element} parent @param {readonly T[]} list @param {(item: T) => string} keyOf
 * @param {(item: T) => HTMLElement & { update?: (item: T) => void }} make
 */
export function keyed(parent, list, keyOf, make) {
  /** @type {Map<string, any>} */
  const old = new Map();
  for (const child of parent.children) old.set(/** @type {any} */ (child).rowKey, child);
  /** @type {Element | null} */
  let at = parent.firstElementChild;
  for (const item of list) {
    const key = keyOf(item);
    let row = old.get(key);
    if (row === undefined) {
      row = make(item);
      row.rowKey = key;
    } else old.delete(key);
    row.update?.(item);
    if (row === at) at = at?.nextElementSibling ?? null;
    else parent.insertBefore(row, at);
  }
  for (const row of old.values()) row.remove();
}
