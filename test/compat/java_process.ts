// A Java program that runs until it is ended: its lines can be waited for, its end is by pid.
import { spawn } from "node:child_process";
import { javaArguments } from "./cases.ts";
import { javaClassPath } from "./clients.ts";

export interface JavaProcess {
  readonly pid: number;
  /** All it printed so far. */
  readonly words: () => string;
  /** Resolves when what it printed matches; rejects when it ends before, or after `ms` milliseconds. */
  until(pattern: RegExp, ms?: number): Promise<void>;
  /** Sends the signal and resolves when it is gone. */
  end(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts a class of ours or of Kafka's; `level` is that of Kafka's own log lines. */
export async function startJava(main: string, args: readonly string[], level = "error"): Promise<JavaProcess> {
  const flags = javaArguments(await javaClassPath()).map((flag) => flag.replace(/Level=error$/, `Level=${level}`));
  const child = spawn("java", [...flags, main, ...args]);
  let words = "";
  let gone = false;
  const waiting = new Set<() => void>();
  const note = (bytes: Buffer): void => {
    words += bytes.toString();
    for (const look of waiting) look();
  };
  child.stdout.on("data", note);
  child.stderr.on("data", note);
  const closed = new Promise<void>((resolve) => {
    child.on("close", () => {
      gone = true;
      resolve();
      for (const look of waiting) look();
    });
  });
  return {
    pid: child.pid!,
    words: () => words,
    until(pattern, ms = 60_000) {
      return new Promise((resolve, reject) => {
        const done = (act: () => void): void => {
          clearTimeout(late);
          waiting.delete(look);
          act();
        };
        const fail = (why: string): void => done(() => reject(new Error(`${why} ${pattern}:\n${words.slice(-8_000)}`)));
        const look = (): void => {
          if (pattern.test(words)) done(resolve);
          else if (gone) fail(`${main} ended before`);
        };
        const late = setTimeout(() => fail(`${main} did not print within ${ms} ms`), ms);
        waiting.add(look);
        look();
      });
    },
    async end(signal = "SIGKILL") {
      if (!gone) process.kill(child.pid!, signal);
      await closed;
    },
  };
}
