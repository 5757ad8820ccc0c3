// Producers, consumers and an admin client of the Java library, with the few calls that all cases share.
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

final class Clients {
    final String server;
    final Admin admin;

    Clients(String server) {
        this.server = server;
        this.admin = Admin.create(Cases.settings(server));
    }

    KafkaProducer<String, String> producer(Object... options) {
        return new KafkaProducer<>(Cases.settings(server, options), new StringSerializer(), new StringSerializer());
    }

    KafkaConsumer<String, String> consumer(Object... options) {
        Map<String, Object> settings = Cases.settings(server, "auto.offset.reset", "earliest", "metadata.max.age.ms", 2000);
        settings.putAll(Cases.fields(options));
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    /** Member of a classic group that notices rebalances quickly. */
    KafkaConsumer<String, String> member(String group, Object... options) {
        Map<String, Object> settings = Cases.fields("group.id", group, "heartbeat.interval.ms", 500);
        settings.putAll(Cases.fields(options));
        // the new protocol is told its heartbeat by the coordinator and refuses one of its own
        if ("consumer".equals(settings.get("group.protocol"))) settings.remove("heartbeat.interval.ms");
        List<Object> pairs = new ArrayList<>();
        settings.forEach((name, value) -> pairs.addAll(List.of(name, value)));
        return consumer(pairs.toArray());
    }

    TopicPartition make(String topic, int partitions, String... configs) throws Exception {
        Map<String, String> map = new HashMap<>();
        for (int i = 0; i < configs.length; i += 2) map.put(configs[i], configs[i + 1]);
        NewTopic made = new NewTopic(topic, Optional.of(partitions), Optional.empty()).configs(map);
        admin.createTopics(List.of(made)).all().get();
        return new TopicPartition(topic, 0);
    }

    List<Long> send(String topic, Collection<String> values, Object... options) throws Exception {
        List<Long> offsets = new ArrayList<>();
        try (KafkaProducer<String, String> producer = producer(options)) {
            for (String value : values) {
                offsets.add(producer.send(new ProducerRecord<>(topic, 0, null, value)).get().offset());
            }
        }
        return offsets;
    }

    /** Reads until `count` records are there. */
    static <K, V> List<ConsumerRecord<K, V>> take(KafkaConsumer<K, V> consumer, int count) {
        List<ConsumerRecord<K, V>> records = new ArrayList<>();
        while (records.size() < count) consumer.poll(Duration.ofMillis(500)).forEach(records::add);
        return records;
    }

    List<ConsumerRecord<String, String>> read(String topic, int count, Object... options) {
        try (KafkaConsumer<String, String> consumer = consumer(options)) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            return take(consumer, count);
        }
    }

    static List<String> values(Collection<ConsumerRecord<String, String>> records) {
        return records.stream().map(ConsumerRecord::value).collect(Collectors.toList());
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
