# kafka-python 3 against a hub: `main.py <host:port> [words of a case...]`.
import sys
import time

from kafka import (
    IsolationLevel,
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
    OffsetAndMetadata,
    OffsetSpec,
    TopicPartition,
)
from kafka.admin import ConfigResource, ConfigResourceType
from kafka import errors

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
    options = {"num_partitions": partitions, "configs": {k.replace("_", "."): v for k, v in configs.items()}}
    with_admin.create_topics({topic: options}, wait_for_metadata=True)
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
    _, got = acks("acks-0", acks=0, enable_idempotence=False)
    return {"values": got}


@case("producer: acks 1")
def _():
    offsets, got = acks("acks-1", acks=1, enable_idempotence=False)
    return {"offsets": offsets, "values": got}


@case("producer: acks all")
def _():
    offsets, got = acks("acks-all", acks="all", enable_idempotence=False)
    return {"offsets": offsets, "values": got}


@case("producer: idempotent")
def _():
    offsets, got = acks("idempotent")
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


for name in ("gzip", "snappy", "lz4", "zstd"):
    case(f"producer: {name}")(lambda name=name: compressed(name))


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


@case("group: two members share, one leaves")
def _():
    topic = "shared"
    make(topic, 4)
    fill(topic, 40)
    one, two = consumer(topic, group_id="shared"), consumer(topic, group_id="shared")
    got = []

    def turn(*members):
        for member in members:
            for records in member.poll(timeout_ms=100).values():
                got.extend(records)

    while len(one.assignment()) != 2 or len(two.assignment()) != 2:
        turn(one, two)
    together = [len(one.assignment()), len(two.assignment())]
    while len({(r.partition, r.offset) for r in got}) < 40:
        turn(one, two)
    two.close()
    while len(one.assignment()) != 4:
        turn(one)
    alone = len(one.assignment())
    one.close()
    return {"together": together, "alone": alone, "values": sorted({r.value.decode() for r in got}, key=int)}


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


@case("group: a static member returns without a rebalance")
def _():
    make("static", 1)
    generations = []
    for _ in range(2):
        reader = consumer("static", group_id="static", group_instance_id="one")
        while not reader.assignment():
            reader.poll(timeout_ms=100)
        generations.append(reader.group_metadata().generation_id)
        reader.close()
    return {"sameGeneration": generations[0] == generations[1]}


@case("admin: create, describe, grow, delete topics")
def _():
    with_admin = admin()
    count = lambda: len(with_admin.describe_topics(["made"])[0]["partitions"])
    with_admin.create_topics({"made": {"num_partitions": 2, "replication_factor": 1}}, wait_for_metadata=True)
    made = count()
    with_admin.create_partitions({"made": 5})
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
    with_admin.create_topics(["twice"])
    exists = raises(errors.TopicAlreadyExistsError, lambda: with_admin.create_topics(["twice"]))
    missing = raises(errors.UnknownTopicOrPartitionError, lambda: with_admin.delete_topics(["missing"]))
    with_admin.close()
    return {"exists": exists, "missing": missing}


@case("admin: describe and alter settings")
def _():
    make("configured", 1, cleanup_policy="compact")
    with_admin = admin()

    def resource(configs=None):
        return ConfigResource(ConfigResourceType.TOPIC, "configured", configs)

    def value(name):
        described = with_admin.describe_configs([resource()], config_filter="all")
        if isinstance(described, list):
            return described[0][name]["value"]
        return described["topic"]["configured"][name]["value"]

    before = value("retention.ms")
    with_admin.alter_configs([resource({"retention.ms": "1000"})])
    after, kept = value("retention.ms"), value("cleanup.policy")
    with_admin.reset_configs([resource({"retention.ms": None})])
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


@case("admin: list, describe, delete groups")
def _():
    group_with_offset("listed", "listed")
    with_admin = admin()
    listed = "listed" in [group["group_id"] for group in with_admin.list_groups()]
    state = with_admin.describe_groups(["listed"])["listed"]["group_state"]
    deleted = with_admin.delete_groups(["listed"]) == {"listed": "OK"}
    missing = with_admin.delete_groups(["listed"]) == {"listed": "GroupIdNotFoundError"}
    with_admin.close()
    return {"listed": listed, "state": state, "deleted": deleted, "missing": missing}


@case("admin: group offsets: list, alter, delete")
def _():
    tp = group_with_offset("offsets", "offsets")
    with_admin = admin()
    offset = lambda: with_admin.list_group_offsets("offsets")["offsets"][tp].offset
    listed = offset()
    with_admin.alter_group_offsets("offsets", {tp: OffsetAndMetadata(1, "", -1)})
    altered = offset()
    deleted = with_admin.delete_group_offsets("offsets", [tp]) == {tp: errors.NoError}
    with_admin.close()
    return {"listed": listed, "altered": altered, "deleted": deleted}


@case("admin: delete records")
def _():
    [tp] = make("trimmed", 1)
    fill("trimmed", 10, partition=0)
    with_admin = admin()
    low = with_admin.delete_records({tp: 4})[tp]["low_watermark"]
    with_admin.close()
    return {"low": low, "first": read("trimmed", 6)[0].value.decode()}


@case("admin: offsets of every kind")
def _():
    [tp] = make("kinds", 1)
    sender = producer()
    for time_ms in (1000, 3000, 2000):
        sender.send("kinds", b"x", partition=0, timestamp_ms=time_ms).get(timeout=30)
    sender.close()
    with_admin = admin()
    offset = lambda spec: with_admin.list_partition_offsets({tp: spec})[tp].offset
    got = {
        "earliest": offset(OffsetSpec.EARLIEST),
        "latest": offset(OffsetSpec.LATEST),
        "newest": offset(OffsetSpec.MAX_TIMESTAMP),
    }
    with_admin.close()
    return got


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


def ended(sender, topic, letters, commit):
    sender.begin_transaction()
    for letter in letters:
        sender.send(topic, letter.encode(), partition=0)
    sender.flush()
    if commit:
        sender.commit_transaction()
    else:
        sender.abort_transaction()


@case("transactions: commit, abort, read committed")
def _():
    make("txn", 1)
    sender = producer(transactional_id="txn")
    sender.init_transactions()
    ended(sender, "txn", "ab", True)
    ended(sender, "txn", "cd", False)
    ended(sender, "txn", "e", True)
    sender.close()
    committed = read("txn", 3, isolation_level="read_committed")
    return {"committed": values([r.value for r in committed]), "all": values([r.value for r in read("txn", 5)])}


@case("transactions: offsets in them")
def _():
    [tp] = make("txn-in", 1)
    make("txn-out", 1)
    fill("txn-in", 5, partition=0)
    reader = consumer("txn-in", group_id="txn-group", enable_auto_commit=False)
    records = poll(reader, 5)
    sender = producer(transactional_id="txn-offsets")
    sender.init_transactions()
    got = {}
    for name, commit in (("aborted", False), ("committed", True)):
        sender.begin_transaction()
        for record in records:
            sender.send("txn-out", record.value, partition=0)
        sender.send_offsets_to_transaction({tp: OffsetAndMetadata(5, "", -1)}, reader.group_metadata())
        if commit:
            sender.commit_transaction()
        else:
            sender.abort_transaction()
        got[name] = reader.committed(tp)
        # it does not ask for stable offsets: the transaction's may still be on their way
        while commit and got[name] is None:
            got[name] = reader.committed(tp)
    sender.close()
    reader.close()
    got["out"] = values([r.value for r in read("txn-out", 5, isolation_level="read_committed")])
    return got


@case("transactions: a second producer fences the first")
def _():
    make("fenced", 1)
    first, second = producer(transactional_id="fenced"), producer(transactional_id="fenced")
    first.init_transactions()
    first.begin_transaction()
    first.send("fenced", b"first", partition=0).get(timeout=30)
    second.init_transactions()
    try:
        first.commit_transaction()
        fenced = False
    except (errors.ProducerFencedError, errors.InvalidProducerEpochError):
        fenced = True
    ended(second, "fenced", ["second"], True)
    second.close()
    got = values([r.value for r in read("fenced", 1, isolation_level="read_committed")])
    first.close(timeout=1)
    return {"fenced": fenced, "values": got}


@case("transactions: list and describe")
def _():
    make("described", 1)
    sender = producer(transactional_id="described")
    sender.init_transactions()
    ended(sender, "described", "a", True)
    sender.close()
    with_admin = admin()
    listings = [listing for listings in with_admin.list_transactions().values() for listing in listings]
    deadline = time.monotonic() + 10
    while True:
        state = with_admin.describe_transactions(["described"])["described"].state
        if state.value == "CompleteCommit" or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    with_admin.close()
    return {"listed": "described" in [one.transactional_id for one in listings], "state": state.value}


run_all()
