// `partidor completion`: scripts for bash, zsh and fish, made from the same tables as the help.
import { type Command, runCommand } from "./command.ts";
import { type ExitCode, exit, UsageError } from "./exit.ts";

/** Words after `partidor`, and flags after each of them. */
export interface Tree {
  readonly verbs: readonly string[];
  /** Second words by verb. */
  readonly words: ReadonlyMap<string, readonly string[]>;
  /** Flags by "verb" or "verb word". */
  readonly flags: ReadonlyMap<string, readonly string[]>;
}

/** The tree of these commands. `more` adds flags of verbs that are no `Command`. */
export function treeOf(verbs: readonly string[], commands: readonly Command[], more: Tree["flags"]): Tree {
  const words = new Map<string, string[]>();
  const flags = new Map(more);
  for (const command of commands) {
    const [verb, word] = command.name.split(" ") as [string, string?];
    if (word !== undefined) words.set(verb, [...(words.get(verb) ?? []), word]);
    flags.set(
      command.name,
      [...Object.keys(command.flags), "json", "help"].map((flag) => `--${flag}`),
    );
  }
  return { verbs, words, flags };
}

const quoted = (words: readonly string[]): string => words.join(" ");

export function bashScript(tree: Tree): string {
  const second = [...tree.words].map(([verb, words]) => `    ${verb}) words="${quoted(words)}" ;;`);
  const flags = [...tree.flags].map(([name, list]) => `    "${name}") words="${quoted(list)}" ;;`);
  return `# bash completion for partidor: eval "$(partidor completion bash)"
_partidor() {
  local words="" current="\${COMP_WORDS[COMP_CWORD]}" verb="\${COMP_WORDS[1]}" path="\${COMP_WORDS[1]}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${quoted(tree.verbs)}"
  elif [ "$COMP_CWORD" -eq 2 ] && [[ "$current" != -* ]]; then
    case "$verb" in
${second.join("\n")}
    esac
  fi
  if [[ "$current" == -* ]]; then
    case "$verb" in ${[...tree.words.keys()].join("|")}) path="$verb \${COMP_WORDS[2]}" ;; esac
    case "$path" in
${flags.join("\n")}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _partidor partidor
`;
}

export function zshScript(tree: Tree): string {
  return `# zsh completion for partidor: eval "$(partidor completion zsh)"
autoload -U +X bashcompinit && bashcompinit
${bashScript(tree).split("\n").slice(1).join("\n")}`;
}

export function fishScript(tree: Tree): string {
  const lines = ["# fish completion for partidor: partidor completion fish | source", "complete -c partidor -f"];
  lines.push(`complete -c partidor -n __fish_use_subcommand -a "${quoted(tree.verbs)}"`);
  for (const [verb, words] of tree.words) {
    const none = `not __fish_seen_subcommand_from ${quoted(words)}`;
    lines.push(`complete -c partidor -n "__fish_seen_subcommand_from ${verb}; and ${none}" -a "${quoted(words)}"`);
  }
  for (const [name, flags] of tree.flags) {
    const seen = name.split(" ").map((word) => `__fish_seen_subcommand_from ${word}`);
    for (const flag of flags) lines.push(`complete -c partidor -n "${seen.join("; and ")}" -l ${flag.slice(2)}`);
  }
  return `${lines.join("\n")}\n`;
}

const scripts: Readonly<Record<string, (tree: Tree) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** What a verb's file tells of itself. */
interface Loadable {
  readonly load: () => Promise<{ readonly commands?: readonly Command[]; readonly usage?: string }>;
}

/** Every verb's commands; loaded together only here. */
async function wholeTree(verbs: Readonly<Record<string, Loadable>>): Promise<Tree> {
  const commands: Command[] = [];
  const more = new Map<string, readonly string[]>();
  for (const [name, verb] of Object.entries(verbs)) {
    const loaded = await verb.load();
    commands.push(...(loaded.commands ?? []));
    if (loaded.usage !== undefined) more.set(name, [...new Set(loaded.usage.match(/--[a-z][a-z-]*/g) ?? [])]);
  }
  return treeOf(Object.keys(verbs), commands, more);
}

/** The verb for this table of verbs, which holds it: the table is handed in so that the files form no circle. */
export function completionOf(verbs: Readonly<Record<string, Loadable>>): {
  readonly run: (argv: string[]) => Promise<number>;
  readonly commands: readonly Command[];
} {
  const command: Command = {
    name: "completion",
    summary: "Print a completion script.",
    takes: ["bash|zsh|fish"],
    flags: {},
    run: async (input): Promise<ExitCode> => {
      const script = Object.hasOwn(scripts, input.args[0]!) ? scripts[input.args[0]!] : undefined;
      if (script === undefined) {
        throw new UsageError(`there are completions for bash, zsh and fish, not ${input.args[0]}`);
      }
      input.terminal.write(script(await wholeTree(verbs)));
      return exit.ok;
    },
  };
  return { run: (argv) => runCommand(command, argv), commands: [command] };
}
