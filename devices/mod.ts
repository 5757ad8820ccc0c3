// The door of devices/: the shape of a reading, its topic, one device, and the demo fleet.
export { decodeReading, encodeReading, type Reading, ReadingError, readingBytesMax } from "./reading.ts";
export { nameLengthMax, nameProblem, parseSensorTopic, type SensorTopic, sensorsTopic, sensorTopic } from "./topics.ts";
export { Device, type DeviceCounts, type DeviceOptions } from "./device.ts";
export { type Fleet, type FleetCounts, type FleetOptions, startFleet } from "./simulator.ts";
