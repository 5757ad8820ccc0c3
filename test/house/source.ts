// Reads the project's sources for the house test: files, imports, and code without its strings and comments.
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

export interface Source {
  /** Path from the project's root, with `/`. */
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
  /** The text with comments and the insides of strings blanked, line breaks kept. */
  readonly code: string;
  /** What it imports or re-exports, as written; dynamic imports of a constant included. */
  readonly imports: readonly { readonly from: string; readonly typeOnly: boolean }[];
}

export const root = path.resolve(import.meta.dirname, "../..");

const skipped = new Set([
  "node_modules",
  ".git",
  ".tools",
  ".runs",
  "data",
  "vendor",
  "recorded",
  "golden",
  "scenarios",
]);

/** Every file below `folder` with one of the endings, from the project's root. */
export function filesBelow(folder: string, endings: readonly string[]): string[] {
  const found: string[] = [];
  const walk = (at: string): void => {
    for (const name of readdirSync(path.join(root, at)).sort()) {
      if (skipped.has(name) && !(name === "data" && at !== "")) continue;
      const full = at === "" ? name : `${at}/${name}`;
      if (statSync(path.join(root, full)).isDirectory()) walk(full);
      else if (endings.some((ending) => name.endsWith(ending))) found.push(full);
    }
  };
  walk(folder);
  return found;
}

export function readSource(file: string): Source {
  const text = readFileSync(path.join(root, file), "utf8");
  const code = blank(text);
  return { path: file, text, lines: text.split("\n"), code, imports: importsOf(text, code) };
}

function importsOf(text: string, code: string): Source["imports"] {
  const found: { from: string; typeOnly: boolean }[] = [];
  const statement = /^(?:import|export)\s+(type\s)?[^;"']*?(?:from\s*)?["']/gm;
  for (const match of code.matchAll(statement)) {
    const open = match.index + match[0].length;
    if (!/\bfrom\s*["']$/.test(match[0]) && !/^import\s*["']$/.test(match[0])) continue;
    found.push({ from: text.slice(open, closing(text, open)), typeOnly: match[1] !== undefined });
  }
  for (const match of code.matchAll(/\bimport\(\s*["']/g)) {
    const open = match.index + match[0].length;
    found.push({ from: text.slice(open, closing(text, open)), typeOnly: false });
  }
  return found;
}

function closing(text: string, from: number): number {
  let at = from;
  while (text[at] !== '"' && text[at] !== "'" && at < text.length) at++;
  return at;
}

/** Blanks comments, the insides of strings, templates (their `${}` included) and regular expressions. */
export function blank(text: string): string {
  const out = text.split("");
  const wipe = (from: number, to: number): void => {
    for (let i = from; i < to; i++) if (out[i] !== "\n") out[i] = " ";
  };
  let at = 0;
  let last = ""; // the last character that was code
  while (at < text.length) {
    const end = spanEnd(text, at, last);
    if (end === at) {
      if (text[at]!.trim() !== "") last = text[at]!;
      at++;
      continue;
    }
    const comment = text.startsWith("//", at) || text.startsWith("/*", at);
    wipe(comment ? at : at + 1, comment ? end : end - 1);
    if (!comment) last = '"';
    at = end;
  }
  return out.join("");
}

/** End of the comment, string, template or regular expression that begins at `at`; `at` when none does. */
function spanEnd(text: string, at: number, last: string): number {
  const char = text[at]!;
  if (text.startsWith("//", at)) return endOr(text.indexOf("\n", at), text.length);
  if (text.startsWith("/*", at)) return endOr(text.indexOf("*/", at + 2), text.length - 2) + 2;
  if (char === '"' || char === "'") return quoted(text, at, char);
  if (char === "`") return template(text, at);
  if (char === "/" && (last === "" || "(,=:[!&|?{};+>".includes(last))) return quoted(text, at, "/");
  return at;
}

function endOr(found: number, otherwise: number): number {
  return found < 0 ? otherwise : found;
}

function quoted(text: string, from: number, quote: string): number {
  let inClass = false;
  for (let at = from + 1; at < text.length; at++) {
    const char = text[at]!;
    if (char === "\\") at++;
    else if (char === "\n")
      return from; // a division sign after all
    else if (quote === "/" && char === "[") inClass = true;
    else if (quote === "/" && char === "]") inClass = false;
    else if (char === quote && !inClass) return at + 1;
  }
  return text.length;
}

function template(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === "`") return at + 1;
    else if (text.startsWith("${", at)) {
      let depth = 1;
      at += 2;
      while (at < text.length && depth > 0) {
        if (text[at] === "`") at = template(text, at);
        else if (text[at] === '"' || text[at] === "'") at = Math.max(at + 1, quoted(text, at, text[at]!));
        else {
          if (text[at] === "{") depth++;
          if (text[at] === "}") depth--;
          at++;
        }
      }
      at--;
    }
  }
  return text.length;
}

/** Functions with their first line (1-based) and their length in lines. */
export function functionsOf(source: Source): { line: number; lines: number }[] {
  const found: { line: number; lines: number }[] = [];
  const open: { line: number; isFunction: boolean }[] = [];
  let line = 1;
  const { code } = source;
  for (let at = 0; at < code.length; at++) {
    const char = code[at]!;
    if (char === "\n") line++;
    else if (char === "{") open.push({ line, isFunction: opensFunction(code, at) });
    else if (char === "}") {
      const start = open.pop();
      if (start?.isFunction) found.push({ line: start.line, lines: line - start.line + 1 });
    }
  }
  return found;
}

const notFunctions = /\b(?:if|for|while|switch|catch|with)\s*(?:await\s*)?\($/;

function opensFunction(code: string, at: number): boolean {
  const before = code.slice(Math.max(0, at - 600), at).trimEnd();
  if (before.endsWith("=>")) return true;
  // `name(...) {` and `name(...): Type {`
  const typed = /\)\s*(?::\s*[^(){}=;]*)?$/.exec(before);
  if (typed === null) return false;
  let depth = 0;
  for (let i = typed.index; i >= 0; i--) {
    if (before[i] === ")") depth++;
    if (before[i] === "(" && --depth === 0) return !notFunctions.test(before.slice(0, i + 1));
  }
  return false;
}
