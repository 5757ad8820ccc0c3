// The demo fleet as a program: npx tsx devices/main.ts --host 127.0.0.1 --port 1883 --devices 30 --speed 1
import { parseArgs } from "node:util";
import { startFleet } from "./simulator.ts";

function main(): void {
  const { values } = parseArgs({
    options: {
      host: { type: "string", default: "127.0.0.1" },
      port: { type: "string", default: "1883" },
      devices: { type: "string", default: "30" },
      speed: { type: "string", default: "1" },
      seed: { type: "string", default: "1" },
    },
  });
  const fleet = startFleet({
    host: values.host,
    port: Number(values.port),
    devices: Number(values.devices),
    speed: Number(values.speed),
    seed: Number(values.seed),
  });
  const report = setInterval(() => {
    const { devices, connected, taken, acknowledged, dropped } = fleet.counts();
    process.stderr.write(
      `${connected}/${devices} connected, ${taken} readings, ${acknowledged} acknowledged, ${dropped} dropped\n`,
    );
  }, 5_000);
  let stopping = false;
  const stop = (): void => {
    // the second signal ends it at once
    if (stopping) process.exit(0);
    stopping = true;
    clearInterval(report);
    void fleet.stop().then(() => process.exit(0));
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
}

try {
  main();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 2;
}
