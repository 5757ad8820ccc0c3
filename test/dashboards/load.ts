// Load for the wall: many devices that publish at a steady rate into a real hub.
import type { RealHub } from "./real_hub.ts";

const encoder = new TextEncoder();
const tickMs = 10;

/** Publishes `perSecond` readings of `devices` devices until stopped; answers how many were sent. */
export function startLoad(real: RealHub, devices: number, perSecond: number): { stop(): Promise<number> } {
  const keys = Array.from({ length: devices }, (_, n) => encoder.encode(`dev-${String(n).padStart(4, "0")}`));
  const headers = keys.map((_, n) => {
    const topic = `sensors/dev-${String(n).padStart(4, "0")}/temperature`;
    return [{ key: "mqtt.topic", value: encoder.encode(topic) }];
  });
  const began = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - began) * perSecond) / 1000);
    const now = Date.now();
    for (; sent < due; sent++) {
      const n = sent % devices;
      const v = 20 + 5 * Math.sin(sent / devices / 9 + n);
      const value = encoder.encode(`{"t":${now},"v":${v.toFixed(3)},"u":"\u00b0C","seq":${sent}}`);
      real.producer.send("sensors", { key: keys[n]!, value, headers: headers[n]!, timestamp: now });
    }
  }, tickMs);
  return {
    async stop() {
      clearInterval(timer);
      await real.producer.flush();
      return sent;
    },
  };
}
