// The Java admin client against a hub.
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

final class AdminCases {
    private final Clients clients;
    private final Admin admin;

    AdminCases(Clients clients) {
        this.clients = clients;
        this.admin = clients.admin;
    }

    private TopicPartition groupWithOffset(String name) throws Exception {
        TopicPartition partition = clients.make(name, 1);
        clients.send(name, Cases.numbers(0, 3));
        try (KafkaConsumer<String, String> reader = clients.member(name, "enable.auto.commit", false)) {
            reader.subscribe(List.of(name));
            Clients.take(reader, 3);
            reader.commitSync();
        }
        return partition;
    }

    private int count(String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
    }

    void add(Cases cases) {
        cases.add("admin: create, describe, grow, delete topics", () -> {
            clients.make("made", 2);
            int made = count("made");
            admin.createPartitions(Map.of("made", NewPartitions.increaseTo(5))).all().get();
            int grown = count("made");
            boolean listed = admin.listTopics().names().get().contains("made");
            admin.deleteTopics(List.of("made")).all().get();
            boolean gone = !admin.listTopics().names().get().contains("made");
            return Cases.fields("made", made, "grown", grown, "listed", listed, "gone", gone);
        });
        cases.add("admin: a topic that exists, one that does not", () -> {
            clients.make("twice", 1);
            NewTopic again = new NewTopic("twice", 1, (short) 1);
            Throwable exists = Cases.failure(() -> admin.createTopics(List.of(again)).all().get());
            Throwable missing = Cases.failure(() -> admin.deleteTopics(List.of("missing")).all().get());
            return Cases.fields("exists", exists instanceof TopicExistsException,
                "missing", missing instanceof UnknownTopicOrPartitionException);
        });
        cases.add("admin: describe and alter settings", this::settings);
        cases.add("admin: list, describe, delete groups", () -> {
            groupWithOffset("listed");
            boolean listed = admin.listGroups().all().get().stream().anyMatch(group -> group.groupId().equals("listed"));
            Object state = admin.describeConsumerGroups(List.of("listed")).all().get().get("listed").groupState().toString();
            admin.deleteConsumerGroups(List.of("listed")).all().get();
            Throwable missing = Cases.failure(() -> admin.deleteConsumerGroups(List.of("listed")).all().get());
            return Cases.fields("listed", listed, "state", state, "deleted", true,
                "missing", missing instanceof GroupIdNotFoundException);
        });
        cases.add("admin: group offsets: list, alter, delete", () -> {
            TopicPartition partition = groupWithOffset("offsets");
            long listed = offsets("offsets").get(partition).offset();
            admin.alterConsumerGroupOffsets("offsets", Map.of(partition, new OffsetAndMetadata(1))).all().get();
            long altered = offsets("offsets").get(partition).offset();
            admin.deleteConsumerGroupOffsets("offsets", Set.of(partition)).all().get();
            boolean deleted = offsets("offsets").get(partition) == null;
            return Cases.fields("listed", listed, "altered", altered, "deleted", deleted);
        });
        cases.add("admin: delete records", () -> {
            TopicPartition partition = clients.make("trimmed", 1);
            clients.send("trimmed", Cases.numbers(0, 10));
            RecordsToDelete before = RecordsToDelete.beforeOffset(4);
            long low = admin.deleteRecords(Map.of(partition, before)).lowWatermarks().get(partition).get().lowWatermark();
            return Cases.fields("low", low, "first", clients.read("trimmed", 6).get(0).value());
        });
        cases.add("admin: offsets of every kind", () -> {
            TopicPartition partition = clients.make("kinds", 1);
            try (KafkaProducer<String, String> producer = clients.producer()) {
                for (long ms : new long[] {1000, 3000, 2000}) producer.send(new ProducerRecord<>("kinds", 0, ms, null, "x")).get();
            }
            return Cases.fields("earliest", offset(partition, OffsetSpec.earliest()),
                "latest", offset(partition, OffsetSpec.latest()), "newest", offset(partition, OffsetSpec.maxTimestamp()));
        });
        cases.add("admin: cluster", () -> {
            DescribeClusterResult cluster = admin.describeCluster();
            return Cases.fields("brokers", cluster.nodes().get().size(), "controller", cluster.controller().get().id(),
                "clusterId", !cluster.clusterId().get().isEmpty());
        });
    }

    private Map<TopicPartition, OffsetAndMetadata> offsets(String group) throws Exception {
        return admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
    }

    private long offset(TopicPartition partition, OffsetSpec spec) throws Exception {
        return admin.listOffsets(Map.of(partition, spec)).partitionResult(partition).get().offset();
    }

    private Object settings() throws Exception {
        clients.make("configured", 1, "cleanup.policy", "compact");
        ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, "configured");
        List<String> got = new ArrayList<>();
        got.add(value(topic, "retention.ms"));
        alter(topic, "1000", AlterConfigOp.OpType.SET);
        got.add(value(topic, "retention.ms"));
        got.add(value(topic, "cleanup.policy"));
        alter(topic, null, AlterConfigOp.OpType.DELETE);
        got.add(value(topic, "retention.ms"));
        return Cases.fields("before", got.get(0), "after", got.get(1), "kept", got.get(2), "reset", got.get(3));
    }

    private String value(ConfigResource topic, String name) throws Exception {
        return admin.describeConfigs(List.of(topic)).all().get().get(topic).get(name).value();
    }

    private void alter(ConfigResource topic, String value, AlterConfigOp.OpType type) throws Exception {
        AlterConfigOp change = new AlterConfigOp(new ConfigEntry("retention.ms", value), type);
        admin.incrementalAlterConfigs(Map.of(topic, List.of(change))).all().get();
    }
}
