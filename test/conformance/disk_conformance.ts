// One suite for every Disk: the real one and the simulated one answer alike.
import assert from "node:assert/strict";
import test from "node:test";
import type { Disk } from "../../hub/io/ports.ts";

export interface DiskUnderTest {
  readonly disk: Disk;
  /** Waits for a promise of the disk; a simulated one moves its clock. */
  settle<T>(promise: Promise<T>): Promise<T>;
  close(): void;
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function code(expected: string): (error: unknown) => boolean {
  return (error) => {
    assert.equal((error as { code?: string }).code, expected, String(error));
    return true;
  };
}

/** Registers the suite. */
export function disksConform(name: string, open: () => DiskUnderTest): void {
  const check = (what: string, body: (under: DiskUnderTest) => void | Promise<void>): void => {
    test(`${name}: ${what}`, async () => {
      const under = open();
      try {
        await body(under);
      } finally {
        under.close();
      }
    });
  };

  check("modes of open", ({ disk }) => {
    assert.throws(() => disk.open("a", "read"), code("ENOENT"));
    assert.throws(() => disk.open("a", "write"), code("ENOENT"));
    disk.open("a", "create").close();
    assert.throws(() => disk.open("a", "create"), code("EEXIST"));
    disk.open("a", "any").close();
    disk.open("b", "any").close();
    assert.deepEqual(disk.list("."), ["a", "b"]);
    assert.throws(() => disk.open("missing/c", "create"), code("ENOENT"));
  });

  check("write, writeAll and read at a place", async ({ disk, settle }) => {
    const file = disk.open("f", "create");
    assert.equal(file.name, "f");
    assert.equal(file.write(bytesOf("hello"), 0), 5);
    assert.equal(file.writeAll([bytesOf(" wo"), new Uint8Array(0), bytesOf("rld")], 5), 6);
    assert.equal(file.size(), 11);
    const target = new Uint8Array(20);
    assert.equal(file.read(target, 6), 5);
    assert.equal(textOf(target.subarray(0, 5)), "world");
    assert.equal(file.read(target, 11), 0);
    assert.equal(await settle(file.readLater(target, 0)), 11);
    assert.equal(textOf(target.subarray(0, 11)), "hello world");
    assert.equal(await settle(file.readLater(target, 50)), 0);
    file.write(bytesOf("J"), 0);
    file.write(bytesOf("!"), 13);
    assert.equal(file.read(target, 0), 14);
    assert.deepEqual([...target.subarray(9, 14)], [108, 100, 0, 0, 33]);
    file.close();
    file.close();
  });

  check("truncate cuts, and extends with zeros", ({ disk }) => {
    const file = disk.open("f", "create");
    file.write(bytesOf("abcdef"), 0);
    file.truncate(2);
    file.truncate(4);
    const target = new Uint8Array(9);
    assert.equal(file.read(target, 0), 4);
    assert.deepEqual([...target.subarray(0, 4)], [97, 98, 0, 0]);
    file.close();
  });

  check("sync resolves, syncNow returns", async ({ disk, settle }) => {
    const file = disk.open("f", "create");
    file.write(bytesOf("x"), 0);
    await settle(file.sync());
    file.syncNow();
    disk.syncDirectory(".");
    file.close();
    assert.throws(() => disk.syncDirectory("missing"), code("ENOENT"));
  });

  check("directories", ({ disk }) => {
    assert.deepEqual(disk.list("deep/er"), []);
    disk.makeDirectory("deep/er");
    disk.makeDirectory("deep/er");
    disk.open("deep/er/f", "create").close();
    assert.deepEqual(disk.list("deep"), ["er"]);
    assert.deepEqual(disk.list("deep/er"), ["f"]);
    assert.equal(disk.exists("deep/er/f"), true);
    assert.equal(disk.exists("deep/er"), true);
    assert.throws(() => disk.removeDirectory("deep/er"), code("ENOTEMPTY"));
    disk.remove("deep/er/f");
    disk.remove("deep/er/f");
    disk.removeDirectory("deep/er");
    disk.removeDirectory("deep/er");
    assert.equal(disk.exists("deep/er"), false);
  });

  check("rename replaces, and an open file follows its bytes", ({ disk }) => {
    const old = disk.open("target", "create");
    old.write(bytesOf("old"), 0);
    const fresh = disk.open("source", "create");
    fresh.write(bytesOf("fresh"), 0);
    disk.rename("source", "target");
    assert.deepEqual(disk.list("."), ["target"]);
    const target = new Uint8Array(8);
    assert.equal(disk.open("target", "read").read(target, 0), 5);
    assert.equal(old.read(target, 0), 3);
    assert.throws(() => disk.rename("missing", "x"), code("ENOENT"));
    old.close();
    fresh.close();
  });

  check("an open file outlives its name", ({ disk }) => {
    const file = disk.open("f", "create");
    file.write(bytesOf("still"), 0);
    disk.remove("f");
    const target = new Uint8Array(5);
    assert.equal(file.read(target, 0), 5);
    assert.equal(disk.exists("f"), false);
    file.close();
  });

  check("names that leave the directory are refused", ({ disk }) => {
    for (const name of ["../x", "/etc/passwd", "a/../../x", "x\0y"]) {
      assert.throws(() => disk.open(name, "any"), /outside/, name);
    }
  });

  check("space, boot and owner", ({ disk }) => {
    const { freeBytes, totalBytes } = disk.space();
    assert.ok(freeBytes >= 0 && freeBytes <= totalBytes);
    assert.equal(typeof disk.bootId(), "string");
    assert.equal(disk.ownerLives(disk.owner()), false);
    assert.equal(disk.ownerLives("4194999 1 no-such-boot"), false);
  });
}
