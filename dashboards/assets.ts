// The page's files: an allow-list made at start, each read, hashed and compressed once, when first asked for.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";

export interface Asset {
  readonly type: string;
  readonly etag: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly gzip: Uint8Array<ArrayBuffer>;
}

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Screens with a URL of their own; each is answered with the page. */
const screens = ["/", "/topics", "/groups", "/cluster"];

export class Assets {
  #files = new Map<string, string>();
  #read = new Map<string, Asset>();

  /** @param folder the page's files; what is not in it now is never served. */
  constructor(folder: string) {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isFile() && path.extname(entry.name) in types) {
        this.#files.set(`/${entry.name}`, path.join(folder, entry.name));
      }
    }
    const page = this.#files.get("/page.html");
    if (page === undefined) throw new Error(`the page is missing from ${folder}`);
    for (const screen of screens) this.#files.set(screen, page);
  }

  /** @param name path of the URL, as it came: it is only ever looked up. */
  get(name: string): Asset | null {
    const file = this.#files.get(name);
    if (file === undefined) return null;
    let asset = this.#read.get(file);
    if (asset === undefined) {
      const bytes = new Uint8Array(readFileSync(file));
      const etag = `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`;
      const gzip = new Uint8Array(gzipSync(bytes));
      asset = { type: types[path.extname(file)]!, etag, bytes, gzip };
      this.#read.set(file, asset);
    }
    return asset;
  }

  /** Compressed bytes of everything a browser loads. */
  gzipBytes(): number {
    const names = new Map([...this.#files].map(([name, file]) => [file, name]));
    return [...names.values()].reduce((sum, name) => sum + this.get(name)!.gzip.length, 0);
  }
}
