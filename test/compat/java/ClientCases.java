// Apache Kafka's Java client against a hub: `ClientCases <host:port> [words of a case...]`.
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

public final class ClientCases {
    private final Clients clients;

    private ClientCases(Clients clients) {
        this.clients = clients;
    }

    public static void main(String[] args) throws Exception {
        Clients clients = new Clients(args[0]);
        ClientCases own = new ClientCases(clients);
        Cases cases = new Cases();
        own.producing(cases);
        own.consuming(cases);
        own.grouping(cases);
        new AdminCases(clients).add(cases);
        new TransactionCases(clients).add(cases);
        cases.run(args);
    }

    private Map<String, Object> acks(String topic, Object... options) throws Exception {
        clients.make(topic, 1);
        List<Long> offsets = clients.send(topic, List.of("a", "b", "c"), options);
        return Cases.fields("offsets", offsets, "values", Clients.values(clients.read(topic, 3)));
    }

    private void producing(Cases cases) {
        cases.add("producer: acks 0", () -> {
            Map<String, Object> got = acks("acks-0", "acks", "0", "enable.idempotence", false);
            return Cases.fields("values", got.get("values"));
        });
        cases.add("producer: acks 1", () -> acks("acks-1", "acks", "1", "enable.idempotence", false));
        cases.add("producer: acks all", () -> acks("acks-all", "acks", "all", "enable.idempotence", false));
        cases.add("producer: idempotent", () -> acks("idempotent"));
        for (String codec : List.of("gzip", "snappy", "lz4", "zstd")) cases.add("producer: " + codec, () -> compressed(codec));
        cases.add("producer: a new topic, keys, headers, empty and null values", this::brandNew);
    }

    private Object compressed(String codec) throws Exception {
        String topic = "codec-" + codec;
        clients.make(topic, 1);
        List<ProducerRecord<String, String>> sent = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            Header header = new RecordHeader("n", Clients.bytes(String.valueOf(i)));
            sent.add(new ProducerRecord<>(topic, 0, "key-" + i % 7, i + " " + Cases.WORDS, List.of(header)));
        }
        try (KafkaProducer<String, String> producer = clients.producer("compression.type", codec, "linger.ms", 20)) {
            List<Future<?>> futures = new ArrayList<>();
            for (ProducerRecord<String, String> record : sent) futures.add(producer.send(record));
            for (Future<?> future : futures) future.get();
        }
        List<ConsumerRecord<String, String>> records = clients.read(topic, 200);
        Set<String> keys = new HashSet<>();
        boolean inOrder = true;
        boolean headersMatch = true;
        for (int i = 0; i < records.size(); i++) {
            ConsumerRecord<String, String> record = records.get(i);
            keys.add(record.key());
            inOrder &= record.key().equals(sent.get(i).key()) && record.value().equals(sent.get(i).value());
            headersMatch &= Clients.text(record.headers().lastHeader("n").value()).equals(String.valueOf(i));
        }
        int count = records.size();
        return Cases.fields("count", count, "keys", keys.size(), "inOrder", inOrder, "headersMatch", headersMatch);
    }

    private Object brandNew() throws Exception {
        String topic = "brand-new";
        try (KafkaProducer<String, String> producer = clients.producer()) {
            Header header = new RecordHeader("h", Clients.bytes("1"));
            producer.send(new ProducerRecord<>(topic, 0, "k", "v", List.of(header))).get();
            producer.send(new ProducerRecord<>(topic, 0, "k", "")).get();
            producer.send(new ProducerRecord<>(topic, 0, "t", null)).get();
        }
        List<Object> rows = new ArrayList<>();
        for (ConsumerRecord<String, String> record : clients.read(topic, 3)) {
            List<Object> headers = new ArrayList<>();
            for (Header header : record.headers()) headers.add(List.of(header.key(), Clients.text(header.value())));
            List<Object> row = new ArrayList<>();
            row.add(record.key());
            row.add(record.value());
            row.add(headers);
            rows.add(row);
        }
        return Cases.fields("records", rows);
    }

    private void consuming(Cases cases) {
        cases.add("consumer: assign, seek, positions", () -> {
            TopicPartition partition = clients.make("seek", 1);
            clients.send("seek", Cases.numbers(0, 10));
            try (KafkaConsumer<String, String> reader = clients.consumer()) {
                reader.assign(List.of(partition));
                reader.seek(partition, 4);
                List<String> from4 = Clients.values(Clients.take(reader, 6));
                long position = reader.position(partition);
                reader.seekToBeginning(List.of(partition));
                String first = Clients.take(reader, 10).get(0).value();
                long begin = reader.beginningOffsets(List.of(partition)).get(partition);
                long end = reader.endOffsets(List.of(partition)).get(partition);
                reader.seek(partition, end - 1);
                String last = Clients.take(reader, 1).get(0).value();
                return Cases.fields("from4", from4, "first", first, "last", last,
                    "begin", begin, "end", end, "position", position);
            }
        });
        cases.add("consumer: offsets by time", () -> {
            TopicPartition partition = clients.make("times", 1);
            try (KafkaProducer<String, String> producer = clients.producer("linger.ms", 50)) {
                for (long ms : new long[] {1000, 2000, 3000}) producer.send(new ProducerRecord<>("times", 0, ms, null, "x"));
            }
            Map<String, Object> got = new HashMap<>();
            try (KafkaConsumer<String, String> reader = clients.consumer()) {
                for (long ms : new long[] {1500, 3000, 3001}) {
                    OffsetAndTimestamp found = reader.offsetsForTimes(Map.of(partition, ms)).get(partition);
                    got.put("at" + ms, found == null ? null : List.of(found.offset(), found.timestamp()));
                }
            }
            return got;
        });
        cases.add("consumer: pattern subscription", () -> {
            for (String topic : List.of("pattern-one", "pattern-two")) {
                clients.make(topic, 1);
                clients.send(topic, List.of("0"));
            }
            try (KafkaConsumer<String, String> reader = clients.member("pattern")) {
                reader.subscribe(Pattern.compile("^pattern-.*"));
                Set<String> topics = new TreeSet<>();
                Clients.take(reader, 2).forEach(record -> topics.add(record.topic()));
                return Cases.fields("topics", topics);
            }
        });
    }

    private Object shared(String topic, Object... options) throws Exception {
        clients.make(topic, 4);
        try (KafkaProducer<String, String> producer = clients.producer()) {
            for (String value : Cases.numbers(0, 40)) {
                producer.send(new ProducerRecord<>(topic, Integer.parseInt(value) % 4, null, value));
            }
        }
        KafkaConsumer<String, String> one = clients.member(topic, options);
        KafkaConsumer<String, String> two = clients.member(topic, options);
        Set<String> values = new TreeSet<>((a, b) -> Integer.parseInt(a) - Integer.parseInt(b));
        List<KafkaConsumer<String, String>> both = List.of(one, two);
        for (KafkaConsumer<String, String> member : both) member.subscribe(List.of(topic));
        while (one.assignment().size() != 2 || two.assignment().size() != 2) turn(both, values);
        List<Integer> together = List.of(one.assignment().size(), two.assignment().size());
        while (values.size() < 40) turn(both, values);
        two.close();
        while (one.assignment().size() != 4) turn(List.of(one), values);
        int alone = one.assignment().size();
        one.close();
        return Cases.fields("together", together, "alone", alone, "values", values);
    }

    private static void turn(List<KafkaConsumer<String, String>> members, Set<String> values) {
        for (KafkaConsumer<String, String> member : members) {
            member.poll(Duration.ofMillis(50)).forEach(record -> values.add(record.value()));
        }
    }

    private Object resumed(String topic, Object... options) throws Exception {
        TopicPartition partition = clients.make(topic, 1);
        clients.send(topic, Cases.numbers(0, 10));
        Map<String, Object> settings = Cases.fields(options);
        settings.put("enable.auto.commit", false);
        List<Object> pairs = new ArrayList<>();
        settings.forEach((name, value) -> pairs.addAll(List.of(name, value)));
        List<String> before;
        long committed;
        try (KafkaConsumer<String, String> reader = clients.member(topic, pairs.toArray())) {
            reader.subscribe(List.of(topic));
            before = Clients.values(Clients.take(reader, 10));
            reader.commitSync();
            committed = reader.committed(Set.of(partition)).get(partition).offset();
        }
        Cases.restart();
        clients.send(topic, Cases.numbers(10, 15));
        try (KafkaConsumer<String, String> reader = clients.member(topic, pairs.toArray())) {
            reader.subscribe(List.of(topic));
            List<String> after = Clients.values(Clients.take(reader, 5));
            return Cases.fields("before", before, "committed", committed, "after", after);
        }
    }

    private void grouping(Cases cases) {
        cases.add("group: two members share, one leaves", () -> shared("shared"));
        cases.add("group: cooperative members share, one leaves", () -> {
            String assignor = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";
            return shared("shared-sticky", "partition.assignment.strategy", assignor);
        });
        cases.add("group: commit, resume after the hub was killed", () -> resumed("resumed"));
        cases.add("group: a static member returns without a rebalance", this::staticMember);
        cases.add("group: metadata of an offset", () -> {
            TopicPartition partition = clients.make("noted", 1);
            try (KafkaConsumer<String, String> reader = clients.member("noted")) {
                reader.assign(List.of(partition));
                reader.commitSync(Map.of(partition, new OffsetAndMetadata(7, "the seventh")));
                OffsetAndMetadata found = reader.committed(Set.of(partition)).get(partition);
                return Cases.fields("offset", found.offset(), "metadata", found.metadata());
            }
        });
        cases.add("new group protocol: two members share, one leaves", () -> shared("shared-848", "group.protocol", "consumer"));
        cases.add("new group protocol: commit, resume after the hub was killed", () -> resumed("resumed-848", "group.protocol", "consumer"));
        cases.add("new group protocol: a group moves from the classic one while it runs", this::upgraded);
    }

    private Object staticMember() throws Exception {
        clients.make("static", 2);
        AtomicInteger revoked = new AtomicInteger();
        KafkaConsumer<String, String> one = clients.member("static", "group.instance.id", "one");
        KafkaConsumer<String, String> two = clients.member("static", "group.instance.id", "two");
        one.subscribe(List.of("static"), new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsRevoked(java.util.Collection<TopicPartition> partitions) {
                revoked.incrementAndGet();
            }

            @Override
            public void onPartitionsAssigned(java.util.Collection<TopicPartition> partitions) { }
        });
        two.subscribe(List.of("static"));
        Set<String> none = new HashSet<>();
        while (one.assignment().size() != 1 || two.assignment().size() != 1) turn(List.of(one, two), none);
        revoked.set(0);
        two.close();
        KafkaConsumer<String, String> again = clients.member("static", "group.instance.id", "two");
        again.subscribe(List.of("static"));
        while (again.assignment().size() != 1) turn(List.of(one, again), none);
        boolean same = revoked.get() == 0;
        one.close();
        again.close();
        return Cases.fields("sameGeneration", same);
    }

    private Object upgraded() throws Exception {
        String topic = "upgraded";
        clients.make(topic, 4);
        KafkaConsumer<String, String> old = clients.member(topic);
        KafkaConsumer<String, String> next = clients.member(topic, "group.protocol", "consumer");
        Set<String> values = new HashSet<>();
        old.subscribe(List.of(topic));
        while (old.assignment().size() != 4) turn(List.of(old), values);
        next.subscribe(List.of(topic));
        while (old.assignment().size() != 2 || next.assignment().size() != 2) turn(List.of(old, next), values);
        List<Integer> mixed = List.of(old.assignment().size(), next.assignment().size());
        old.close();
        while (next.assignment().size() != 4) turn(List.of(next), values);
        int after = next.assignment().size();
        next.close();
        return Cases.fields("mixed", mixed, "after", after);
    }
}
