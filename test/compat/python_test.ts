// python3-kafka 2.0.2, Debian's: the plain snippets that stand in everybody's notes, with their defaults.
import assert from "node:assert/strict";
import path from "node:path";
import { run, scratch, startHub } from "../tools/hub_process.ts";
import { callsBut, standard } from "./cases.ts";
import { python as interpreter } from "./clients.ts";
import { here, session } from "./program.ts";
import { compat } from "./table.ts";

async function python(script: string, args: readonly string[]): Promise<string> {
  return await run(interpreter, ["-", ...args], { input: script, timeoutMs: 90_000 });
}

const producer = `
import sys
from json import dumps
from kafka import KafkaProducer
producer = KafkaProducer(value_serializer=lambda x: dumps(x).encode('utf-8'), bootstrap_servers=[sys.argv[1]])
for n in range(int(sys.argv[2]), int(sys.argv[3])):
    producer.send('test', value={'number': n}).get(timeout=30)
producer.close()
`;

const consumer = `
import sys
from json import loads
from kafka import KafkaConsumer
consumer = KafkaConsumer('test', auto_offset_reset='earliest', enable_auto_commit=True, group_id='my-group-1',
    value_deserializer=lambda m: loads(m.decode('utf-8')), bootstrap_servers=[sys.argv[1]])
want = int(sys.argv[2])
numbers = []
for message in consumer:
    numbers.append(message.value['number'])
    if len(numbers) == want:
        break
consumer.close()
print(' '.join(str(n) for n in sorted(numbers)))
`;

const admin = `
import sys
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic, NewPartitions, ConfigResource, ConfigResourceType
server = sys.argv[1]
admin = KafkaAdminClient(bootstrap_servers=[server])
admin.create_topics([NewTopic('made', 2, 1, topic_configs={'retention.ms': '1000000'})])
print(sorted(name for name in admin.list_topics() if not name.startswith('__')))
described = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, 'made')])
values = {entry[0]: entry[1] for reply in described for resource in reply.resources for entry in resource[4]}
print(values['retention.ms'], values['cleanup.policy'])
admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, 'made', {'retention.ms': '2000000'})])
admin.create_partitions({'made': NewPartitions(5)})
consumer = KafkaConsumer(bootstrap_servers=[server])
print(sorted(consumer.partitions_for_topic('made')))
print(sorted(group for group, kind in admin.list_consumer_groups()))
described = admin.describe_consumer_groups(['my-group-1'])[0]
print(described.state, described.protocol_type)
offsets = admin.list_consumer_group_offsets('my-group-1')
print(sum(offset.offset for offset in offsets.values()))
ends = consumer.end_offsets([TopicPartition('test', p) for p in consumer.partitions_for_topic('test')])
print(sum(ends.values()))
later = consumer.offsets_for_times({TopicPartition('test', 0): 0})
print(later[TopicPartition('test', 0)].offset if later[TopicPartition('test', 0)] else 'none')
admin.delete_topics(['made'])
print(sorted(name for name in admin.list_topics() if not name.startswith('__')))
`;

compat(
  "python3-kafka",
  "snippets: a producer, a consumer in a group, and the admin client, over two runs",
  async () => {
    const { folder, remove } = scratch();
    const hub = await startHub({ data: folder });
    const server = `127.0.0.1:${hub.kafka}`;
    try {
      await python(producer, [server, "0", "20"]);
      const first = await python(consumer, [server, "20"]);
      assert.equal(first.trim(), Array.from({ length: 20 }, (_, i) => i).join(" "));
      await python(producer, [server, "20", "25"]);
      assert.equal((await python(consumer, [server, "5"])).trim(), "20 21 22 23 24");
      const said = (await python(admin, [server])).trim().split("\n");
      assert.deepEqual(said, [
        "['made', 'test']",
        "1000000 delete",
        "[0, 1, 2, 3, 4]",
        "['my-group-1']",
        "Empty consumer",
        "25",
        "25",
        "0",
        "['test']",
      ]);
    } finally {
      await hub.end("SIGKILL");
      remove();
    }
  },
);

const program = session(async (server) => {
  const env = { PYTHONPATH: path.join(here, "python"), PYTHONDONTWRITEBYTECODE: "1" };
  return { command: interpreter, args: [path.join(here, "python3_kafka/main.py"), server], env };
});

// Debian brings it without other codecs; it knows neither idempotence nor transactions nor static members
const missing =
  /idempotent|snappy|lz4|zstd|static|^new group|^transactions|delete groups$|group offsets|every kind$|delete records$/;
standard("python3-kafka", program, callsBut(missing, ["admin: list, describe groups; their offsets"]));
