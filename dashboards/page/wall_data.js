// What the wall shows, collected also while another screen is shown.
// @ts-check
import { Devices } from "./devices.js";

/** Readings and alerts keep coming while another screen is shown. */
export class WallData {
  devices = new Devices();
  /** @type {import("./link.js").SubscriptionState} */
  state = "waiting";
  /** Readings that came live: history does not count into the rate. */
  live = 0;

  /** @param {import("./link.js").Link} link */
  start(link) {
    const { devices } = this;
    const headers = ["mqtt.topic"];
    link.subscribe(
      { topic: "sensors", from: { last: "60s" }, every: 250, historyEvery: 1000, headers },
      {
        onFrame: (frame) => {
          devices.takeReadings(frame);
          if (this.state === "live") this.live += frame.records.length + (frame.conflated ?? 0);
        },
        onState: (state) => {
          this.state = state;
        },
      },
    );
    link.subscribe({ topic: "alerts", from: { last: "10m" } }, { onFrame: (frame) => devices.takeAlerts(frame) });
  }
}
