// THE MQTT topic grammar of devices: `sensors/<device>/<metric>`. Pure.

/** First level of every reading's topic, and the hub topic that the default route gives it. */
export const sensorsTopic = "sensors";
/** Longest device or metric name. */
export const nameLengthMax = 64;

/** Where a reading belongs. */
export interface SensorTopic {
  readonly device: string;
  readonly metric: string;
}

/** What is wrong with a device or metric name, or null: 1 to 64 of `A-Z a-z 0-9 . _ -`. */
export function nameProblem(name: string): string | null {
  if (name.length === 0) return "it is empty";
  if (name.length > nameLengthMax) return `it is longer than ${nameLengthMax} characters`;
  for (const character of name) {
    if (!isNameCharacter(character)) return `it holds ${JSON.stringify(character)}`;
  }
  return null;
}

/** @throws RangeError when a name breaks the grammar. */
export function sensorTopic(device: string, metric: string): string {
  for (const [what, name] of [
    ["device", device],
    ["metric", metric],
  ] as const) {
    const problem = nameProblem(name);
    if (problem !== null) throw new RangeError(`bad ${what} name ${JSON.stringify(name)}: ${problem}`);
  }
  return `${sensorsTopic}/${device}/${metric}`;
}

/** The device and metric of a topic, or null when it is no reading's topic. */
export function parseSensorTopic(topic: string): SensorTopic | null {
  const [first, device, metric, rest] = topic.split("/", 4);
  if (first !== sensorsTopic || device === undefined || metric === undefined || rest !== undefined) return null;
  return nameProblem(device) === null && nameProblem(metric) === null ? { device, metric } : null;
}

function isNameCharacter(character: string): boolean {
  return (
    (character >= "a" && character <= "z") ||
    (character >= "A" && character <= "Z") ||
    (character >= "0" && character <= "9") ||
    character === "." ||
    character === "_" ||
    character === "-"
  );
}
