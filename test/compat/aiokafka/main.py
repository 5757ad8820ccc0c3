# aiokafka against a hub: `main.py <host:port> [words of a case...]`.
import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from cases import case, codec_got, codec_lines, restart, run_all, values

SERVER = sys.argv[1]


async def producer(**options):
    started = AIOKafkaProducer(bootstrap_servers=SERVER, **options)
    await started.start()
    return started


async def consumer(*topics, **options):
    settings = {"auto_offset_reset": "earliest", "heartbeat_interval_ms": 500, "metadata_max_age_ms": 2000, **options}
    started = AIOKafkaConsumer(*topics, bootstrap_servers=SERVER, **settings)
    await started.start()
    return started


async def admin():
    started = AIOKafkaAdminClient(bootstrap_servers=SERVER)
    await started.start()
    return started


async def make(topic, partitions, **configs):
    with_admin = await admin()
    config = {k.replace("_", "."): v for k, v in configs.items()}
    await with_admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=config)])
    await with_admin.close()
    return [TopicPartition(topic, p) for p in range(partitions)]


async def fill(topic, count, first=0, **send):
    sender = await producer()
    for i in range(first, first + count):
        await sender.send(topic, str(i).encode(), **send)
    await sender.stop()


async def poll(reader, count):
    """Reads until `count` records are there."""
    got = []
    while len(got) < count:
        for records in (await reader.getmany(timeout_ms=500)).values():
            got.extend(records)
    return got


async def read(topic, count, partition=0, **options):
    reader = await consumer(**options)
    reader.assign([TopicPartition(topic, partition)])
    got = await poll(reader, count)
    await reader.stop()
    return got


async def acks(topic, **options):
    await make(topic, 1)
    sender = await producer(**options)
    results = [await sender.send(topic, value, partition=0) for value in (b"a", b"b", b"c")]
    await sender.flush()
    reports = [await result for result in results]
    await sender.stop()
    # acks 0 has no answer and so no report
    offsets = [report.offset for report in reports if report is not None]
    return {"offsets": offsets, "values": values([record.value for record in await read(topic, 3)])}


@case("producer: acks 0")
async def _():
    return {"values": (await acks("acks-0", acks=0))["values"]}


case("producer: acks 1")(lambda: acks("acks-1", acks=1))
case("producer: acks all")(lambda: acks("acks-all", acks="all"))
case("producer: idempotent")(lambda: acks("idempotent", enable_idempotence=True))


async def compressed(codec):
    topic = f"codec-{codec}"
    await make(topic, 1)
    sender = await producer(compression_type=codec, linger_ms=20)
    for key, value, number in codec_lines():
        await sender.send(topic, value.encode(), key=key.encode(), headers=[("n", number.encode())], partition=0)
    await sender.stop()
    records = await read(topic, 200)
    return codec_got([(r.key.decode(), r.value.decode(), r.headers[0][1].decode()) for r in records])


for name in ("gzip", "snappy", "lz4", "zstd"):
    case(f"producer: {name}")(lambda name=name: compressed(name))


@case("producer: a new topic, keys, headers, empty and null values")
async def _():
    sender = await producer()
    await sender.send_and_wait("brand-new", b"v", key=b"k", headers=[("h", b"1")], partition=0)
    await sender.send_and_wait("brand-new", b"", key=b"k", partition=0)
    await sender.send_and_wait("brand-new", None, key=b"t", partition=0)
    await sender.stop()
    text = lambda value: None if value is None else value.decode()
    records = await read("brand-new", 3)
    return {"records": [[text(r.key), text(r.value), [[k, v.decode()] for k, v in r.headers]] for r in records]}


@case("consumer: assign, seek, positions")
async def _():
    [tp] = await make("seek", 1)
    await fill("seek", 10, partition=0)
    reader = await consumer()
    reader.assign([tp])
    reader.seek(tp, 4)
    from4 = values([record.value for record in await poll(reader, 6)])
    position = await reader.position(tp)
    await reader.seek_to_beginning(tp)
    first = (await poll(reader, 10))[0].value.decode()
    begin, end = (await reader.beginning_offsets([tp]))[tp], (await reader.end_offsets([tp]))[tp]
    reader.seek(tp, end - 1)
    last = (await poll(reader, 1))[0].value.decode()
    await reader.stop()
    return {"from4": from4, "first": first, "last": last, "begin": begin, "end": end, "position": position}


@case("consumer: offsets by time")
async def _():
    [tp] = await make("times", 1)
    sender = await producer(linger_ms=50)
    for time_ms in (1000, 2000, 3000):
        await sender.send("times", b"x", partition=0, timestamp_ms=time_ms)
    await sender.stop()
    reader = await consumer()
    got = {}
    for time_ms in (1500, 3000, 3001):
        found = (await reader.offsets_for_times({tp: time_ms}))[tp]
        got[f"at{time_ms}"] = found and [found.offset, found.timestamp]
    await reader.stop()
    return got


@case("consumer: pattern subscription")
async def _():
    for topic in ("pattern-one", "pattern-two"):
        await make(topic, 1)
        await fill(topic, 1)
    reader = await consumer(group_id="pattern")
    reader.subscribe(pattern="^pattern-.*")
    topics = {record.topic for record in await poll(reader, 2)}
    await reader.stop()
    return {"topics": sorted(topics)}


@case("group: two members share, one leaves")
async def _():
    topic = "shared"
    await make(topic, 4)
    await fill(topic, 40)
    one, two = await asyncio.gather(consumer(topic, group_id=topic), consumer(topic, group_id=topic))
    got = []

    async def turn(*members):
        for member in members:
            for records in (await member.getmany(timeout_ms=100)).values():
                got.extend(records)

    while len(one.assignment()) != 2 or len(two.assignment()) != 2:
        await turn(one, two)
    together = [len(one.assignment()), len(two.assignment())]
    while len({(r.partition, r.offset) for r in got}) < 40:
        await turn(one, two)
    await two.stop()
    while len(one.assignment()) != 4:
        await turn(one)
    alone = len(one.assignment())
    await one.stop()
    return {"together": together, "alone": alone, "values": sorted({r.value.decode() for r in got}, key=int)}


@case("group: commit, resume after the hub was killed")
async def _():
    [tp] = await make("resumed", 1)
    await fill("resumed", 10, partition=0)
    reader = await consumer("resumed", group_id="resumed", enable_auto_commit=False)
    before = values([record.value for record in await poll(reader, 10)])
    await reader.commit()
    committed = await reader.committed(tp)
    await reader.stop()
    restart()
    await fill("resumed", 5, first=10, partition=0)
    reader = await consumer("resumed", group_id="resumed", enable_auto_commit=False)
    after = values([record.value for record in await poll(reader, 5)])
    await reader.stop()
    return {"before": before, "committed": committed, "after": after}


@case("group: a static member returns without a rebalance")
async def _():
    await make("static", 2)

    class Listener(ConsumerRebalanceListener):
        revoked = 0

        def on_partitions_revoked(self, _):
            self.revoked += 1

        def on_partitions_assigned(self, _):
            pass

    async def member(name):
        reader = await consumer(group_id="static", group_instance_id=name, session_timeout_ms=30000)
        listener = Listener()
        reader.subscribe(["static"], listener=listener)
        return reader, listener

    (one, listener), (two, _) = await asyncio.gather(member("one"), member("two"))
    while len(one.assignment()) != 1 or len(two.assignment()) != 1:
        await asyncio.sleep(0.05)
    listener.revoked = 0
    await two.stop()
    again, _ = await member("two")
    while len(again.assignment()) != 1:
        await asyncio.sleep(0.05)
    # one heartbeat more would tell of a rebalance
    await asyncio.sleep(0.7)
    got = {"sameGeneration": listener.revoked == 0}
    await one.stop()
    await again.stop()
    return got


@case("admin: create, describe, grow, delete topics")
async def _():
    with_admin = await admin()

    async def count():
        return len((await with_admin.describe_topics(["made"]))[0]["partitions"])

    await with_admin.create_topics([NewTopic("made", 2, 1)])
    made = await count()
    await with_admin.create_partitions({"made": NewPartitions(5)})
    grown = await count()
    listed = "made" in await with_admin.list_topics()
    await with_admin.delete_topics(["made"])
    gone = "made" not in await with_admin.list_topics()
    await with_admin.close()
    return {"made": made, "grown": grown, "listed": listed, "gone": gone}


@case("admin: a topic that exists, one that does not")
async def _():
    with_admin = await admin()
    await with_admin.create_topics([NewTopic("twice", 1, 1)])
    again = await with_admin.create_topics([NewTopic("twice", 1, 1)])
    gone = await with_admin.delete_topics(["missing"])
    await with_admin.close()
    exists = [error[1] for error in again.topic_errors] == [errors.TopicAlreadyExistsError.errno]
    missing = [error[1] for error in gone.topic_error_codes] == [errors.UnknownTopicOrPartitionError.errno]
    return {"exists": exists, "missing": missing}


@case("admin: describe and alter settings")
async def _():
    # its alter replaces the whole set of settings
    await make("configured", 1, cleanup_policy="compact")
    with_admin = await admin()

    async def value(name):
        resource = ConfigResource(ConfigResourceType.TOPIC, "configured")
        [reply] = await with_admin.describe_configs([resource])
        return {entry[0]: entry[1] for entry in reply.resources[0][4]}[name]

    async def alter(**configs):
        settings = {k.replace("_", "."): v for k, v in configs.items()}
        await with_admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "configured", settings)])

    before = await value("retention.ms")
    await alter(retention_ms="1000", cleanup_policy="compact")
    after, kept = await value("retention.ms"), await value("cleanup.policy")
    await alter(cleanup_policy="compact")
    reset = await value("retention.ms")
    await with_admin.close()
    return {"before": before, "after": after, "kept": kept, "reset": reset}


async def group_with_offset(group, topic):
    [tp] = await make(topic, 1)
    await fill(topic, 3, partition=0)
    reader = await consumer(topic, group_id=group)
    await poll(reader, 3)
    await reader.commit()
    await reader.stop()
    return tp


@case("admin: list, describe groups; their offsets")
async def _():
    tp = await group_with_offset("listed", "listed")
    with_admin = await admin()
    listed = "listed" in [group[0] for group in await with_admin.list_consumer_groups()]
    [described] = await with_admin.describe_consumer_groups(["listed"])
    offsets = await with_admin.list_consumer_group_offsets("listed")
    await with_admin.close()
    return {"listed": listed, "state": described.groups[0][2], "offset": offsets[tp].offset}


@case("admin: delete records")
async def _():
    [tp] = await make("trimmed", 1)
    await fill("trimmed", 10, partition=0)
    with_admin = await admin()
    low = (await with_admin.delete_records({tp: RecordsToDelete(4)}))[tp]
    await with_admin.close()
    return {"low": low, "first": (await read("trimmed", 6))[0].value.decode()}


@case("admin: cluster")
async def _():
    with_admin = await admin()
    cluster = await with_admin.describe_cluster()
    await with_admin.close()
    return {
        "brokers": len(cluster["brokers"]),
        "controller": cluster["controller_id"],
        "clusterId": len(cluster["cluster_id"]) > 0,
    }


async def ended(sender, topic, letters, commit):
    await sender.begin_transaction()
    for letter in letters:
        await sender.send(topic, letter.encode(), partition=0)
    await sender.flush()
    if commit:
        await sender.commit_transaction()
    else:
        await sender.abort_transaction()


@case("transactions: commit, abort, read committed")
async def _():
    await make("txn", 1)
    sender = await producer(transactional_id="txn")
    await ended(sender, "txn", "ab", True)
    await ended(sender, "txn", "cd", False)
    await ended(sender, "txn", "e", True)
    await sender.stop()
    committed = await read("txn", 3, isolation_level="read_committed")
    return {"committed": values([r.value for r in committed]), "all": values([r.value for r in await read("txn", 5)])}


@case("transactions: offsets in them")
async def _():
    [tp] = await make("txn-in", 1)
    await make("txn-out", 1)
    await fill("txn-in", 5, partition=0)
    reader = await consumer("txn-in", group_id="txn-group", enable_auto_commit=False)
    records = await poll(reader, 5)
    sender = await producer(transactional_id="txn-offsets")
    got = {}
    for name, commit in (("aborted", False), ("committed", True)):
        await sender.begin_transaction()
        for record in records:
            await sender.send("txn-out", record.value, partition=0)
        await sender.send_offsets_to_transaction({tp: 5}, "txn-group")
        if commit:
            await sender.commit_transaction()
        else:
            await sender.abort_transaction()
        got[name] = await reader.committed(tp)
        # it does not ask for stable offsets: the transaction's may still be on their way
        while commit and got[name] is None:
            got[name] = await reader.committed(tp)
    await sender.stop()
    await reader.stop()
    got["out"] = values([r.value for r in await read("txn-out", 5, isolation_level="read_committed")])
    return got


@case("transactions: a second producer fences the first")
async def _():
    await make("fenced", 1)
    first = await producer(transactional_id="fenced")
    await first.begin_transaction()
    await first.send_and_wait("fenced", b"first", partition=0)
    second = await producer(transactional_id="fenced")
    try:
        await first.commit_transaction()
        fenced = False
    except (errors.ProducerFenced, errors.InvalidProducerEpoch):
        fenced = True
    await ended(second, "fenced", ["second"], True)
    await second.stop()
    got = values([r.value for r in await read("fenced", 1, isolation_level="read_committed")])
    await first.stop()
    return {"fenced": fenced, "values": got}


run_all(lambda function: asyncio.run(function()))
