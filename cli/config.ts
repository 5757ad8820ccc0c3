// `partidor config`: check the settings, show them with their values, print their JSON Schema.
import { type Command, type Input, runGroup } from "./command.ts";
import { type ExitCode, exit } from "./exit.ts";
import { printJson, tableOf } from "./output.ts";

const fileFlag = { config: { value: "FILE", doc: "Settings file; partidor.toml in this folder when left out." } };

/** Values under these names are not shown. */
const secretName = /password|secret|token/i;

async function load(input: Input): Promise<Record<string, unknown>> {
  const { loadConfig } = await import("../hub/mod.ts");
  const { compileDownlinks, TopicMap } = await import("../bridge/mod.ts");
  const file = input.text("config");
  const config = loadConfig({ ...(file === undefined ? {} : { file }), env: process.env });
  new TopicMap((config.routes ?? undefined) as ConstructorParameters<typeof TopicMap>[0]);
  compileDownlinks(config.downlinks as unknown as Parameters<typeof compileDownlinks>[0]);
  return config as unknown as Record<string, unknown>;
}

async function check(input: Input): Promise<ExitCode> {
  await load(input);
  if (input.terminal.json) printJson(input.terminal, { event: "ok" });
  else input.terminal.write("The configuration is in order.\n");
  return exit.ok;
}

/** A user name and password in a URL are not for a screen. */
export function withoutSecret(path: string, value: unknown): unknown {
  if (secretName.test(path) && value !== null && value !== "") return "(hidden)";
  if (typeof value !== "string" || !value.includes("://")) return value;
  return value.replace(/\/\/[^/@]*@/, "//(hidden)@");
}

/** Nested settings as `section.key` rows. */
export function rowsOf(value: unknown, path = ""): { setting: string; value: unknown }[] {
  if (value instanceof Map)
    return [...value].map(([name, item]) => ({ setting: name, value: withoutSecret(name, item) }));
  if (Array.isArray(value) && value.some((item) => typeof item === "object")) {
    return value.map((item, i) => ({ setting: `${path}[${i}]`, value: JSON.stringify(item) }));
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return [{ setting: path, value: withoutSecret(path, value) }];
  }
  return Object.entries(value).flatMap(([key, item]) => rowsOf(item, path === "" ? key : `${path}.${key}`));
}

async function show(input: Input): Promise<ExitCode> {
  const rows = rowsOf(await load(input));
  const { terminal } = input;
  if (terminal.json) printJson(terminal, Object.fromEntries(rows.map(({ setting, value }) => [setting, value])));
  else terminal.write(tableOf(["setting", "value"], textual(rows), terminal.width, terminal.color));
  return exit.ok;
}

/** Settings are shown as they are written: 9092, not "9 092". */
function textual(rows: readonly { setting: string; value: unknown }[]): { setting: string; value: unknown }[] {
  return rows.map(({ setting, value }) => ({ setting, value: typeof value === "object" ? value : String(value) }));
}

async function schema(input: Input): Promise<ExitCode> {
  const { configSchema } = await import("../hub/mod.ts");
  const text = input.terminal.json ? JSON.stringify(configSchema()) : JSON.stringify(configSchema(), null, 2);
  input.terminal.write(`${text}\n`);
  return exit.ok;
}

export const commands: readonly Command[] = [
  { name: "config check", summary: "Check file and environment.", takes: [], flags: fileFlag, run: check },
  { name: "config show", summary: "Show every setting with its value now.", takes: [], flags: fileFlag, run: show },
  { name: "config schema", summary: "Print the JSON Schema of partidor.toml.", takes: [], flags: {}, run: schema },
];

export function run(argv: string[]): Promise<number> {
  return runGroup("config", commands, argv);
}
