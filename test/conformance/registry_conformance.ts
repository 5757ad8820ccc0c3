// What every Registry promises, as one suite: run over the embedded one, a real Redis, and the mirrored one.
import assert from "node:assert/strict";
import test from "node:test";
import type {
  CommitFence,
  CommittedOffset,
  GroupImage,
  MergeableRegistry,
  StoredGroup,
} from "../../hub/io/registry.ts";

/** One storage that outlives its registries. */
export interface RegistryWorld {
  /** Opens a registry over the storage; the one before was dropped as by kill -9 (only what was resolved counts). */
  open(): Promise<MergeableRegistry>;
  close(): Promise<void>;
}

const topicId = "00000000-0000-4000-8000-00000000000a";

function offsetOf(offset: number, partition = 0, metadata = ""): CommittedOffset {
  return { topicId, topic: "t", partition, offset, leaderEpoch: 3, metadata, committedAt: 1_700_000_000_000 };
}

function fenceOf(sequence: number, generation = -1, coordinatorEpoch = 1, group = "g"): CommitFence {
  return { group, coordinatorEpoch, generation, sequence };
}

function groupOf(sequence: number, generation: number, coordinatorEpoch = 1, group = "g"): StoredGroup {
  // All byte values: the record is opaque.
  const record = Uint8Array.from({ length: 256 }, (_, i) => (i + generation) & 255);
  return { group, coordinatorEpoch, sequence, generation, record };
}

async function imageIn(registry: MergeableRegistry, group = "g"): Promise<GroupImage | undefined> {
  return (await registry.loadGroups()).find((image) => image.group === group);
}

/** partition -> offset, of what is committed and not deleted. */
async function offsetsIn(registry: MergeableRegistry, group = "g"): Promise<Record<number, number>> {
  const found = (await imageIn(registry, group))?.offsets ?? [];
  const living = found.filter(({ value }) => value !== null);
  return Object.fromEntries(living.map(({ partition, value }) => [partition, value?.offset ?? -1]));
}

type Case = (world: RegistryWorld, registry: MergeableRegistry) => Promise<void>;

/** Registers the suite for one kind of registry. */
export function registryConformance(kind: string, makeWorld: () => Promise<RegistryWorld>): void {
  for (const [name, run] of Object.entries({ ...writing, ...fencing, ...deleting, ...merging })) {
    test(`${kind} registry: ${name}`, async () => {
      const world = await makeWorld();
      try {
        await run(world, await world.open());
      } finally {
        await world.close();
      }
    });
  }
}

const writing: Record<string, Case> = {
  "a resolved write is read back, byte by byte, by this and every later registry": async (world, registry) => {
    const stored = groupOf(1, 4);
    const metadata = 'späte "Zeit" \n \u{1f33e} ' + "x".repeat(1000);
    assert.equal(await registry.storeGroup(stored), "stored");
    const committed = [offsetOf(2 ** 52, 7, metadata), offsetOf(0, 8)];
    assert.equal(await registry.commitOffsets(fenceOf(2, 4), committed), "stored");
    for (const each of [registry, await world.open()]) {
      const image = await imageIn(each);
      assert.deepEqual(
        { ...image?.record, record: [...(image?.record?.record ?? [])] },
        {
          ...stored,
          record: [...stored.record],
        },
      );
      const offsets = [...(image?.offsets ?? [])].sort((a, b) => a.partition - b.partition);
      assert.deepEqual(
        offsets.map(({ value }) => value),
        committed,
      );
    }
  },

  "group ids are free text": async (world, registry) => {
    const groups = ["{x}", "a/b", "*", "g:o\r\n", "", "ü-\u{1f33e}", "__proto__", "%2F", "a".repeat(300)];
    for (const [i, group] of groups.entries()) {
      assert.equal(await registry.commitOffsets(fenceOf(i + 1, -1, 1, group), [offsetOf(i)]), "stored");
    }
    const later = await world.open();
    for (const [i, group] of groups.entries()) assert.deepEqual(await offsetsIn(later, group), { 0: i }, group);
  },

  "a commit of a thousand partitions is stored whole": async (world, registry) => {
    const offsets = Array.from({ length: 1000 }, (_, partition) => offsetOf(partition * 2, partition));
    assert.equal(await registry.commitOffsets(fenceOf(1), offsets), "stored");
    const found = await offsetsIn(await world.open());
    assert.equal(Object.keys(found).length, 1000);
    assert.equal(found[999], 1998);
  },

  "an epoch that is begun is above all others, also of an earlier registry": async (world, registry) => {
    const first = await registry.beginEpoch(0);
    const second = await registry.beginEpoch(0);
    assert.ok(second > first, `${second} after ${first}`);
    assert.equal(await registry.beginEpoch(second + 10), second + 10);
    const third = await (await world.open()).beginEpoch(0);
    assert.ok(third > second + 10, `${third} after ${second + 10}`);
  },
};

const fencing: Record<string, Case> = {
  "of two commits the higher place wins, whatever order they arrive in": async (world, registry) => {
    assert.equal(await registry.commitOffsets(fenceOf(9), [offsetOf(90, 0)]), "stored");
    assert.equal(await registry.commitOffsets(fenceOf(8), [offsetOf(80, 0), offsetOf(81, 1)]), "stored");
    // Numbers, not text: 10 is above 9.
    assert.equal(await registry.commitOffsets(fenceOf(10), [offsetOf(100, 1)]), "stored");
    assert.deepEqual(await offsetsIn(registry), { 0: 90, 1: 100 });
    assert.deepEqual(await offsetsIn(await world.open()), { 0: 90, 1: 100 });
  },

  "a write may be repeated and changes nothing": async (_world, registry) => {
    const commit = (offset: number) => registry.commitOffsets(fenceOf(5), [offsetOf(offset)]);
    assert.equal(await commit(50), "stored");
    assert.equal(await commit(51), "stored");
    assert.deepEqual(await offsetsIn(registry), { 0: 50 });
    assert.equal(await registry.storeGroup(groupOf(6, 1)), "stored");
    assert.equal(await registry.storeGroup({ ...groupOf(6, 1), record: new Uint8Array(1) }), "stored");
    assert.equal((await imageIn(registry))?.record?.record.length, 256);
  },

  "a coordinator of an older epoch is refused everything": async (world, registry) => {
    assert.equal(await registry.commitOffsets(fenceOf(1, -1, 7), [offsetOf(70)]), "stored");
    for (const each of [registry, await world.open()]) {
      assert.equal(await each.commitOffsets(fenceOf(99, -1, 6), [offsetOf(60)]), "stale-coordinator");
      assert.equal(await each.storeGroup(groupOf(99, 1, 6)), "stale-coordinator");
      assert.equal(await each.deleteOffsets(fenceOf(99, -1, 6), [{ topicId, partition: 0 }]), "stale-coordinator");
      assert.equal(await each.deleteGroup(fenceOf(99, -1, 6)), "stale-coordinator");
      assert.deepEqual(await offsetsIn(each), { 0: 70 });
    }
    assert.equal(await registry.commitOffsets(fenceOf(1, -1, 6, "another"), [offsetOf(1)]), "stored");
  },

  "a commit of another generation is refused whole": async (world, registry) => {
    assert.equal(await registry.commitOffsets(fenceOf(1, 3), [offsetOf(1)]), "stale-generation");
    assert.equal(await registry.storeGroup(groupOf(2, 3)), "stored");
    assert.equal(await registry.commitOffsets(fenceOf(3, 3), [offsetOf(30)]), "stored");
    assert.equal(await registry.storeGroup(groupOf(4, 4)), "stored");
    for (const each of [registry, await world.open()]) {
      assert.equal(await each.commitOffsets(fenceOf(5, 3), [offsetOf(50), offsetOf(51, 1)]), "stale-generation");
      assert.equal(await each.commitOffsets(fenceOf(5, 5), [offsetOf(50)]), "stale-generation");
      assert.deepEqual(await offsetsIn(each), { 0: 30 });
    }
    assert.equal(await registry.commitOffsets(fenceOf(6), [offsetOf(60)]), "stored");
    assert.equal(await registry.storeGroup(groupOf(7, 3)), "stale-generation");
  },

  "a record that arrives late does not replace a newer one": async (world, registry) => {
    assert.equal(await registry.storeGroup(groupOf(8, 5)), "stored");
    assert.equal(await registry.storeGroup(groupOf(7, 4)), "stored");
    assert.equal((await imageIn(await world.open()))?.record?.generation, 5);
  },
};

const deleting: Record<string, Case> = {
  "a deleted offset is gone, and a late commit does not bring it back": async (world, registry) => {
    await registry.commitOffsets(fenceOf(1), [offsetOf(10), offsetOf(11, 1)]);
    assert.equal(await registry.deleteOffsets(fenceOf(3), [{ topicId, partition: 0 }]), "stored");
    assert.equal(await registry.commitOffsets(fenceOf(2), [offsetOf(20), offsetOf(21, 1)]), "stored");
    assert.deepEqual(await offsetsIn(registry), { 1: 21 });
    const later = await world.open();
    assert.equal(await later.commitOffsets(fenceOf(2), [offsetOf(20)]), "stored");
    assert.deepEqual(await offsetsIn(later), { 1: 21 });
    assert.equal(await later.commitOffsets(fenceOf(4), [offsetOf(40)]), "stored");
    assert.deepEqual(await offsetsIn(later), { 0: 40, 1: 21 });
  },

  "a deleted group is gone, and a late write does not bring it back": async (world, registry) => {
    await registry.storeGroup(groupOf(1, 1));
    await registry.commitOffsets(fenceOf(2, 1), [offsetOf(20)]);
    assert.equal(await registry.deleteGroup(fenceOf(5)), "stored");
    assert.equal(await registry.deleteGroup(fenceOf(5)), "stored");
    for (const each of [registry, await world.open()]) {
      assert.equal(await each.commitOffsets(fenceOf(4), [offsetOf(40)]), "stale-generation");
      assert.equal(await each.storeGroup(groupOf(4, 9)), "stale-generation");
      const image = await imageIn(each);
      assert.deepEqual([image?.record, image?.offsets.length], [null, 0]);
    }
    // Made anew, its generations begin at the beginning.
    assert.equal(await registry.storeGroup(groupOf(6, 1)), "stored");
    assert.equal(await registry.commitOffsets(fenceOf(7, 1), [offsetOf(70)]), "stored");
    assert.deepEqual(await offsetsIn(await world.open()), { 0: 70 });
  },

  "a deletion that arrives late spares what is newer": async (world, registry) => {
    await registry.commitOffsets(fenceOf(1), [offsetOf(10)]);
    await registry.storeGroup(groupOf(8, 2));
    await registry.commitOffsets(fenceOf(9), [offsetOf(91, 1)]);
    assert.equal(await registry.deleteGroup(fenceOf(5)), "stored");
    const later = await world.open();
    assert.deepEqual(await offsetsIn(later), { 1: 91 });
    assert.equal((await imageIn(later))?.record?.generation, 2);
  },

  "the memory of a deletion can be dropped, that of a living group cannot": async (world, registry) => {
    await registry.deleteGroup(fenceOf(5));
    await registry.forget("g", { coordinatorEpoch: 1, sequence: 4 });
    assert.notEqual(await imageIn(registry), undefined);
    await registry.forget("g", { coordinatorEpoch: 1, sequence: 5 });
    assert.equal(await imageIn(await world.open()), undefined);
    await registry.commitOffsets(fenceOf(6), [offsetOf(60)]);
    await registry.forget("g", { coordinatorEpoch: 1, sequence: 99 });
    assert.deepEqual(await offsetsIn(registry), { 0: 60 });
  },
};

const merging: Record<string, Case> = {
  "images merge part by part, in any order, any number of times": async (world, registry) => {
    const at = (sequence: number, coordinatorEpoch = 1) => ({ coordinatorEpoch, sequence });
    const part = (partition: number, offset: number | null, sequence: number, epoch = 1) => {
      const value = offset === null ? null : offsetOf(offset, partition);
      return { topicId, partition, position: at(sequence, epoch), value };
    };
    const base = { group: "g", fenceEpoch: 1, record: null, deleted: null };
    const images: GroupImage[] = [
      { ...base, record: groupOf(3, 2), offsets: [part(0, 40, 4), part(1, 50, 5)] },
      { ...base, deleted: at(4), offsets: [] },
      { ...base, fenceEpoch: 2, record: groupOf(6, 1), offsets: [part(1, null, 7), part(2, 10, 1, 2), part(3, 30, 3)] },
    ];
    for (const image of [2, 1, 0, 1, 2, 0].map((i) => images[i])) if (image !== undefined) await registry.merge(image);
    for (const each of [registry, await world.open()]) {
      assert.deepEqual(await offsetsIn(each), { 2: 10 });
      const image = await imageIn(each);
      assert.deepEqual([image?.record?.generation, image?.deleted, image?.fenceEpoch], [1, at(4), 2]);
      assert.equal(await each.commitOffsets(fenceOf(99, 1, 1), [offsetOf(1)]), "stale-coordinator");
    }
  },

  "a newer epoch is above every sequence of an older one": async (world, registry) => {
    const image = (coordinatorEpoch: number, sequence: number, generation: number): GroupImage => {
      const position = { coordinatorEpoch, sequence };
      const offsets = [{ topicId, partition: 0, position, value: offsetOf(generation) }];
      const record = groupOf(sequence, generation, coordinatorEpoch);
      return { group: "g", fenceEpoch: coordinatorEpoch, record, deleted: null, offsets };
    };
    await registry.merge(image(1, 10, 5));
    await registry.merge(image(2, 1, 4));
    await registry.merge(image(1, 50, 9));
    await registry.merge({ ...image(1, 60, 9), record: null, deleted: { coordinatorEpoch: 1, sequence: 99 } });
    for (const each of [registry, await world.open()]) {
      assert.deepEqual(await offsetsIn(each), { 0: 4 });
      assert.equal((await imageIn(each))?.record?.generation, 4);
    }
  },
};
