# kafka-python 2, Debian's python3-kafka, against a hub: `main.py <host:port> [words of a case...]`.
import sys
import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition, errors
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic

from cases import case, codec_got, codec_lines, restart, run_all, values

SERVER = sys.argv[1]


def producer(**options):
    return KafkaProducer(bootstrap_servers=SERVER, **options)


def consumer(*topics, **options):
    settings = {"auto_offset_reset": "earliest", "heartbeat_interval_ms": 500, **options}
    return KafkaConsumer(*topics, bootstrap_servers=SERVER, **settings)


def admin():
    return KafkaAdminClient(bootstrap_servers=SERVER)


def make(topic, partitions, **configs):
    with_admin = admin()
    config = {k.replace("_", "."): v for k, v in configs.items()}
    with_admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=config)])
    with_admin.close()
    return [TopicPartition(topic, p) for p in range(partitions)]


def fill(topic, count, first=0, **send):
    with_producer = producer()
    for i in range(first, first + count):
        with_producer.send(topic, str(i).encode(), **send)
    with_producer.flush()
    with_producer.close()


def poll(reader, count):
    """Reads until `count` records are there."""
    got = []
    while len(got) < count:
        for records in reader.poll(timeout_ms=500).values():
            got.extend(records)
    return got


def read(topic, count, partition=0, **options):
    reader = consumer(**options)
    reader.assign([TopicPartition(topic, partition)])
    got = poll(reader, count)
    reader.close()
    return got


def acks(topic, **options):
    make(topic, 1)
    sender = producer(**options)
    results = [sender.send(topic, value, partition=0) for value in (b"a", b"b", b"c")]
    sender.flush()
    offsets = [result.get(timeout=30).offset for result in results]
    sender.close()
    return offsets, values([record.value for record in read(topic, 3)])


@case("producer: acks 0")
def _():
    _, got = acks("acks-0", acks=0)
    return {"values": got}


@case("producer: acks 1")
def _():
    offsets, got = acks("acks-1", acks=1)
    return {"offsets": offsets, "values": got}


@case("producer: acks all")
def _():
    offsets, got = acks("acks-all", acks="all")
    return {"offsets": offsets, "values": got}


def compressed(codec):
    topic = f"codec-{codec}"
    make(topic, 1)
    sender = producer(compression_type=codec, linger_ms=20)
    for key, value, number in codec_lines():
        sender.send(topic, value.encode(), key=key.encode(), headers=[("n", number.encode())], partition=0)
    sender.flush()
    sender.close()
    records = read(topic, 200)
    return codec_got([(r.key.decode(), r.value.decode(), r.headers[0][1].decode()) for r in records])


case("producer: gzip")(lambda: compressed("gzip"))


@case("producer: a new topic, keys, headers, empty and null values")
def _():
    sender = producer()
    sender.send("brand-new", b"v", key=b"k", headers=[("h", b"1")], partition=0).get(timeout=30)
    sender.send("brand-new", b"", key=b"k", partition=0).get(timeout=30)
    sender.send("brand-new", None, key=b"t", partition=0).get(timeout=30)
    sender.close()
    records = read("brand-new", 3)
    text = lambda value: None if value is None else value.decode()
    return {"records": [[text(r.key), text(r.value), [[k, v.decode()] for k, v in r.headers]] for r in records]}


@case("consumer: assign, seek, positions")
def _():
    [tp] = make("seek", 1)
    fill("seek", 10, partition=0)
    reader = consumer()
    reader.assign([tp])
    reader.seek(tp, 4)
    from4 = values([record.value for record in poll(reader, 6)])
    position = reader.position(tp)
    reader.seek_to_beginning(tp)
    first = poll(reader, 10)[0].value.decode()
    reader.seek(tp, reader.end_offsets([tp])[tp] - 1)
    last = poll(reader, 1)[0].value.decode()
    marks = (reader.beginning_offsets([tp])[tp], reader.end_offsets([tp])[tp])
    reader.close()
    return {"from4": from4, "first": first, "last": last, "begin": marks[0], "end": marks[1], "position": position}


@case("consumer: offsets by time")
def _():
    [tp] = make("times", 1)
    sender = producer(linger_ms=50)
    for time_ms in (1000, 2000, 3000):
        sender.send("times", b"x", partition=0, timestamp_ms=time_ms)
    sender.flush()
    sender.close()
    reader = consumer()
    reader.assign([tp])
    got = {}
    for time_ms in (1500, 3000, 3001):
        found = reader.offsets_for_times({tp: time_ms})[tp]
        got[f"at{time_ms}"] = found and [found.offset, found.timestamp]
    reader.close()
    return got


@case("consumer: pattern subscription")
def _():
    for topic in ("pattern-one", "pattern-two"):
        make(topic, 1)
        fill(topic, 1)
    reader = consumer(group_id="pattern")
    reader.subscribe(pattern="^pattern-.*")
    topics = {record.topic for record in poll(reader, 2)}
    reader.close()
    return {"topics": sorted(topics)}


class Member(threading.Thread):
    """A consumer of a group in a thread of its own: joining blocks it until the others have come as well."""

    def __init__(self, topic):
        super().__init__(daemon=True)
        self.topic = topic
        self.held = 0
        self.values = set()
        self.done = threading.Event()
        self.start()

    def run(self):
        reader = consumer(self.topic, group_id=self.topic)
        while not self.done.is_set():
            for records in reader.poll(timeout_ms=100).values():
                self.values.update(record.value.decode() for record in records)
            self.held = len(reader.assignment())
        reader.close()

    def leave(self):
        self.done.set()
        self.join()


def until(holds):
    while not holds():
        time.sleep(0.02)


@case("group: two members share, one leaves")
def _():
    topic = "shared"
    make(topic, 4)
    fill(topic, 40)
    one, two = Member(topic), Member(topic)
    until(lambda: one.held == 2 and two.held == 2)
    together = [one.held, two.held]
    until(lambda: len(one.values | two.values) == 40)
    two.leave()
    until(lambda: one.held == 4)
    alone = one.held
    one.leave()
    return {"together": together, "alone": alone, "values": sorted(one.values | two.values, key=int)}


@case("group: commit, resume after the hub was killed")
def _():
    [tp] = make("resumed", 1)
    fill("resumed", 10, partition=0)
    reader = consumer("resumed", group_id="resumed", enable_auto_commit=False)
    before = values([record.value for record in poll(reader, 10)])
    reader.commit()
    committed = reader.committed(tp)
    reader.close()
    restart()
    fill("resumed", 5, first=10, partition=0)
    reader = consumer("resumed", group_id="resumed", enable_auto_commit=False)
    after = values([record.value for record in poll(reader, 5)])
    reader.close()
    return {"before": before, "committed": committed, "after": after}


@case("admin: create, describe, grow, delete topics")
def _():
    with_admin = admin()
    count = lambda: len(with_admin.describe_topics(["made"])[0]["partitions"])
    with_admin.create_topics([NewTopic("made", 2, 1)])
    made = count()
    with_admin.create_partitions({"made": NewPartitions(5)})
    grown = count()
    listed = "made" in with_admin.list_topics()
    with_admin.delete_topics(["made"])
    gone = "made" not in with_admin.list_topics()
    with_admin.close()
    return {"made": made, "grown": grown, "listed": listed, "gone": gone}


def raises(kind, function):
    try:
        function()
    except kind:
        return True
    return False


@case("admin: a topic that exists, one that does not")
def _():
    with_admin = admin()
    with_admin.create_topics([NewTopic("twice", 1, 1)])
    exists = raises(errors.TopicAlreadyExistsError, lambda: with_admin.create_topics([NewTopic("twice", 1, 1)]))
    missing = raises(errors.UnknownTopicOrPartitionError, lambda: with_admin.delete_topics(["missing"]))
    with_admin.close()
    return {"exists": exists, "missing": missing}


@case("admin: describe and alter settings")
def _():
    # its alter replaces the whole set of settings
    make("configured", 1, cleanup_policy="compact")
    with_admin = admin()

    def value(name):
        [reply] = with_admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "configured")])
        return {entry[0]: entry[1] for entry in reply.resources[0][4]}[name]

    def alter(**configs):
        settings = {k.replace("_", "."): v for k, v in configs.items()}
        with_admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "configured", settings)])

    before = value("retention.ms")
    alter(retention_ms="1000", cleanup_policy="compact")
    after, kept = value("retention.ms"), value("cleanup.policy")
    alter(cleanup_policy="compact")
    reset = value("retention.ms")
    with_admin.close()
    return {"before": before, "after": after, "kept": kept, "reset": reset}


def group_with_offset(group, topic):
    [tp] = make(topic, 1)
    fill(topic, 3, partition=0)
    reader = consumer(topic, group_id=group)
    poll(reader, 3)
    reader.commit()
    reader.close()
    return tp


@case("admin: list, describe groups; their offsets")
def _():
    tp = group_with_offset("listed", "listed")
    with_admin = admin()
    listed = "listed" in [group for group, _ in with_admin.list_consumer_groups()]
    state = with_admin.describe_consumer_groups(["listed"])[0].state
    offset = with_admin.list_consumer_group_offsets("listed")[tp].offset
    with_admin.close()
    return {"listed": listed, "state": state, "offset": offset}


@case("admin: cluster")
def _():
    with_admin = admin()
    cluster = with_admin.describe_cluster()
    with_admin.close()
    return {
        "brokers": len(cluster["brokers"]),
        "controller": cluster["controller_id"],
        "clusterId": len(cluster["cluster_id"]) > 0,
    }


run_all()
