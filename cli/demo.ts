// The demo: a fleet of recorded sensors over real MQTT, and two consumer groups that read what it says.
import { startFleet } from "../devices/mod.ts";
import type { Hub, Trace } from "../hub/mod.ts";
import { startAnalytics, startMl } from "../subscribers/mod.ts";

export interface DemoOptions {
  readonly hub: Hub;
  readonly mqttPort: number;
  readonly trace: Trace;
}

const devices = 48;

/** Starts all of it; `stop` ends the fleet first, so that the groups finish what is there. */
export async function startDemo({ hub, mqttPort, trace }: DemoOptions): Promise<{ stop(): Promise<void> }> {
  await Promise.all(["sensors", "aggregates", "alerts"].map((topic) => hub.ensureTopic(topic)));
  const groups = [
    await startAnalytics({ client: hub.client("analytics"), trace }),
    await startMl({ client: hub.client("ml"), trace }),
  ];
  const fleet = await startFleet({ host: "127.0.0.1", port: mqttPort, devices, speed: 1, seed: 1 });
  return {
    async stop() {
      await fleet.stop();
      await Promise.all(groups.map((group) => group.stop()));
    },
  };
}
