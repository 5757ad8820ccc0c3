// Regular expressions over topic names, in RE2's syntax as far as names need it; matching cannot run away. Pure.
import { HubError } from "../errors.ts";

// DESIGN. An expression becomes a small machine of states, and a name is matched by walking all its states at once:
// time is (length of the name) x (number of states), whatever the expression. Both are bounded. No back-tracking, no
// host regular expressions.

/** States of one expression, repetitions written out: `(a{100}){100}` is refused, not built. */
const statesMax = 1_000;
/** RE2's own bound of a counted repetition. */
const repeatMax = 1_000;
const depthMax = 50;

type Test = (code: number) => boolean;

/** `next` empty: the expression has matched. A null test is passed without reading. */
interface State {
  readonly test: Test | "start" | "end" | null;
  readonly next: number[];
}

type Node =
  | { readonly kind: "test"; readonly test: Test | "start" | "end" }
  | { readonly kind: "row"; readonly parts: readonly Node[] }
  | { readonly kind: "choice"; readonly parts: readonly Node[] }
  | { readonly kind: "repeat"; readonly part: Node; readonly least: number; readonly most: number };

/** A compiled expression: says whether a whole name matches. */
export type NameMatcher = (name: string) => boolean;

/**
 * Compiles an expression. Served: literals, `.`, classes with ranges, `\d \w \s` and their opposites, POSIX classes,
 * groups (capturing or not, named too), `|`, `* + ? {n,m}` (lazy forms mean the same here), `^ $ \A \z`, flag `(?i)`.
 * @throws HubError INVALID_REGULAR_EXPRESSION with what is wrong, also for back-references and look-around, which RE2
 *   refuses too, and for what would need more than a thousand states
 */
export function compileNameRegex(text: string): NameMatcher {
  const parser = new Parser(text);
  const states = build(parser.parse());
  return (name) => run(states, name);
}

function refuse(text: string, why: string): HubError {
  return new HubError("INVALID_REGULAR_EXPRESSION", `SubscribedTopicRegex \`${text}\` is not valid: ${why}.`);
}

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  #anyCase = false;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Node {
    const node = this.#choice();
    if (this.#at < this.#text.length) throw this.#refuse("unexpected )");
    const size = sizeOf(node);
    if (size > statesMax) throw this.#refuse(`it needs ${size} states, more than ${statesMax}`);
    return node;
  }

  #refuse(why: string): HubError {
    return refuse(this.#text, why);
  }

  #peek(): string {
    return this.#text[this.#at] ?? "";
  }

  #take(expected: string): boolean {
    if (!this.#text.startsWith(expected, this.#at)) return false;
    this.#at += expected.length;
    return true;
  }

  #choice(): Node {
    this.#depth += 1;
    if (this.#depth > depthMax) throw this.#refuse("groups are nested too deep");
    const anyCase = this.#anyCase;
    const parts = [this.#row()];
    while (this.#take("|")) parts.push(this.#row());
    this.#anyCase = anyCase;
    this.#depth -= 1;
    return parts.length === 1 ? parts[0]! : { kind: "choice", parts };
  }

  #row(): Node {
    const parts: Node[] = [];
    while (this.#at < this.#text.length && this.#peek() !== "|" && this.#peek() !== ")") {
      const part = this.#atom();
      if (part !== null) parts.push(this.#repeated(part));
    }
    return { kind: "row", parts };
  }

  #repeated(part: Node): Node {
    const range = this.#range();
    if (range === null) return part;
    this.#take("?");
    if (this.#range() !== null) throw this.#refuse("two repetitions follow each other");
    return { kind: "repeat", part, least: range[0], most: range[1] };
  }

  #range(): readonly [number, number] | null {
    if (this.#take("*")) return [0, Infinity];
    if (this.#take("+")) return [1, Infinity];
    if (this.#take("?")) return [0, 1];
    const counted = /^\{(\d{1,4})(,(\d{0,4}))?\}/.exec(this.#text.slice(this.#at, this.#at + 12));
    if (counted === null) return null;
    this.#at += counted[0].length;
    const least = Number(counted[1]);
    const most = counted[2] === undefined ? least : counted[3] === "" ? Infinity : Number(counted[3]);
    const bounded = most === Infinity ? least : most;
    if (bounded > repeatMax || most < least) throw this.#refuse(`bad repetition ${counted[0]}`);
    return [least, most];
  }

  /** null: something that matches nothing by itself, a flag. */
  #atom(): Node | null {
    const char = this.#peek();
    if (char === "(") return this.#group();
    if (char === "[") return { kind: "test", test: this.#class() };
    if (char === "\\") return { kind: "test", test: this.#escape(false) };
    if ("*+?".includes(char)) throw this.#refuse(`nothing to repeat before ${char}`);
    this.#at += 1;
    if (char === ".") return { kind: "test", test: (code) => code !== 10 };
    if (char === "^") return { kind: "test", test: "start" };
    if (char === "$") return { kind: "test", test: "end" };
    return { kind: "test", test: this.#literal(char) };
  }

  #literal(char: string): Test {
    const code = char.charCodeAt(0);
    const other = otherCase(code);
    return this.#anyCase && other !== code ? (c) => c === code || c === other : (c) => c === code;
  }

  #group(): Node | null {
    this.#at += 1;
    if (this.#take("?")) {
      const opened = /^(?:(i)|(?:P?<[A-Za-z_]\w*>)|(i?):)/.exec(this.#text.slice(this.#at, this.#at + 80));
      if (opened === null) throw this.#refuse("a group of this kind is not served");
      this.#at += opened[0].length;
      if (opened[1] !== undefined && !this.#take(":")) {
        if (!this.#take(")")) throw this.#refuse("a flag of this kind is not served");
        this.#anyCase = true;
        return null;
      }
      if (opened[1] !== undefined) return this.#closed(true);
    }
    return this.#closed(this.#anyCase);
  }

  #closed(anyCase: boolean): Node {
    const before = this.#anyCase;
    this.#anyCase = anyCase;
    const node = this.#choice();
    this.#anyCase = before;
    if (!this.#take(")")) throw this.#refuse("missing )");
    return node;
  }

  #escape(inClass: false): Test | "start" | "end";
  #escape(inClass: true): Test;
  #escape(inClass: boolean): Test | "start" | "end" {
    const char = this.#text[this.#at + 1];
    if (char === undefined) throw this.#refuse("a \\ ends it");
    this.#at += 2;
    const known = shorthands[char];
    if (known !== undefined) return known;
    if (!inClass && char === "A") return "start";
    if (!inClass && char === "z") return "end";
    if (/[A-Za-z0-9]/.test(char)) throw this.#refuse(`\\${char} is not served`);
    return this.#literal(char);
  }

  #class(): Test {
    this.#at += 1;
    const negated = this.#take("^");
    const tests: Test[] = [];
    for (let first = true; first || this.#peek() !== "]"; first = false) {
      if (this.#at >= this.#text.length) throw this.#refuse("missing ]");
      tests.push(this.#classItem());
    }
    this.#at += 1;
    return (code) => tests.some((test) => test(code)) !== negated;
  }

  #classItem(): Test {
    const named = /^\[:([a-z]+):\]/.exec(this.#text.slice(this.#at, this.#at + 12));
    if (named !== null) {
      const test = posix[named[1]!];
      if (test === undefined) throw this.#refuse(`there is no class ${named[0]}`);
      this.#at += named[0].length;
      return test;
    }
    const escaped = this.#peek() === "\\";
    const low = escaped ? this.#text[this.#at + 1] : this.#peek();
    const test = escaped ? this.#escape(true) : this.#literal(this.#peek());
    if (!escaped) this.#at += 1;
    if (this.#peek() !== "-" || [undefined, "]"].includes(this.#text[this.#at + 1])) return test;
    this.#at += 1;
    const end = this.#peek() === "\\" ? this.#text[this.#at + 1] : this.#peek();
    this.#at += this.#peek() === "\\" ? 2 : 1;
    const from = low?.charCodeAt(0) ?? 0;
    const to = end?.charCodeAt(0) ?? -1;
    const wordy = (escaped && shorthands[low ?? ""] !== undefined) || to < from;
    if (wordy) throw this.#refuse(`bad range ${low}-${end}`);
    const within: Test = (code) => code >= from && code <= to;
    return this.#anyCase ? (code) => within(code) || within(otherCase(code)) : within;
  }
}

function otherCase(code: number): number {
  if (code >= 65 && code <= 90) return code + 32;
  return code >= 97 && code <= 122 ? code - 32 : code;
}

const isDigit: Test = (code) => code >= 48 && code <= 57;
const isUpper: Test = (code) => code >= 65 && code <= 90;
const isLower: Test = (code) => code >= 97 && code <= 122;
const isAlpha: Test = (code) => isUpper(code) || isLower(code);
const isWord: Test = (code) => isAlpha(code) || isDigit(code) || code === 95;
const isSpace: Test = (code) => code === 32 || (code >= 9 && code <= 13 && code !== 11);
const isPunct: Test = (code) => code > 32 && code < 127 && !isAlpha(code) && !isDigit(code);
const not =
  (test: Test): Test =>
  (code) =>
    !test(code);

const shorthands: Readonly<Record<string, Test | undefined>> = {
  d: isDigit,
  D: not(isDigit),
  w: isWord,
  W: not(isWord),
  s: isSpace,
  S: not(isSpace),
};

const posix: Readonly<Record<string, Test | undefined>> = {
  alnum: (code) => isAlpha(code) || isDigit(code),
  alpha: isAlpha,
  digit: isDigit,
  lower: isLower,
  upper: isUpper,
  word: isWord,
  punct: isPunct,
  space: isSpace,
};

/** States the node becomes. */
function sizeOf(node: Node): number {
  if (node.kind === "test") return 1;
  if (node.kind === "repeat") {
    const copies = node.most === Infinity ? Math.max(node.least, 1) : Math.max(node.most, 1);
    return copies * (sizeOf(node.part) + 1);
  }
  let size = 1;
  for (const part of node.parts) size += sizeOf(part);
  return size;
}

/** State 0 is the match; the last one is the start. */
function build(node: Node): readonly State[] {
  const states: State[] = [{ test: null, next: [] }];
  const add = (test: State["test"], next: number[]): number => states.push({ test, next }) - 1;
  const link = (part: Node, next: number): number => {
    if (part.kind === "test") return add(part.test, [next]);
    if (part.kind === "row") return part.parts.reduceRight((after, each) => link(each, after), next);
    if (part.kind === "choice") {
      return add(
        null,
        part.parts.map((each) => link(each, next)),
      );
    }
    let after = next;
    if (part.most === Infinity) {
      const loop: number[] = [next];
      const again = add(null, loop);
      const entered = link(part.part, again);
      loop.push(entered);
      after = part.least === 0 ? again : entered;
    } else {
      for (let i = part.least; i < part.most; i += 1) after = add(null, [next, link(part.part, after)]);
    }
    const more = part.most === Infinity ? part.least - 1 : part.least;
    for (let i = 0; i < more; i += 1) after = link(part.part, after);
    return after;
  };
  add(null, [link(node, 0)]);
  return states;
}

/** States a walk is in; `seen` has for each state the last step that entered it, so that no step clears anything. */
interface Walk {
  readonly seen: Int32Array;
  /** Those that read. */
  present: number[];
}

function run(states: readonly State[], name: string): boolean {
  const walk: Walk = { seen: new Int32Array(states.length).fill(-1), present: [] };
  enter(states, walk, states.length - 1, 0, name.length);
  for (let at = 0; at < name.length && walk.present.length > 0; at += 1) {
    const code = name.charCodeAt(at);
    const { present } = walk;
    walk.present = [];
    for (const index of present) {
      const { test, next } = states[index]!;
      if ((test as Test)(code)) enter(states, walk, next[0]!, at + 1, name.length);
    }
  }
  return walk.seen[0] === name.length;
}

/** Adds a state and all that can be reached from it without reading. */
function enter(states: readonly State[], { seen, present }: Walk, from: number, at: number, end: number): void {
  if (seen[from] === at) return;
  seen[from] = at;
  const ahead = [from];
  for (let index = ahead.pop(); index !== undefined; index = ahead.pop()) {
    const { test, next } = states[index]!;
    if (typeof test === "function") present.push(index);
    else if (test === null || (test === "start" && at === 0) || (test === "end" && at === end)) {
      for (const then of next) {
        if (seen[then] === at) continue;
        seen[then] = at;
        ahead.push(then);
      }
    }
  }
}
