// Expressions over topic names: what matches, what is refused, and that nothing runs away.
import assert from "node:assert/strict";
import test from "node:test";
import { compileNameRegex } from "../../../hub/groups/topic_regex.ts";

test("topic regex: matches as RE2 does, the whole name", () => {
  const rows: [string, string[], string[]][] = [
    ["foo.*", ["foo", "foo-1"], ["a-foo", "fo"]],
    ["^foo$", ["foo"], ["foo1"]],
    ["(?:a|b)c?", ["a", "bc"], ["c", "abc"]],
    ["(?P<x>a)(?<y>b)", ["ab"], ["a"]],
    ["a|", ["a", ""], ["b"]],
    ["[a-c_.\\-]+", ["abc", "a_b.c-"], ["d", ""]],
    ["[^a-c]x", ["dx"], ["ax", "x"]],
    ["[]a]+", ["a]"], ["b"]],
    ["[[:digit:][:upper:]]+", ["7A"], ["a"]],
    ["\\d{2,3}\\w\\S", ["12a.", "123_b"], ["1aa"]],
    ["a{2}b{0,1}c{1,}", ["aac", "aabccc"], ["ac", "aabb"]],
    ["a{,2}", ["a{,2}"], ["aa"]],
    ["(a*)*b", ["b", "aaab"], ["a"]],
    ["(a|aa)+?", ["aaa"], [""]],
    ["(a+)+", ["aaa"], ["b", ""]],
    ["(?i)Ab[C-D]", ["aBc", "ABD"], ["abe"]],
    ["(?i:a)B", ["AB", "aB"], ["ab"]],
    ["\\Aa\\.b\\z", ["a.b"], ["aXb"]],
    ["a.c", ["abc", "a.c"], ["ac"]],
    ["", [""], ["a"]],
  ];
  for (const [regex, yes, no] of rows) {
    const matches = compileNameRegex(regex);
    for (const name of yes) assert.equal(matches(name), true, `${regex} takes ${name}`);
    for (const name of no) assert.equal(matches(name), false, `${regex} leaves ${name}`);
  }
});

test("topic regex: what RE2 refuses, and what would need too many states, is INVALID_REGULAR_EXPRESSION", () => {
  const bad = ["(", ")", "a)", "[a", "[b-a]", "*a", "a**", "a{3,2}", "a{1001}", "\\", "\\1", "\\q", "(?=a)", "(?<!a)"];
  bad.push("(a{100}){100}", "((a{50}){50}){50}", "(".repeat(60) + ")".repeat(60), "[[:none:]]", "(?x)a");
  for (const regex of bad) {
    assert.throws(() => compileNameRegex(regex), { kind: "INVALID_REGULAR_EXPRESSION" }, regex);
  }
});

test("topic regex: agrees with the host's engine on random expressions", () => {
  const seed = Number(process.env.SEED ?? 7);
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % below;
  };
  const expression = (depth: number): string => {
    const kind = random(depth > 3 ? 2 : 6);
    if (kind < 2) return ["a", "b", ".", "[ab]", "[^a]"][random(5)]!;
    if (kind === 2) return `${expression(depth + 1)}${expression(depth + 1)}`;
    if (kind === 3) return `(${expression(depth + 1)}|${expression(depth + 1)})`;
    return `(${expression(depth + 1)})${["*", "+", "?", "{1,2}", "{2}", "{1,}"][random(6)]}`;
  };
  for (let i = 0; i < 500; i += 1) {
    const regex = expression(0);
    const ours = compileNameRegex(regex);
    const theirs = new RegExp(`^(?:${regex})$`, "u");
    for (let j = 0; j < 10; j += 1) {
      const name = Array.from({ length: random(6) }, () => "abc"[random(3)]).join("");
      assert.equal(ours(name), theirs.test(name), `SEED=${seed}: ${regex} on ${JSON.stringify(name)}`);
    }
  }
});

test("topic regex: an expression that would hang a back-tracking engine takes the time of any other", () => {
  const matches = compileNameRegex("(a+)+(a+)+(a|a|aa)*{0}b".replace("{0}", ""));
  const started = performance.now();
  for (let i = 0; i < 20; i += 1) assert.equal(matches("a".repeat(249)), false);
  assert.ok(performance.now() - started < 2_000, "20 names of full length");
});
