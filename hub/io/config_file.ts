// Configuration files: their text, and TOML as plain data.
import { readFileSync } from "node:fs";
import { parse, TomlError } from "smol-toml";

/** Throws an Error whose message names line and column. */
export function parseToml(text: string): Record<string, unknown> {
  try {
    return parse(text) as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [what = "not TOML"] = error.message.split("\n");
    throw new Error(`line ${error.line}, column ${error.column}: ${what}`);
  }
}

/** The text of a file, or null when there is none. Throws with the errno as `code` when it cannot be read. */
export function readTextFile(name: string): string | null {
  try {
    return readFileSync(name, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
