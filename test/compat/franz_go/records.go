package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func acks(ctx context.Context, topic string, options ...kgo.Opt) fields {
	makeTopic(ctx, topic, 1, nil)
	offsets := send(ctx, topic, []string{"a", "b", "c"}, options...)
	return fields{"offsets": offsets, "values": values(read(ctx, topic, 0, 3))}
}

func compressed(ctx context.Context, name string, codec kgo.CompressionCodec) fields {
	topic := "codec-" + name
	makeTopic(ctx, topic, 1, nil)
	sender := client(kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(20*time.Millisecond))
	defer sender.Close()
	var sent []*kgo.Record
	for i := range 200 {
		number := strconv.Itoa(i)
		headers := []kgo.RecordHeader{{Key: "n", Value: []byte(number)}}
		key, value := fmt.Sprintf("key-%d", i%7), number+" "+words
		sent = append(sent, &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte(value), Headers: headers})
	}
	must(sender.ProduceSync(ctx, sent...).FirstErr())
	records := read(ctx, topic, 0, 200)
	keys, inOrder, headersMatch := map[string]bool{}, true, true
	for i, record := range records {
		keys[string(record.Key)] = true
		inOrder = inOrder && string(record.Key) == string(sent[i].Key) && string(record.Value) == string(sent[i].Value)
		headersMatch = headersMatch && string(record.Headers[0].Value) == strconv.Itoa(i)
	}
	return fields{"count": len(records), "keys": len(keys), "inOrder": inOrder, "headersMatch": headersMatch}
}

func codecCase(name string, codec kgo.CompressionCodec) namedCase {
	return namedCase{"producer: " + name, func(ctx context.Context) fields { return compressed(ctx, name, codec) }}
}

var plain = kgo.ProducerBatchCompression(kgo.NoCompression())

var producing = []namedCase{
	{"producer: acks 0", func(ctx context.Context) fields {
		result := acks(ctx, "acks-0", kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
		return fields{"values": result["values"]}
	}},
	{"producer: acks 1", func(ctx context.Context) fields {
		return acks(ctx, "acks-1", kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	}},
	{"producer: acks all", func(ctx context.Context) fields {
		return acks(ctx, "acks-all", kgo.RequiredAcks(kgo.AllISRAcks()), kgo.DisableIdempotentWrite())
	}},
	{"producer: idempotent", func(ctx context.Context) fields { return acks(ctx, "idempotent") }},
	codecCase("gzip", kgo.GzipCompression()),
	codecCase("snappy", kgo.SnappyCompression()),
	codecCase("lz4", kgo.Lz4Compression()),
	codecCase("zstd", kgo.ZstdCompression()),
	{"producer: a new topic, keys, headers, empty and null values", func(ctx context.Context) fields {
		topic := "brand-new"
		sender := client(kgo.AllowAutoTopicCreation(), plain)
		defer sender.Close()
		headers := []kgo.RecordHeader{{Key: "h", Value: []byte("1")}}
		for _, record := range []*kgo.Record{
			{Topic: topic, Key: []byte("k"), Value: []byte("v"), Headers: headers},
			{Topic: topic, Key: []byte("k"), Value: []byte{}},
			{Topic: topic, Key: []byte("t"), Value: nil},
		} {
			must(sender.ProduceSync(ctx, record).FirstErr())
		}
		rows := [][]any{}
		for _, record := range read(ctx, topic, 0, 3) {
			pairs := [][]string{}
			for _, header := range record.Headers {
				pairs = append(pairs, []string{header.Key, string(header.Value)})
			}
			rows = append(rows, []any{text(record.Key), text(record.Value), pairs})
		}
		return fields{"records": rows}
	}},
}

var consuming = []namedCase{
	{"consumer: assign, seek, positions", func(ctx context.Context) fields {
		topic := "seek"
		makeTopic(ctx, topic, 1, nil)
		send(ctx, topic, numbers(0, 10))
		offsets := map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(4)}}
		reader := client(kgo.ConsumePartitions(offsets))
		defer reader.Close()
		from4 := values(take(ctx, reader, 6))
		seek := func(offset int64) {
			reader.SetOffsets(map[string]map[int32]kgo.EpochOffset{topic: {0: {Epoch: -1, Offset: offset}}})
		}
		seek(0)
		first := take(ctx, reader, 10)
		position := first[9].Offset + 1
		seek(9)
		last := take(ctx, reader, 1)
		adm := admin()
		defer adm.Close()
		begin, _ := got(adm.ListStartOffsets(ctx, topic)).Lookup(topic, 0)
		end, _ := got(adm.ListEndOffsets(ctx, topic)).Lookup(topic, 0)
		return fields{"from4": from4, "first": string(first[0].Value), "last": string(last[0].Value),
			"begin": begin.Offset, "end": end.Offset, "position": position}
	}},
	{"consumer: offsets by time", func(ctx context.Context) fields {
		topic := "times"
		makeTopic(ctx, topic, 1, nil)
		sender := client(kgo.ProducerLinger(50 * time.Millisecond))
		defer sender.Close()
		var records []*kgo.Record
		for _, ms := range []int64{1000, 2000, 3000} {
			records = append(records, &kgo.Record{Topic: topic, Value: []byte("x"), Timestamp: time.UnixMilli(ms)})
		}
		must(sender.ProduceSync(ctx, records...).FirstErr())
		adm := admin()
		defer adm.Close()
		result := fields{}
		for _, ms := range []int64{1500, 3000, 3001} {
			found, _ := got(adm.ListOffsetsAfterMilli(ctx, ms, topic)).Lookup(topic, 0)
			must(found.Err)
			name := fmt.Sprintf("at%d", ms)
			result[name] = []int64{found.Offset, found.Timestamp}
			// it gives the end of the log where there is no such record
			if found.Timestamp < 0 {
				result[name] = nil
			}
		}
		return result
	}},
	{"consumer: pattern subscription", func(ctx context.Context) fields {
		for _, topic := range []string{"pattern-one", "pattern-two"} {
			makeTopic(ctx, topic, 1, nil)
			send(ctx, topic, []string{"0"})
		}
		reader := client(kgo.ConsumeRegex(), kgo.ConsumeTopics("^pattern-.*"), kgo.ConsumerGroup("pattern"))
		defer reader.Close()
		topics := []string{}
		for _, record := range take(ctx, reader, 2) {
			topics = append(topics, record.Topic)
		}
		if topics[0] > topics[1] {
			topics[0], topics[1] = topics[1], topics[0]
		}
		return fields{"topics": topics}
	}},
}
