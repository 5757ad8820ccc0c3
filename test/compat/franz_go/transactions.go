package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func transactional(id string) *kgo.Client { return client(kgo.TransactionalID(id)) }

func ended(ctx context.Context, sender *kgo.Client, topic string, letters []string, end kgo.TransactionEndTry) {
	must(sender.BeginTransaction())
	for _, letter := range letters {
		must(sender.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(letter)}).FirstErr())
	}
	must(sender.EndTransaction(ctx, end))
}

var committedOnly = kgo.FetchIsolationLevel(kgo.ReadCommitted())

func committedOffset(ctx context.Context, group, topic string) any {
	adm := admin()
	defer adm.Close()
	found, there := got(adm.FetchOffsets(ctx, group)).Lookup(topic, 0)
	if !there || found.At < 0 {
		return nil
	}
	return found.At
}

var transacting = []namedCase{
	{"transactions: commit, abort, read committed", func(ctx context.Context) fields {
		topic := "txn"
		makeTopic(ctx, topic, 1, nil)
		sender := transactional(topic)
		defer sender.Close()
		ended(ctx, sender, topic, []string{"a", "b"}, kgo.TryCommit)
		ended(ctx, sender, topic, []string{"c", "d"}, kgo.TryAbort)
		ended(ctx, sender, topic, []string{"e"}, kgo.TryCommit)
		return fields{"committed": values(read(ctx, topic, 0, 3, committedOnly)), "all": values(read(ctx, topic, 0, 5))}
	}},
	{"transactions: offsets in them", func(ctx context.Context) fields {
		makeTopic(ctx, "txn-in", 1, nil)
		makeTopic(ctx, "txn-out", 1, nil)
		send(ctx, "txn-in", numbers(0, 5))
		result := fields{}
		for _, name := range []string{"aborted", "committed"} {
			session := got(kgo.NewGroupTransactSession(kgo.SeedBrokers(server), kgo.TransactionalID("txn-offsets"),
				kgo.ConsumerGroup("txn-group"), kgo.ConsumeTopics("txn-in"), committedOnly))
			must(session.Begin())
			for count := 0; count < 5; {
				records := session.PollFetches(ctx).Records()
				count += len(records)
				for _, record := range records {
					out := &kgo.Record{Topic: "txn-out", Value: record.Value}
					must(session.ProduceSync(ctx, out).FirstErr())
				}
				must(ctx.Err())
			}
			end := kgo.TryAbort
			if name == "committed" {
				end = kgo.TryCommit
			}
			if got(session.End(ctx, end)) != (name == "committed") {
				panic("the transaction ended otherwise")
			}
			session.Close()
			result[name] = committedOffset(ctx, "txn-group", "txn-in")
		}
		result["out"] = values(read(ctx, "txn-out", 0, 5, committedOnly))
		return result
	}},
	{"transactions: a second producer fences the first", func(ctx context.Context) fields {
		topic := "fenced"
		makeTopic(ctx, topic, 1, nil)
		first, second := transactional(topic), transactional(topic)
		defer first.Close()
		defer second.Close()
		must(first.BeginTransaction())
		must(first.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("first")}).FirstErr())
		ended(ctx, second, topic, []string{"second"}, kgo.TryCommit)
		err := first.EndTransaction(ctx, kgo.TryCommit)
		fenced := is(err, kerr.ProducerFenced) || is(err, kerr.InvalidProducerEpoch)
		return fields{"fenced": fenced, "values": values(read(ctx, topic, 0, 1, committedOnly))}
	}},
	administered("transactions: list and describe", func(ctx context.Context, adm *kadm.Client) fields {
		topic := "described"
		makeTopic(ctx, topic, 1, nil)
		sender := transactional(topic)
		defer sender.Close()
		ended(ctx, sender, topic, []string{"a"}, kgo.TryCommit)
		state := ""
		for state != "CompleteCommit" {
			must(ctx.Err())
			state = got(adm.DescribeTransactions(ctx, topic))[topic].State
			time.Sleep(50 * time.Millisecond)
		}
		_, listed := got(adm.ListTransactions(ctx, nil, nil))[topic]
		return fields{"listed": listed, "state": state}
	}),
}
