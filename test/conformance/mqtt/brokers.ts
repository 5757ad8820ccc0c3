// The brokers of the differential test: mosquitto and a hub, each a process of its own on a free port.
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { scratch, startHub } from "../../tools/hub_process.ts";

export interface RunningBroker {
  readonly port: number;
  readonly stop: () => Promise<void>;
}

/** No bounds that a scenario could meet, nothing on disk, and no messages of its own. */
const configOf = (port: number): string =>
  [
    `listener ${port} 127.0.0.1`,
    "allow_anonymous true",
    "max_inflight_messages 0",
    "max_queued_messages 0",
    "set_tcp_nodelay true",
    // its one copy for overlapping subscriptions of 3.1.1 would have the QoS of any of them, against [MQTT-3.3.5-1]
    "allow_duplicate_messages true",
    "sys_interval 0",
    "log_type none",
    "persistence false",
    "",
  ].join("\n");

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect({ port, host: "127.0.0.1" }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });

export async function startMosquitto(): Promise<RunningBroker> {
  const { folder, remove } = scratch();
  const port = await freePort();
  const config = path.join(folder, "mosquitto.conf");
  writeFileSync(config, configOf(port));
  const child = spawn("mosquitto", ["-c", config], {
    stdio: "ignore",
    // Debian has it where only root looks
    env: { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin` },
  });
  let ended: string | null = null;
  const exited = new Promise<void>((resolve) => {
    child.on("error", (error) => {
      ended = error.message;
      resolve();
    });
    child.on("exit", (code, signal) => {
      ended = `ended with ${code ?? signal}`;
      resolve();
    });
  });
  while (!(await accepts(port))) {
    if (ended !== null) throw new Error(`mosquitto: ${ended}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return {
    port,
    async stop() {
      child.kill("SIGTERM");
      await exited;
      remove();
    },
  };
}

export async function startPartidor(): Promise<RunningBroker> {
  const { folder, remove } = scratch();
  const data = path.join(folder, "data");
  mkdirSync(data);
  const hub = await startHub({ data });
  return {
    port: hub.mqtt,
    async stop() {
      await hub.end("SIGTERM");
      remove();
    },
  };
}
