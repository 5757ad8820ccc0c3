# confluent-kafka (librdkafka) against a hub: `main.py <host:port> [words of a case...]`.
import sys

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)

from cases import case, codec_got, codec_lines, restart, run_all, values

SERVER = sys.argv[1]


def producer(**options):
    return Producer({"bootstrap.servers": SERVER, **{k.replace("_", "."): v for k, v in options.items()}})


def consumer(group="unused", **options):
    settings = {"group.id": group, "auto.offset.reset": "earliest", "topic.metadata.refresh.interval.ms": 1000}
    settings.update({k.replace("_", "."): v for k, v in options.items()})
    return Consumer({"bootstrap.servers": SERVER, **settings})


ADMIN = AdminClient({"bootstrap.servers": SERVER})


def done(futures):
    return {key: future.result(30) for key, future in futures.items()}


def make(topic, partitions, **configs):
    config = {k.replace("_", "."): v for k, v in configs.items()}
    done(ADMIN.create_topics([NewTopic(topic, partitions, config=config)]))
    return [TopicPartition(topic, p) for p in range(partitions)]


def send(sender, topic, value, reports=None, **options):
    def delivered(error, message):
        if error is not None:
            raise KafkaException(error)
        if reports is not None:
            reports.append(message.offset())

    sender.produce(topic, value, on_delivery=delivered, **options)


def fill(topic, count, first=0, **options):
    sender = producer()
    for i in range(first, first + count):
        send(sender, topic, str(i), **options)
    assert sender.flush(30) == 0


def poll(reader, count):
    """Reads until `count` records are there."""
    got = []
    while len(got) < count:
        message = reader.poll(0.5)
        if message is None:
            continue
        if message.error():
            # a topic that was just made may not be known to it yet
            if message.error().code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                continue
            raise KafkaException(message.error())
        got.append(message)
    return got


def read(topic, count, partition=0, **options):
    reader = consumer(**options)
    reader.assign([TopicPartition(topic, partition, 0)])
    got = poll(reader, count)
    reader.close()
    return got


def values_of(messages):
    return values([message.value() for message in messages])


def acks(topic, **options):
    make(topic, 1)
    sender = producer(**options)
    offsets = []
    for value in ("a", "b", "c"):
        send(sender, topic, value, offsets, partition=0)
    assert sender.flush(30) == 0
    return {"offsets": offsets, "values": values_of(read(topic, 3))}


@case("producer: acks 0")
def _():
    return {"values": acks("acks-0", acks="0")["values"]}


case("producer: acks 1")(lambda: acks("acks-1", acks="1"))
case("producer: acks all")(lambda: acks("acks-all", acks="all"))
case("producer: idempotent")(lambda: acks("idempotent", enable_idempotence=True))


def compressed(codec):
    topic = f"codec-{codec}"
    make(topic, 1)
    sender = producer(compression_type=codec)
    for key, value, number in codec_lines():
        send(sender, topic, value, key=key, headers={"n": number}, partition=0)
    assert sender.flush(30) == 0
    messages = read(topic, 200)
    return codec_got([(m.key().decode(), m.value().decode(), m.headers()[0][1].decode()) for m in messages])


for name in ("gzip", "snappy", "lz4", "zstd"):
    case(f"producer: {name}")(lambda name=name: compressed(name))


@case("producer: a new topic, keys, headers, empty and null values")
def _():
    sender = producer()
    send(sender, "brand-new", "v", key="k", headers=[("h", "1")], partition=0)
    send(sender, "brand-new", "", key="k", partition=0)
    send(sender, "brand-new", None, key="t", partition=0)
    assert sender.flush(30) == 0
    text = lambda value: None if value is None else value.decode()
    return {
        "records": [
            [text(m.key()), text(m.value()), [[k, v.decode()] for k, v in m.headers() or []]]
            for m in read("brand-new", 3)
        ]
    }


@case("consumer: assign, seek, positions")
def _():
    make("seek", 1)
    fill("seek", 10, partition=0)
    reader = consumer()
    reader.assign([TopicPartition("seek", 0, 4)])
    from4 = values_of(poll(reader, 6))
    [position] = reader.position([TopicPartition("seek", 0)])
    reader.seek(TopicPartition("seek", 0, 0))
    first = poll(reader, 10)[0].value().decode()
    begin, end = reader.get_watermark_offsets(TopicPartition("seek", 0), timeout=10)
    reader.seek(TopicPartition("seek", 0, end - 1))
    last = poll(reader, 1)[0].value().decode()
    reader.close()
    return {"from4": from4, "first": first, "last": last, "begin": begin, "end": end, "position": position.offset}


@case("consumer: offsets by time")
def _():
    make("times", 1)
    sender = producer(linger_ms=50)
    for time_ms in (1000, 2000, 3000):
        send(sender, "times", "x", partition=0, timestamp=time_ms)
    assert sender.flush(30) == 0
    reader = consumer()
    got = {}
    for time_ms in (1500, 3000, 3001):
        [found] = reader.offsets_for_times([TopicPartition("times", 0, time_ms)], timeout=10)
        if found.offset < 0:
            got[f"at{time_ms}"] = None
            continue
        reader.assign([TopicPartition("times", 0, found.offset)])
        got[f"at{time_ms}"] = [found.offset, poll(reader, 1)[0].timestamp()[1]]
    reader.close()
    return got


@case("consumer: pattern subscription")
def _():
    for topic in ("pattern-one", "pattern-two"):
        make(topic, 1)
        fill(topic, 1)
    reader = consumer("pattern")
    reader.subscribe(["^pattern-.*"])
    topics = {message.topic() for message in poll(reader, 2)}
    reader.close()
    return {"topics": sorted(topics)}


def shared(topic, **options):
    make(topic, 4)
    fill(topic, 40)
    one, two = consumer(topic, **options), consumer(topic, **options)
    for member in (one, two):
        member.subscribe([topic])
    got = []

    def turn(*members):
        for member in members:
            message = member.poll(0.05)
            if message is not None and not message.error():
                got.append(message)

    while len(one.assignment()) != 2 or len(two.assignment()) != 2:
        turn(one, two)
    together = [len(one.assignment()), len(two.assignment())]
    while len({(m.partition(), m.offset()) for m in got}) < 40:
        turn(one, two)
    two.close()
    while len(one.assignment()) != 4:
        turn(one)
    alone = len(one.assignment())
    one.close()
    return {"together": together, "alone": alone, "values": sorted({m.value().decode() for m in got}, key=int)}


def resumed(topic, **options):
    make(topic, 1)
    fill(topic, 10, partition=0)
    reader = consumer(topic, enable_auto_commit=False, **options)
    reader.subscribe([topic])
    before = values_of(poll(reader, 10))
    reader.commit(asynchronous=False)
    [committed] = reader.committed([TopicPartition(topic, 0)], timeout=10)
    reader.close()
    restart()
    fill(topic, 5, first=10, partition=0)
    reader = consumer(topic, enable_auto_commit=False, **options)
    reader.subscribe([topic])
    after = values_of(poll(reader, 5))
    reader.close()
    return {"before": before, "committed": committed.offset, "after": after}


case("group: two members share, one leaves")(lambda: shared("shared"))
case("group: commit, resume after the hub was killed")(lambda: resumed("resumed"))
NEW = {"group_protocol": "consumer"}
case("new group protocol: two members share, one leaves")(lambda: shared("shared-848", **NEW))
case("new group protocol: commit, resume after the hub was killed")(lambda: resumed("resumed-848", **NEW))


@case("group: a static member returns without a rebalance")
def _():
    make("static", 2)
    one = consumer("static", group_instance_id="one")
    two = consumer("static", group_instance_id="two")
    revoked = []
    one.subscribe(["static"], on_revoke=lambda *_: revoked.append(1))
    two.subscribe(["static"])
    while len(one.assignment()) != 1 or len(two.assignment()) != 1:
        one.poll(0.05)
        two.poll(0.05)
    revoked.clear()
    two.close()
    again = consumer("static", group_instance_id="two")
    again.subscribe(["static"])
    while len(again.assignment()) != 1:
        one.poll(0.05)
        again.poll(0.05)
    got = {"sameGeneration": not revoked}
    one.close()
    again.close()
    return got


@case("admin: create, describe, grow, delete topics")
def _():
    count = lambda: len(done(ADMIN.describe_topics(TopicCollection(["made"])))["made"].partitions)
    make("made", 2)
    made = count()
    done(ADMIN.create_partitions([NewPartitions("made", 5)]))
    grown = count()
    listed = "made" in ADMIN.list_topics(timeout=10).topics
    done(ADMIN.delete_topics(["made"]))
    gone = "made" not in ADMIN.list_topics(timeout=10).topics
    return {"made": made, "grown": grown, "listed": listed, "gone": gone}


def fails(code, futures):
    try:
        done(futures)
    except KafkaException as error:
        return error.args[0].code() == code
    return False


@case("admin: a topic that exists, one that does not")
def _():
    make("twice", 1)
    exists = fails(KafkaError.TOPIC_ALREADY_EXISTS, ADMIN.create_topics([NewTopic("twice", 1)]))
    missing = fails(KafkaError.UNKNOWN_TOPIC_OR_PART, ADMIN.delete_topics(["missing"]))
    return {"exists": exists, "missing": missing}


@case("admin: describe and alter settings")
def _():
    make("configured", 1, cleanup_policy="compact")

    def resource(entries=None):
        return ConfigResource(ConfigResource.Type.TOPIC, "configured", incremental_configs=entries)

    def value(name):
        [described] = done(ADMIN.describe_configs([resource()])).values()
        return described[name].value

    def alter(value, operation):
        entry = ConfigEntry("retention.ms", value, incremental_operation=operation)
        done(ADMIN.incremental_alter_configs([resource([entry])]))

    before = value("retention.ms")
    alter("1000", AlterConfigOpType.SET)
    after, kept = value("retention.ms"), value("cleanup.policy")
    alter(None, AlterConfigOpType.DELETE)
    return {"before": before, "after": after, "kept": kept, "reset": value("retention.ms")}


def group_with_offset(group, topic):
    make(topic, 1)
    fill(topic, 3, partition=0)
    reader = consumer(group)
    reader.subscribe([topic])
    poll(reader, 3)
    reader.commit(asynchronous=False)
    reader.close()


@case("admin: list, describe, delete groups")
def _():
    group_with_offset("listed", "listed")
    groups = ADMIN.list_consumer_groups().result(30).valid
    described = done(ADMIN.describe_consumer_groups(["listed"]))["listed"]
    deleted = done(ADMIN.delete_consumer_groups(["listed"]))["listed"] is None
    missing = fails(KafkaError.GROUP_ID_NOT_FOUND, ADMIN.delete_consumer_groups(["listed"]))
    return {
        "listed": "listed" in [group.group_id for group in groups],
        "state": described.state.name.capitalize(),
        "deleted": deleted,
        "missing": missing,
    }


@case("admin: group offsets: list, alter")
def _():
    group_with_offset("offsets", "offsets")

    def offset():
        listed = done(ADMIN.list_consumer_group_offsets([ConsumerGroupTopicPartitions("offsets")]))["offsets"]
        return listed.topic_partitions[0].offset

    before = offset()
    change = ConsumerGroupTopicPartitions("offsets", [TopicPartition("offsets", 0, 1)])
    done(ADMIN.alter_consumer_group_offsets([change]))
    return {"listed": before, "altered": offset()}


@case("admin: delete records")
def _():
    make("trimmed", 1)
    fill("trimmed", 10, partition=0)
    [deleted] = done(ADMIN.delete_records([TopicPartition("trimmed", 0, 4)])).values()
    return {"low": deleted.low_watermark, "first": read("trimmed", 6)[0].value().decode()}


@case("admin: offsets of every kind")
def _():
    make("kinds", 1)
    sender = producer(linger_ms=0)
    for time_ms in (1000, 3000, 2000):
        send(sender, "kinds", "x", partition=0, timestamp=time_ms)
        assert sender.flush(30) == 0

    def offset(spec):
        [found] = done(ADMIN.list_offsets({TopicPartition("kinds", 0): spec})).values()
        return found.offset

    return {
        "earliest": offset(OffsetSpec.earliest()),
        "latest": offset(OffsetSpec.latest()),
        "newest": offset(OffsetSpec.max_timestamp()),
    }


@case("admin: cluster")
def _():
    cluster = ADMIN.describe_cluster().result(30)
    return {
        "brokers": len(cluster.nodes),
        "controller": cluster.controller.id,
        "clusterId": len(cluster.cluster_id) > 0,
    }


def ended(sender, topic, letters, commit):
    sender.begin_transaction()
    for letter in letters:
        send(sender, topic, letter, partition=0)
    if commit:
        sender.commit_transaction(30)
    else:
        sender.flush(30)
        sender.abort_transaction(30)


@case("transactions: commit, abort, read committed")
def _():
    make("txn", 1)
    sender = producer(transactional_id="txn")
    sender.init_transactions(30)
    ended(sender, "txn", "ab", True)
    ended(sender, "txn", "cd", False)
    ended(sender, "txn", "e", True)
    return {
        "committed": values_of(read("txn", 3, isolation_level="read_committed")),
        "all": values_of(read("txn", 5, isolation_level="read_uncommitted")),
    }


@case("transactions: offsets in them")
def _():
    make("txn-in", 1)
    make("txn-out", 1)
    fill("txn-in", 5, partition=0)
    reader = consumer("txn-group", enable_auto_commit=False)
    reader.subscribe(["txn-in"])
    messages = poll(reader, 5)
    sender = producer(transactional_id="txn-offsets")
    sender.init_transactions(30)
    got = {}
    for name, commit in (("aborted", False), ("committed", True)):
        sender.begin_transaction()
        for message in messages:
            send(sender, "txn-out", message.value(), partition=0)
        offsets = reader.position(reader.assignment())
        sender.send_offsets_to_transaction(offsets, reader.consumer_group_metadata(), 30)
        # an abort drops what was not sent yet, and reports each record of it as purged
        sender.flush(30)
        sender.commit_transaction(30) if commit else sender.abort_transaction(30)
        [found] = reader.committed([TopicPartition("txn-in", 0)], timeout=10)
        got[name] = found.offset if found.offset >= 0 else None
    reader.close()
    got["out"] = values_of(read("txn-out", 5, isolation_level="read_committed"))
    return got


@case("transactions: a second producer fences the first")
def _():
    make("fenced", 1)
    first, second = producer(transactional_id="fenced"), producer(transactional_id="fenced")
    first.init_transactions(30)
    first.begin_transaction()
    send(first, "fenced", "first", partition=0)
    first.flush(30)
    second.init_transactions(30)
    try:
        first.commit_transaction(30)
        fenced = False
    except KafkaException as error:
        fenced = error.args[0].code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED)
    ended(second, "fenced", ["second"], True)
    return {"fenced": fenced, "values": values_of(read("fenced", 1, isolation_level="read_committed"))}


run_all()
