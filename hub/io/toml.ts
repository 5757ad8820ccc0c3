// TOML text to plain data.
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
