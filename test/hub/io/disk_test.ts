// The real disk conforms.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { openDisk } from "../../../hub/io/disk.ts";
import { disksConform } from "../../conformance/disk_conformance.ts";

disksConform("real disk", () => {
  const directory = mkdtempSync(path.join(tmpdir(), "partidor-disk-"));
  return {
    disk: openDisk(directory),
    settle: (promise) => promise,
    close: () => rmSync(directory, { recursive: true, force: true }),
  };
});
