// doctor: runtime, clock, folder, ports, Redis.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import test from "node:test";
import { checkClock, checkFolder, checkPort, checkRedis, checkRuntime, codeFor } from "../../cli/doctor.ts";

test("doctor: runtime, clock, folder, taken port, Redis", async () => {
  assert.deepEqual(
    ["18.20.0", "20.18.9", "20.19.0", "24.1.0"].map((version) => checkRuntime(version).state),
    ["fail", "fail", "ok", "ok"],
  );
  assert.equal(checkClock(0, null).state, "warn");
  assert.equal(checkClock(Date.UTC(2027, 0), true).state, "ok");
  assert.equal(checkClock(Date.UTC(2027, 0), false).state, "warn");
  const folder = checkFolder(`${process.cwd()}/no/such/folder`);
  assert.equal(folder[0]!.state, "ok");
  const unwritable = checkFolder("/proc/nothing");
  assert.equal(codeFor(unwritable), 70);
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.resume();
    socket.end("+PONG\r\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  try {
    assert.equal((await checkPort("Kafka", "127.0.0.1", port)).state, "warn");
    assert.equal((await checkRedis(`redis://127.0.0.1:${port}`)).state, "ok");
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
  const gone = await checkRedis(`redis://127.0.0.1:${port}`);
  assert.equal(gone.state, "fail");
  assert.ok(gone.found.includes("ECONNREFUSED"));
  assert.equal((await checkRedis("http://x")).state, "fail");
  assert.equal((await checkPort("Kafka", "127.0.0.1", port)).state, "ok");
});
