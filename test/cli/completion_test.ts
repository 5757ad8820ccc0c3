// Completion scripts from the tables of commands.
import assert from "node:assert/strict";
import test from "node:test";
import type { Command } from "../../cli/command.ts";
import { bashScript, fishScript, treeOf } from "../../cli/completion.ts";

test("completions name every verb, word and flag", () => {
  const run: Command["run"] = async () => 0;
  const command: Command = { name: "topic create", summary: "", takes: [], flags: { partitions: { doc: "" } }, run };
  const tree = treeOf(["topic", "up"], [command], new Map([["up", ["--demo"]]]));
  const bash = bashScript(tree);
  assert.ok(bash.includes('words="topic up"') && bash.includes('"topic create") words="--partitions --json --help"'));
  assert.ok(bash.includes('"up") words="--demo"'));
  assert.ok(fishScript(tree).includes('__fish_seen_subcommand_from create" -l partitions'));
});
