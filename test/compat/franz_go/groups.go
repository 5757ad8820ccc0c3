package main

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// member is one consumer of a group that reads in the background and knows what it holds.
type member struct {
	client *kgo.Client
	mutex  sync.Mutex
	held   map[int32]bool
	lost   int
	done   chan struct{}
}

func join(ctx context.Context, topic string, seen func(*kgo.Record), options ...kgo.Opt) *member {
	one := &member{held: map[int32]bool{}, done: make(chan struct{})}
	change := func(keep bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			one.mutex.Lock()
			defer one.mutex.Unlock()
			for _, partition := range partitions[topic] {
				if keep {
					one.held[partition] = true
				} else {
					delete(one.held, partition)
					one.lost++
				}
			}
		}
	}
	all := []kgo.Opt{kgo.ConsumerGroup(topic), kgo.ConsumeTopics(topic), kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false))}
	one.client = client(append(all, options...)...)
	go func() {
		defer close(one.done)
		for {
			fetches := one.client.PollFetches(ctx)
			if fetches.IsClientClosed() || ctx.Err() != nil {
				return
			}
			fetches.EachRecord(seen)
		}
	}()
	return one
}

func (one *member) count() int {
	one.mutex.Lock()
	defer one.mutex.Unlock()
	return len(one.held)
}

func (one *member) close() {
	one.client.Close()
	<-one.done
}

func until(ctx context.Context, holds func() bool) {
	for !holds() {
		must(ctx.Err())
		time.Sleep(20 * time.Millisecond)
	}
}

func shared(ctx context.Context, topic string, options ...kgo.Opt) fields {
	makeTopic(ctx, topic, 4, nil)
	sender := client(kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	for _, value := range numbers(0, 40) {
		must(sender.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr())
	}
	sender.Close()
	var mutex sync.Mutex
	seen := map[string]bool{}
	note := func(record *kgo.Record) {
		mutex.Lock()
		defer mutex.Unlock()
		seen[string(record.Value)] = true
	}
	one, two := join(ctx, topic, note, options...), join(ctx, topic, note, options...)
	until(ctx, func() bool { return one.count() == 2 && two.count() == 2 })
	together := []int{one.count(), two.count()}
	until(ctx, func() bool {
		mutex.Lock()
		defer mutex.Unlock()
		return len(seen) == 40
	})
	two.close()
	until(ctx, func() bool { return one.count() == 4 })
	alone := one.count()
	one.close()
	return fields{"together": together, "alone": alone, "values": byNumber(seen)}
}

func resumed(ctx context.Context, topic string, options ...kgo.Opt) fields {
	makeTopic(ctx, topic, 1, nil)
	send(ctx, topic, numbers(0, 10))
	all := append(options, kgo.ConsumerGroup(topic), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit())
	reader := client(all...)
	before := take(ctx, reader, 10)
	must(reader.CommitRecords(ctx, before...))
	adm := admin()
	committed, _ := got(adm.FetchOffsets(ctx, topic)).Lookup(topic, 0)
	adm.Close()
	reader.Close()
	restart()
	send(ctx, topic, numbers(10, 15))
	reader = client(all...)
	after := take(ctx, reader, 5)
	reader.Close()
	return fields{"before": values(before), "committed": committed.At, "after": values(after)}
}

var grouping = []namedCase{
	{"group: two members share, one leaves", func(ctx context.Context) fields { return shared(ctx, "shared") }},
	{"group: commit, resume after the hub was killed", func(ctx context.Context) fields {
		return resumed(ctx, "resumed")
	}},
	{"group: a static member returns without a rebalance", func(ctx context.Context) fields {
		topic := "static"
		makeTopic(ctx, topic, 2, nil)
		none := func(*kgo.Record) {}
		one := join(ctx, topic, none, kgo.InstanceID("one"))
		two := join(ctx, topic, none, kgo.InstanceID("two"))
		until(ctx, func() bool { return one.count() == 1 && two.count() == 1 })
		one.mutex.Lock()
		one.lost = 0
		one.mutex.Unlock()
		two.close()
		again := join(ctx, topic, none, kgo.InstanceID("two"))
		until(ctx, func() bool { return again.count() == 1 })
		one.mutex.Lock()
		lost := one.lost
		one.mutex.Unlock()
		one.close()
		again.close()
		return fields{"sameGeneration": lost == 0}
	}},
	{"new group protocol: two members share, one leaves", func(ctx context.Context) fields {
		return shared(ctx, "shared-848", kgo.ServerSideBalancer())
	}},
	{"new group protocol: commit, resume after the hub was killed", func(ctx context.Context) fields {
		return resumed(ctx, "resumed-848", kgo.ServerSideBalancer())
	}},
}
