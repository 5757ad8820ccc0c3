package main

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func groupWithOffset(ctx context.Context, name string) {
	makeTopic(ctx, name, 1, nil)
	send(ctx, name, numbers(0, 3))
	reader := client(kgo.ConsumerGroup(name), kgo.ConsumeTopics(name), kgo.DisableAutoCommit())
	defer reader.Close()
	must(reader.CommitRecords(ctx, take(ctx, reader, 3)...))
}

// administered gives a case an admin client of its own.
func administered(name string, run func(ctx context.Context, adm *kadm.Client) fields) namedCase {
	return namedCase{name, func(ctx context.Context) fields {
		adm := admin()
		defer adm.Close()
		return run(ctx, adm)
	}}
}

var administering = []namedCase{
	administered("admin: create, describe, grow, delete topics", func(ctx context.Context, adm *kadm.Client) fields {
		count := func() int { return len(got(adm.ListTopics(ctx, "made"))["made"].Partitions) }
		makeTopic(ctx, "made", 2, nil)
		made := count()
		must(got(adm.UpdatePartitions(ctx, 5, "made")).Error())
		grown := count()
		listed := got(adm.ListTopics(ctx)).Has("made")
		must(got(adm.DeleteTopic(ctx, "made")).Err)
		// another client: one caches what it knows of topics
		fresh := admin()
		defer fresh.Close()
		gone := !got(fresh.ListTopics(ctx)).Has("made")
		return fields{"made": made, "grown": grown, "listed": listed, "gone": gone}
	}),
	administered("admin: a topic that exists, one that does not", func(ctx context.Context, adm *kadm.Client) fields {
		makeTopic(ctx, "twice", 1, nil)
		_, exists := adm.CreateTopic(ctx, 1, 1, nil, "twice")
		_, missing := adm.DeleteTopic(ctx, "missing")
		return fields{"exists": is(exists, kerr.TopicAlreadyExists), "missing": is(missing, kerr.UnknownTopicOrPartition)}
	}),
	administered("admin: describe and alter settings", func(ctx context.Context, adm *kadm.Client) fields {
		topic := "configured"
		makeTopic(ctx, topic, 1, map[string]*string{"cleanup.policy": kadm.StringPtr("compact")})
		value := func(name string) string {
			described := got(got(adm.DescribeTopicConfigs(ctx, topic)).On(topic, nil))
			for _, config := range described.Configs {
				if config.Key == name {
					return config.MaybeValue()
				}
			}
			return "missing"
		}
		alter := func(change kadm.AlterConfig) {
			response := got(got(adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{change}, topic)).On(topic, nil))
			must(response.Err)
		}
		before := value("retention.ms")
		alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: "retention.ms", Value: kadm.StringPtr("1000")})
		after, kept := value("retention.ms"), value("cleanup.policy")
		alter(kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "retention.ms"})
		return fields{"before": before, "after": after, "kept": kept, "reset": value("retention.ms")}
	}),
	administered("admin: list, describe, delete groups", func(ctx context.Context, adm *kadm.Client) fields {
		groupWithOffset(ctx, "listed")
		listed := slices.Contains(got(adm.ListGroups(ctx)).Groups(), "listed")
		state := got(adm.DescribeGroups(ctx, "listed"))["listed"].State
		deleted := got(adm.DeleteGroup(ctx, "listed")).Err == nil
		_, missing := adm.DeleteGroup(ctx, "listed")
		return fields{"listed": listed, "state": state, "deleted": deleted, "missing": is(missing, kerr.GroupIDNotFound)}
	}),
	administered("admin: group offsets: list, alter, delete", func(ctx context.Context, adm *kadm.Client) fields {
		name := "offsets"
		groupWithOffset(ctx, name)
		offset := func() int64 {
			found, _ := got(adm.FetchOffsets(ctx, name)).Lookup(name, 0)
			return found.At
		}
		listed := offset()
		var offsets kadm.Offsets
		offsets.AddOffset(name, 0, 1, -1)
		must(adm.CommitAllOffsets(ctx, name, offsets))
		altered := offset()
		deleted, found := got(adm.DeleteOffsets(ctx, name, offsets.TopicsSet())).Lookup(name, 0)
		return fields{"listed": listed, "altered": altered, "deleted": found && deleted == nil}
	}),
	administered("admin: delete records", func(ctx context.Context, adm *kadm.Client) fields {
		topic := "trimmed"
		makeTopic(ctx, topic, 1, nil)
		send(ctx, topic, numbers(0, 10))
		var offsets kadm.Offsets
		offsets.AddOffset(topic, 0, 4, -1)
		deleted, _ := got(adm.DeleteRecords(ctx, offsets)).Lookup(topic, 0)
		must(deleted.Err)
		first := read(ctx, topic, 4, 1)[0]
		return fields{"low": deleted.LowWatermark, "first": string(first.Value)}
	}),
	administered("admin: offsets of every kind", func(ctx context.Context, adm *kadm.Client) fields {
		topic := "kinds"
		makeTopic(ctx, topic, 1, nil)
		sender := client()
		defer sender.Close()
		for _, ms := range []int64{1000, 3000, 2000} {
			record := &kgo.Record{Topic: topic, Value: []byte("x"), Timestamp: time.UnixMilli(ms)}
			must(sender.ProduceSync(ctx, record).FirstErr())
		}
		offset := func(listed kadm.ListedOffsets, err error) int64 {
			must(err)
			found, _ := listed.Lookup(topic, 0)
			return found.Offset
		}
		return fields{"earliest": offset(adm.ListStartOffsets(ctx, topic)), "latest": offset(adm.ListEndOffsets(ctx, topic)),
			"newest": offset(adm.ListMaxTimestampOffsets(ctx, topic))}
	}),
	administered("admin: cluster", func(ctx context.Context, adm *kadm.Client) fields {
		cluster := got(adm.BrokerMetadata(ctx))
		return fields{"brokers": len(cluster.Brokers), "controller": cluster.Controller, "clusterId": cluster.Cluster != ""}
	}),
}
