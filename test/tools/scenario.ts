// Runs stories: blocks of commands, a line `----`, and what one sees; REWRITE=1 writes down what is seen now.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Takes one command line, returns what it shows, line by line. */
export type Step = (command: string) => readonly string[];

/**
 * Runs `test/scenarios/<name>.txt`. Blocks are separated by an empty line; lines that begin with `#` are prose. Each
 * block must show exactly what stands below its `----` ("nothing" when it shows no line).
 */
export function runScenario(name: string, step: Step): void {
  const path = fileURLToPath(new URL(`../scenarios/${name}.txt`, import.meta.url));
  const text = readFileSync(path, "utf8");
  const seen =
    text
      .trimEnd()
      .split(/\n\n+/)
      .map((block) => runBlock(block, step))
      .join("\n\n") + "\n";
  if (process.env["REWRITE"] === "1") writeFileSync(path, seen);
  else assert.equal(seen, text, `test/scenarios/${name}.txt shows something else (REWRITE=1 writes it down)`);
}

function runBlock(block: string, step: Step): string {
  const lines = block.split("\n");
  const cut = lines.indexOf("----");
  const told = cut < 0 ? lines : lines.slice(0, cut);
  const commands = told.filter((line) => !line.startsWith("#"));
  if (commands.length === 0) return block;
  const shown = commands.flatMap((command) => step(command));
  return [...told, "----", ...(shown.length === 0 ? ["nothing"] : shown)].join("\n");
}
