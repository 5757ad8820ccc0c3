// Listening on several hosts: one port for all, a missing address left out, a sentence for what cannot be.
import assert from "node:assert/strict";
import { type AddressInfo, createServer } from "node:net";
import test from "node:test";
import { listenAll } from "../../bridge/listen.ts";

const nobody = (): void => {};
/** Of a block kept for documentation: no machine has it. */
const elsewhere = "203.0.113.7";

test("listenAll opens the same port on every host and leaves out an address that is not there", async () => {
  const listening = await listenAll(["127.0.0.1", "127.0.0.2", elsewhere], 0, nobody);
  try {
    const { port } = listening;
    assert.ok(port > 0);
    assert.deepEqual(listening.addresses, [
      { host: "127.0.0.1", port },
      { host: "127.0.0.2", port },
    ]);
  } finally {
    await listening.close();
  }
});

test("listenAll says in one sentence what stands in the way, and leaves nothing open", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.2", resolve));
  const { port } = other.address() as AddressInfo;
  try {
    const taken = new RegExp(`^Error: MQTT port ${port} on 127\\.0\\.0\\.2 is taken by another program: .*\\.$`);
    await assert.rejects(listenAll(["127.0.0.1", "127.0.0.2"], port, nobody), taken);
    const again = await listenAll(["127.0.0.1"], port, nobody);
    await again.close();
    await assert.rejects(listenAll([elsewhere], 0, nobody), /cannot be opened: this machine has no such address\.$/);
    await assert.rejects(listenAll([], 0, nobody), /at least one host/);
  } finally {
    other.close();
  }
});
