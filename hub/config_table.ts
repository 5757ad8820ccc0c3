// The settings of a hub as one table: place, kind, default and what each is for. Pure.
import { limits } from "./limits.ts";

export type Kind = "port" | "id" | "connections" | "text" | "texts" | "mechanisms" | "duration" | "boolean" | "level";

export interface Setting {
  readonly path: string;
  readonly kind: Kind;
  readonly default: unknown;
  readonly doc: string;
  /** The value is taken from this file instead, so that it stays out of command lines. */
  readonly fileKey?: string;
  /** There is no other way than the file. */
  readonly fileOnly?: boolean;
}

const setting = (path: string, kind: Kind, value: unknown, doc: string): Setting => ({
  path,
  kind,
  default: value,
  doc,
});

export const settings: readonly Setting[] = [
  setting("hub.id", "id", 1, "This hub's number in its cluster, 0..63."),
  setting("hub.data", "text", "./data", "The data folder."),
  setting("hub.listen", "texts", ["127.0.0.1", "::1"], "Addresses to listen on."),
  setting("hub.insecure", "boolean", false, "Listen beyond loopback although no credentials are configured."),
  setting("hub.clock-trusted", "boolean", false, "Believe the wall clock although the system cannot say it is set."),
  setting("mqtt.port", "port", 1883, "MQTT port; 0 picks a free one."),
  setting(
    "mqtt.ack-timeout",
    "duration",
    30_000,
    "How long a PUBLISH waits for its commit before its client is closed.",
  ),
  setting("mqtt.presence", "boolean", true, "Keep who connects and disconnects as records of the topic mqtt.presence."),
  setting(
    "mqtt.advertised",
    "text",
    null,
    "host:port that other hubs send MQTT 5 clients to; the host of kafka.advertised or the listener when left out.",
  ),
  setting("mqtt.max-connections", "connections", limits.mqttConnectionsMax, "How many MQTT clients may be connected."),
  setting("kafka.port", "port", 9092, "Kafka port; 0 picks a free one."),
  setting("kafka.advertised", "text", null, "host:port that clients are told; the address they came to when left out."),
  setting("http.port", "port", 8080, "Dashboard, health, metrics and MQTT over WebSocket; 0 picks a free one."),
  setting("http.origins", "texts", [], "Further web origins that may open a WebSocket."),
  {
    ...setting(
      "redis.url",
      "text",
      null,
      "redis://[user:password@]host:port[/db]; redis+sentinel://h1,h2/master; redis+cluster://h1,h2.",
    ),
    fileKey: "redis.url_file",
  },
  setting("cluster.name", "text", "partidor", "Keeps clusters that share a Redis apart: letters, digits, . _ -"),
  setting("cluster.bootstrap", "boolean", true, "Make the cluster when Redis holds none yet."),
  {
    ...setting("cluster.secret", "text", null, "What hubs prove to each other that they know."),
    fileKey: "cluster.secret_file",
    fileOnly: true,
  },
  setting("cluster.beat", "duration", 1000, "How often a hub says that it lives."),
  setting("cluster.session", "duration", 6000, "A hub that was not heard of for so long is taken for dead."),
  setting("cluster.rack", "text", null, "Where this hub stands; replicas are spread over racks."),
  setting(
    "access.sasl",
    "mechanisms",
    [],
    "SASL mechanisms of the Kafka port: SCRAM-SHA-512, SCRAM-SHA-256, PLAIN. PLAIN sends the password as it is: only " +
      "for networks that nobody listens to.",
  ),
  setting("access.user", "text", null, "The first user: made at the start, with every right."),
  {
    ...setting(
      "access.password",
      "text",
      null,
      "The first user's password; a new one in the file counts from a start.",
    ),
    fileKey: "access.password_file",
    fileOnly: true,
  },
  setting("access.rules", "boolean", false, "Whether access rules (ACLs) decide what a user may do."),
  setting("access.super-users", "texts", [], "Users for whom no access rule counts."),
  setting("access.allow-if-no-rule", "boolean", false, "Whether everybody may use what no access rule speaks of."),
  setting("log.level", "level", "info", "Least level of a log line: debug, info, warn or error."),
];
