// Transactions of the Java client against a hub, and what NiFi's Kafka processors do with it.
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

final class TransactionCases {
    private static final Object[] COMMITTED = {"isolation.level", "read_committed"};
    private final Clients clients;

    TransactionCases(Clients clients) {
        this.clients = clients;
    }

    private KafkaProducer<String, String> transactional(String id) {
        KafkaProducer<String, String> producer = clients.producer("transactional.id", id);
        producer.initTransactions();
        return producer;
    }

    private static void ended(KafkaProducer<String, String> producer, String topic, boolean commit, String... values) {
        producer.beginTransaction();
        for (String value : values) producer.send(new ProducerRecord<>(topic, 0, null, value));
        producer.flush();
        if (commit) producer.commitTransaction();
        else producer.abortTransaction();
    }

    void add(Cases cases) {
        cases.add("transactions: commit, abort, read committed", () -> {
            clients.make("txn", 1);
            try (KafkaProducer<String, String> producer = transactional("txn")) {
                ended(producer, "txn", true, "a", "b");
                ended(producer, "txn", false, "c", "d");
                ended(producer, "txn", true, "e");
            }
            List<String> committed = Clients.values(clients.read("txn", 3, COMMITTED));
            return Cases.fields("committed", committed, "all", Clients.values(clients.read("txn", 5)));
        });
        cases.add("transactions: offsets in them", this::offsets);
        cases.add("transactions: a second producer fences the first", () -> {
            clients.make("fenced", 1);
            KafkaProducer<String, String> first = transactional("fenced");
            first.beginTransaction();
            first.send(new ProducerRecord<>("fenced", 0, null, "first")).get();
            KafkaProducer<String, String> second = transactional("fenced");
            Throwable error = Cases.failure(() -> {
                first.commitTransaction();
                return null;
            });
            ended(second, "fenced", true, "second");
            second.close();
            first.close();
            boolean fenced = error instanceof ProducerFencedException || error instanceof InvalidProducerEpochException;
            return Cases.fields("fenced", fenced, "values", Clients.values(clients.read("fenced", 1, COMMITTED)));
        });
        cases.add("transactions: list and describe", () -> {
            clients.make("described", 1);
            try (KafkaProducer<String, String> producer = transactional("described")) {
                ended(producer, "described", true, "a");
            }
            TransactionState state = null;
            while (state != TransactionState.COMPLETE_COMMIT) {
                state = clients.admin.describeTransactions(List.of("described")).all().get().get("described").state();
                Thread.sleep(20);
            }
            boolean listed = clients.admin.listTransactions().all().get().stream()
                .anyMatch(one -> one.transactionalId().equals("described"));
            return Cases.fields("listed", listed, "state", state.toString());
        });
        cases.add("transactions: NiFi's settings, record keys and exactly once", this::nifi);
    }

    private Object offsets() throws Exception {
        TopicPartition in = clients.make("txn-in", 1);
        clients.make("txn-out", 1);
        clients.send("txn-in", Cases.numbers(0, 5));
        Map<String, Object> got = new HashMap<>();
        try (KafkaConsumer<String, String> reader = clients.member("txn-group", "enable.auto.commit", false);
            KafkaProducer<String, String> producer = transactional("txn-offsets")) {
            reader.subscribe(List.of("txn-in"));
            List<String> values = Clients.values(Clients.take(reader, 5));
            for (String name : List.of("aborted", "committed")) {
                producer.beginTransaction();
                for (String value : values) producer.send(new ProducerRecord<>("txn-out", 0, null, value));
                producer.sendOffsetsToTransaction(Map.of(in, new OffsetAndMetadata(5)), reader.groupMetadata());
                if (name.equals("committed")) producer.commitTransaction();
                else producer.abortTransaction();
                OffsetAndMetadata found = reader.committed(Set.of(in)).get(in);
                got.put(name, found == null ? null : found.offset());
            }
        }
        got.put("out", Clients.values(clients.read("txn-out", 5, COMMITTED)));
        return got;
    }

    /**
     * NiFi publishes each FlowFile in a transaction of a producer with a fresh id behind a prefix, keys from the
     * record's key field as bytes, acks all; it consumes read_committed, without automatic commits, and commits
     * offsets after its session is committed. A publish that fails is rolled back and tried again whole.
     */
    private Object nifi() throws Exception {
        String topic = "nifi";
        clients.make(topic, 3);
        String id = "NiFi-" + UUID.randomUUID();
        Map<String, Object> publish = Cases.settings(clients.server, "acks", "all", "transactional.id", id,
            "max.block.ms", 5000, "compression.type", "gzip");
        try (KafkaProducer<byte[], byte[]> producer =
            new KafkaProducer<>(publish, new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.initTransactions();
            for (boolean good : new boolean[] {false, true}) {
                producer.beginTransaction();
                for (int i = 0; i < 30; i++) {
                    byte[] key = Clients.bytes("{\"device\":" + i % 6 + "}");
                    producer.send(new ProducerRecord<>(topic, key, Clients.bytes(String.valueOf(i))));
                }
                producer.flush();
                if (good) producer.commitTransaction();
                else producer.abortTransaction();
            }
        }
        Map<String, Object> consume = Cases.settings(clients.server, "group.id", topic, "auto.offset.reset", "earliest",
            "enable.auto.commit", false, "isolation.level", "read_committed", "session.timeout.ms", 60000);
        try (KafkaConsumer<byte[], byte[]> reader =
            new KafkaConsumer<>(consume, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            reader.subscribe(List.of(topic));
            Map<String, Set<Integer>> partitions = new HashMap<>();
            List<String> values = new ArrayList<>();
            for (ConsumerRecord<byte[], byte[]> record : Clients.take(reader, 30)) {
                partitions.computeIfAbsent(Clients.text(record.key()), key -> new HashSet<>()).add(record.partition());
                values.add(Clients.text(record.value()));
            }
            reader.commitSync();
            int more = reader.poll(java.time.Duration.ofMillis(500)).count();
            boolean together = partitions.values().stream().allMatch(of -> of.size() == 1);
            int distinct = new HashSet<>(values).size();
            return Cases.fields("records", values.size(), "distinct", distinct, "more", more,
                "keys", partitions.size(), "keysTogether", together);
        }
    }
}
