// The wall under 10,000 readings a second for 60 s, in a real browser over a real hub: frames, heap, conflation.
import os from "node:os";
import { figure, frameFigures, heapBytes, launch, missing, serve, until, watchFrames } from "../dashboards/browser.ts";
import { startLoad } from "../dashboards/load.ts";
import { withReal } from "../dashboards/real_hub.ts";

const seconds = Number(process.argv[2] ?? 60);
const perSecond = Number(process.argv[3] ?? 10_000);
const devices = Number(process.argv[4] ?? 2000);

async function main(): Promise<void> {
  const lacking = missing();
  if (lacking !== "") throw new Error(`missing: ${lacking}`);
  await withReal(async (real) => {
    await real.client.admin().createTopic("sensors", { partitions: 4 });
    const dashboard = await serve(real.hub);
    const browser = await launch();
    try {
      const view = { viewport: { width: 1280, height: 800 } };
      const empty = await browser.newPage(view);
      await watchFrames(empty);
      await new Promise((resolve) => setTimeout(resolve, 5000));
      const idle = await frameFigures(empty);
      await empty.close();
      const load = startLoad(real, devices, perSecond);
      const page = await browser.newPage(view);
      await page.goto(`http://127.0.0.1:${dashboard.port}/`);
      await until(page, `${figure("Devices")} === "${devices.toLocaleString("en")}"`, 20_000);
      await new Promise((resolve) => setTimeout(resolve, 5000));
      const heap = await heapBytes(page);
      await watchFrames(page);
      const cpu = process.cpuUsage();
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      const used = process.cpuUsage(cpu);
      const frames = await frameFigures(page);
      const grown = (await heapBytes(page)) - heap;
      const shown = await page.evaluate<string>(figure("Readings/s"));
      const conflated = await page.evaluate<string>(figure("Conflated"));
      const sent = await load.stop();
      const share = Math.round((used.user + used.system) / 10_000 / seconds);
      console.log(`machine    ${os.cpus()[0]?.model ?? "?"} x ${os.cpus().length}, node ${process.version}`);
      console.log(`load       ${sent} readings of ${devices} devices, ${perSecond}/s asked`);
      console.log(`wall       ${shown} readings/s seen, conflated ${conflated}`);
      console.log(`frames     median ${frames.median} ms, p99 ${frames.p99} ms, longest ${frames.longest} ms`);
      console.log(`empty page median ${idle.median} ms, p99 ${idle.p99} ms, longest ${idle.longest} ms`);
      console.log(`heap       ${(grown / 1e6).toFixed(1)} MB more after ${seconds} s`);
      console.log(`hub        ${share}% of one core, load generator included`);
    } finally {
      await browser.close();
      await dashboard.close();
    }
  });
}

await main();
