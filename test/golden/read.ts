// Reads golden files: hex with `#` comments, and a value as JSON in a comment that begins with `# value`.
import { readdirSync, readFileSync } from "node:fs";

/** One golden file. */
export interface Golden {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** What the bytes mean; `{"hex": ...}` in the JSON is a Buffer. */
  readonly value: unknown;
}

function revived(_name: string, value: unknown): unknown {
  const hex = (value as { hex?: unknown } | null)?.hex;
  return typeof hex === "string" ? Buffer.from(hex, "hex") : value;
}

/** All files of a folder below test/golden, by name. */
export function readGolden(folder: string): Golden[] {
  const url = new URL(`${folder}/`, import.meta.url);
  const files = readdirSync(url).filter((file) => file.endsWith(".hex")).sort();
  return files.map((file) => {
    const lines = readFileSync(new URL(file, url), "utf8").split("\n");
    const json = lines.find((line) => line.startsWith("# value "));
    const hex = lines.map((line) => line.replace(/#.*/, "").replaceAll(/\s/g, "")).join("");
    return {
      name: file.slice(0, -".hex".length),
      bytes: Buffer.from(hex, "hex"),
      value: json === undefined ? undefined : JSON.parse(json.slice("# value ".length), revived),
    };
  });
}

/** A request frame that a foreign client sent. */
export interface Recorded {
  /** "librdkafka fetch v11" */
  readonly name: string;
  readonly frame: Uint8Array;
}

/** All frames of test/golden/recorded: blank lines between them, a comment that names API and version before each. */
export function readRecorded(): Recorded[] {
  const url = new URL("recorded/", import.meta.url);
  return readdirSync(url).sort().flatMap((file) => {
    const [, ...blocks] = readFileSync(new URL(file, url), "utf8").split("\n\n");
    return blocks.map((block) => {
      const [comment, ...hex] = block.split("\n");
      const name = `${file.slice(0, -".hex".length)} ${comment!.slice(2)}`;
      return { name, frame: Buffer.from(hex.join(""), "hex") };
    });
  });
}
