// The law of the house (.github/ARCHITECTURE.md), kept by a test: one pass over the sources.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { errorCatalogue } from "../hub/errors.ts";
import { blank, filesBelow, functionsOf, readSource, root, type Source } from "./house/source.ts";

const houses = ["cli", "hub", "bridge", "devices", "subscribers", "dashboards"];
const sources = houses.flatMap((house) => filesBelow(house, [".ts", ".js"])).map(readSource);
const typescript = sources.filter((source) => source.path.endsWith(".ts"));
const manifest = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
  dependencies: Record<string, string>;
};

/** Collects sentences of the form "X is banned here, use Y" and fails with all of them. */
function keep(rule: (say: (sentence: string) => void) => void): () => void {
  return () => {
    const broken: string[] = [];
    rule((sentence) => broken.push(sentence));
    assert.deepEqual(broken, []);
  };
}

const lineOf = (source: Source, index: number): number => source.code.slice(0, index).split("\n").length;

test(
  "files, functions and lines keep their ceilings",
  keep((say) => {
    const written = ["cli", "hub", "bridge", "devices", "subscribers", "dashboards", ".ci"];
    const endings = [".ts", ".js", ".css", ".html", ".lua", ".sh", "run"];
    for (const file of written.flatMap((folder) => filesBelow(folder, endings))) {
      const lines = readFileSync(path.join(root, file), "utf8").split("\n");
      if (lines.length - 1 > 400) say(`${file}: ${lines.length - 1} lines are banned here, split by role (400)`);
      lines.forEach((line, i) => {
        if (line.length > 120) say(`${file}:${i + 1}: a line of ${line.length} is banned here, break it (120)`);
      });
    }
    for (const source of sources) {
      for (const { line, lines } of functionsOf(source)) {
        if (lines > 70) say(`${source.path}:${line}: a function of ${lines} lines is banned here, split it (70)`);
      }
    }
  }),
);

test(
  "the first line of a file says what it is",
  keep((say) => {
    for (const source of [...sources, ...filesBelow("test", [".ts"]).map(readSource)]) {
      const first = source.lines[0]!.startsWith("#!") ? source.lines[1]! : source.lines[0]!;
      if (!/^\/\/ \S/.test(first)) say(`${source.path}: a file without a first line is banned here, say what it is`);
    }
  }),
);

const bannedForms: readonly [RegExp, string][] = [
  [/^export default\b/m, "a default export is banned here, name it"],
  [/^\s*(?:export\s+)?(?:const\s+)?enum\s/m, "enum is banned here, use `as const`"],
  [/^\s*(?:export\s+)?namespace\s/m, "namespace is banned here, use a file"],
  [
    /constructor\((?:[^)]*,)?\s*(?:private|public|protected|readonly)\s/,
    "a parameter property is banned here, write it out",
  ],
  [/^\s*@\w+/m, "a decorator is banned here, call a function"],
  [/^\s*(?:await\s+)?using\s/m, "`using` is banned here, use try/finally"],
  [/\bwithResolvers\b/, "Promise.withResolvers is banned here (Node 20), use new Promise"],
  [/\bArray\.fromAsync\b/, "Array.fromAsync is banned here (Node 20), use for await"],
];

test(
  "only erasable, portable syntax",
  keep((say) => {
    for (const source of typescript) {
      for (const [form, sentence] of bannedForms) {
        const match = form.exec(source.code);
        if (match) say(`${source.path}:${lineOf(source, match.index)}: ${sentence}`);
      }
      if (path.basename(source.path) === "index.ts") say(`${source.path}: index.ts is banned here, a door is mod.ts`);
      for (const { from } of source.imports) {
        if (from.startsWith(".") && !/\.(ts|js|json)$/.test(from)) {
          say(`${source.path}: import "${from}" is banned here, imports end in .ts`);
        }
      }
    }
  }),
);

const timeAndChance =
  /\b(?:Date\.now|new Date\b|Math\.random|randomUUID|setTimeout|setInterval|setImmediate|performance\.|process\.hrtime|AbortSignal\.timeout)/;

test(
  "in hub/, time and chance come through ports",
  keep((say) => {
    for (const source of typescript) {
      if (!source.path.startsWith("hub/") || /^hub\/io\/(?:clock|crypto)\.ts$/.test(source.path)) continue;
      const match = timeAndChance.exec(source.code);
      if (match) say(`${source.path}:${lineOf(source, match.index)}: ${match[0]} is banned here, use Clock or Random`);
    }
  }),
);

const openToRooms = new Set(["ports.ts", "registry.ts", "coordination.ts", "crc32c.ts", "compression.ts"]);

test(
  "in hub/, only io/ touches node: and npm",
  keep((say) => {
    for (const source of typescript) {
      if (!source.path.startsWith("hub/") || source.path.startsWith("hub/io/")) continue;
      const wiring = source.path === "hub/mod.ts";
      for (const { from } of source.imports) {
        if (from.startsWith(".")) {
          const target = path.posix.join(path.posix.dirname(source.path), from);
          const private_ = target.startsWith("hub/io/") && !openToRooms.has(path.posix.basename(target));
          if (private_ && !wiring) say(`${source.path}: import of ${target} is banned here, take it as an argument`);
        } else if (!(from === "node:buffer" && source.path.startsWith("hub/bytes/"))) {
          say(`${source.path}: import of ${from} is banned here, use a port of io/`);
        }
      }
    }
  }),
);

test(
  "each npm dependency has one importing file",
  keep((say) => {
    const holders = new Map<string, string[]>();
    for (const source of typescript) {
      for (const name of Object.keys(manifest.dependencies)) {
        const imported = source.imports.some(({ from }) => from === name || from.startsWith(`${name}/`));
        // a native module that may be missing is required when it is needed
        const required = source.text.includes("createRequire") && source.text.includes(`"${name}"`);
        if (imported || required) holders.set(name, [...(holders.get(name) ?? []), source.path]);
      }
    }
    for (const [name, files] of holders) {
      if (files.length > 1)
        say(`${name} in ${files.join(", ")}: a second importing file is banned here, use the first`);
    }
    for (const name of Object.keys(manifest.dependencies)) {
      if (name !== "tsx" && !holders.has(name)) say(`${name}: a dependency nobody imports is banned here, remove it`);
    }
  }),
);

/** Lower number = higher floor; a file imports only from floors below its own. */
const floors: Record<string, number> = {
  "hub.ts": 0,
  "once.ts": 0.3,
  "hub_coordinators.ts": 0.3,
  "hub_parts.ts": 0.5,
  server: 1,
  engine: 2,
  client: 3,
  log: 3,
  wire: 4,
  record: 4,
  cluster: 5,
  groups: 5,
  transactions: 5,
  access: 5,
  "config.ts": 5,
  "config_table.ts": 5.2,
  "permissions.ts": 5,
  "broker_settings.ts": 5.5,
  "topic_settings.ts": 6,
  bytes: 6,
  io: 6,
  "errors.ts": 7,
  "limits.ts": 7,
  "limits_cluster.ts": 8,
  "limits_mqtt.ts": 8,
  "trace.ts": 7,
};
const doors: Record<string, readonly string[]> = {
  cli: ["hub", "bridge", "devices", "subscribers", "dashboards"],
  dashboards: ["subscribers", "hub", "devices"],
  subscribers: ["hub", "devices"],
  bridge: ["hub", "devices"],
  devices: [],
  hub: [],
};

test(
  "imports run downwards, and between houses through doors",
  keep((say) => {
    for (const source of typescript) {
      const [house] = source.path.split("/") as [string];
      for (const { from } of source.imports) {
        if (!from.startsWith(".")) continue;
        const target = path.posix.join(path.posix.dirname(source.path), from);
        const targetHouse = target.split("/")[0]!;
        if (targetHouse !== house) {
          const allowed = doors[house]!.includes(targetHouse) && target === `${targetHouse}/mod.ts`;
          if (!allowed) say(`${source.path}: import of ${target} is banned here, use the doors of: ${doors[house]}`);
        } else if (target.endsWith("/mod.ts")) {
          say(`${source.path}: import of its own ${target} is banned here, import the file`);
        } else if (house === "hub" && source.path !== "hub/mod.ts") {
          const [here, there] = [source.path.split("/")[1]!, target.split("/")[1]!];
          const [mine, other] = [floors[here], floors[there]];
          if (mine === undefined) say(`${source.path}: a room without a floor is banned here, add it to the law`);
          else if (here !== there && !(other! > mine))
            say(`${source.path}: import of ${target} is banned here, go down`);
        }
      }
    }
  }),
);

test(
  "no circle of imports",
  keep((say) => {
    const edges = new Map<string, string[]>();
    for (const source of typescript) {
      const targets = source.imports
        .filter((entry) => entry.from.startsWith(".") && !entry.typeOnly)
        .map(({ from }) => path.posix.join(path.posix.dirname(source.path), from));
      edges.set(source.path, targets);
    }
    const done = new Set<string>();
    const visit = (file: string, trail: readonly string[]): void => {
      if (trail.includes(file)) return say(`${[...trail.slice(trail.indexOf(file)), file].join(" -> ")}: a circle`);
      if (done.has(file)) return;
      for (const target of edges.get(file) ?? []) visit(target, [...trail, file]);
      done.add(file);
    };
    for (const file of edges.keys()) visit(file, []);
  }),
);

test(
  "the bottom of the house imports nothing of ours",
  keep((say) => {
    for (const file of [
      "hub/errors.ts",
      "hub/limits.ts",
      "hub/limits_cluster.ts",
      "hub/limits_mqtt.ts",
      "hub/io/ports.ts",
      "hub/trace.ts",
    ]) {
      for (const { from } of readSource(file).imports) {
        const isPart = file === "hub/limits.ts" && /^\.\/limits_\w+\.ts$/.test(from);
        if (!isPart) say(`${file}: import of ${from} is banned here`);
      }
    }
  }),
);

test(
  "files marked pure hold no async",
  keep((say) => {
    const pureRooms = /^hub\/(?:groups|cluster|record|bytes|access)\//;
    for (const source of typescript) {
      const marked = /\bpure\b/i.test(source.lines[0]!) || pureRooms.test(source.path);
      const match = marked && /\basync\b|\bawait\b/.exec(source.code);
      if (match) say(`${source.path}:${lineOf(source, match.index)}: async is banned here, return effects`);
    }
  }),
);

test(
  "leftovers",
  keep((say) => {
    for (const source of [...sources, ...filesBelow("test", [".ts"]).map(readSource)]) {
      if (source.path === "test/house_test.ts") continue;
      const match = /\b(?:TODO|FIXME|XXX|HACK)\b|\.only\(|not implemented/.exec(source.text);
      if (match) say(`${source.path}: "${match[0]}" is banned here, do it or say it in an issue`);
    }
  }),
);

test(
  "hub/README.md holds the error catalogue",
  keep((say) => {
    const text = readFileSync(path.join(root, "hub/README.md"), "utf8");
    const rows = new Map([...text.matchAll(/^\| ([A-Z_]+) \| (-?\d+) \|/gm)].map((row) => [row[1]!, Number(row[2])]));
    for (const [name, { code }] of Object.entries(errorCatalogue)) {
      if (rows.get(name) !== code) say(`hub/README.md: ${name} (${code}) is missing from its error table, add the row`);
      rows.delete(name);
    }
    for (const name of rows.keys()) say(`hub/README.md: ${name} is not in errors.ts, remove the row`);
  }),
);

test(
  "every message of the wire is served",
  keep((say) => {
    const served = readFileSync(path.join(root, "hub/wire/apis.ts"), "utf8");
    for (const file of filesBelow("hub/wire/messages", [".ts"])) {
      const name = path.basename(file);
      if (/^\d+_/.test(name) && !served.includes(`./messages/${name}`)) say(`${file} is not in apis.ts, add it`);
    }
  }),
);

/** Files without a test of their own name, and why. */
const untested: Record<string, string> = JSON.parse(
  readFileSync(path.join(root, "test/house/untested.json"), "utf8"),
) as Record<string, string>;

test(
  "every file has its test, or a reason",
  keep((say) => {
    for (const source of typescript) {
      const wanted = `test/${source.path.replace(/\.ts$/, "_test.ts")}`;
      const has = existsSync(path.join(root, wanted));
      const listed = Object.keys(untested).some(
        (key) => source.path === key || (key.endsWith("/") && source.path.startsWith(key)),
      );
      if (!has && !listed)
        say(`${source.path} has no ${wanted}: write it, or give a reason in test/house/untested.json`);
      if (has && untested[source.path]) say(`${source.path} has a test: remove it from test/house/untested.json`);
    }
    for (const key of Object.keys(untested)) {
      if (!existsSync(path.join(root, key))) say(`test/house/untested.json names ${key}, which is not there`);
    }
  }),
);

test("the reader of sources blanks strings, comments and templates", () => {
  const text = 'const a = "new Date"; // setTimeout\nconst b = `x ${f("}")} y`; const c = 4 / 2; /* z */ g(/[/"]/);';
  const code = blank(text);
  assert.equal(code.length, text.length);
  for (const gone of ["Date", "setTimeout", "z", "x $"]) assert.ok(!code.includes(gone), gone);
  assert.ok(code.includes("const c = 4 / 2;"));
  assert.ok(code.includes("g("));
  assert.equal(blank("`${/['\"]/.exec(x)}\n${y}`").length, 24, "an odd quote in a template ends");
});
