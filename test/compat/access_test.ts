// Logins, rules and quotas with other people's clients: kafkajs 2.2.4 and Debian's python3-kafka 2.0.2.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import test from "node:test";
import { root, run, scratch, startHub } from "../tools/hub_process.ts";

const require = createRequire(path.join(root, "test/.tools/package.json"));
// biome-ignore lint/suspicious/noExplicitAny: an untyped foreign client
const { Kafka, AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes, logLevel } =
  require("kafkajs") as any;

async function withHub(use: (server: string, words: () => string) => Promise<void>): Promise<void> {
  const { folder, remove } = scratch();
  writeFileSync(path.join(folder, "password"), "secret of admin\n");
  const hub = await startHub({
    data: path.join(folder, "data"),
    args: ["--listen", "0.0.0.0"], // allowed, because nobody gets in without a login
    env: {
      PARTIDOR_ACCESS__SASL: "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
      PARTIDOR_ACCESS__USER: "admin",
      PARTIDOR_ACCESS__PASSWORD_FILE: path.join(folder, "password"),
      PARTIDOR_ACCESS__RULES: "true",
      PARTIDOR_SETTINGS__GROUP_INITIAL_REBALANCE_DELAY_MS: "0",
    },
  });
  try {
    await use(`127.0.0.1:${hub.kafka}`, hub.words);
  } finally {
    await hub.end("SIGKILL");
    remove();
  }
}

test("kafkajs: every mechanism, a wrong password, rules made and obeyed", async () => {
  await withHub(async (server, words) => {
    assert.match(words(), /Logins guard the Kafka port/);
    const client = (mechanism: string, password: string) =>
      new Kafka({
        clientId: "compat",
        brokers: [server],
        logLevel: logLevel.NOTHING,
        retry: { retries: 1 },
        sasl: { mechanism, username: "admin", password },
      });
    for (const mechanism of ["plain", "scram-sha-256", "scram-sha-512"]) {
      const admin = client(mechanism, "secret of admin").admin();
      await admin.connect();
      await admin.createTopics({ topics: [{ topic: mechanism, numPartitions: 1 }] });
      await admin.disconnect();
      const wrong = client(mechanism, "wrong").admin();
      await assert.rejects(wrong.connect(), /SASL|credentials|authentication/i);
      await wrong.disconnect();
    }
    const admin = client("plain", "secret of admin").admin();
    await admin.connect();
    const acl = {
      resourceType: AclResourceTypes.TOPIC,
      resourceName: "plain",
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: "User:ann",
      host: "*",
      operation: AclOperationTypes.READ,
      permissionType: AclPermissionTypes.ALLOW,
    };
    await admin.createAcls({ acl: [acl] });
    const { resources } = await admin.describeAcls({ ...acl, principal: undefined, host: undefined });
    assert.equal(resources[0].acls[0].principal, "User:ann");
    await admin.disconnect();
  });
});

const script = `
import sys
from kafka import KafkaProducer, KafkaConsumer
from kafka.errors import KafkaError
server, mechanism = sys.argv[1:3]
login = dict(bootstrap_servers=[server], security_protocol='SASL_PLAINTEXT', sasl_mechanism=mechanism,
    sasl_plain_username='admin', sasl_plain_password='secret of admin')
from kafka.admin import KafkaAdminClient, NewTopic
admin = KafkaAdminClient(**login)
admin.create_topics([NewTopic(mechanism, 1, 1)])
producer = KafkaProducer(**login)
producer.send(mechanism, b'hello').get(timeout=30)
producer.close()
consumer = KafkaConsumer(mechanism, group_id='g', auto_offset_reset='earliest', consumer_timeout_ms=30000, **login)
print(next(consumer).value.decode())
consumer.close()
try:
    KafkaProducer(**dict(login, sasl_plain_password='wrong'))
    print('let in')
except KafkaError as error:
    print('refused')
`;

test("python3-kafka: every mechanism, and a wrong password", async () => {
  await withHub(async (server) => {
    for (const mechanism of ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]) {
      const said = await run("/usr/bin/python3", ["-", server, mechanism], { input: script, timeoutMs: 90_000 });
      assert.deepEqual(said.trim().split("\n"), ["hello", "refused"], mechanism);
    }
  });
});
