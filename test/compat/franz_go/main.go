// Package main speaks with a hub through franz-go: `franz_go <host:port> [words of a case...]`.
//
// Each case runs alone under a time limit and prints one JSON line with what it got.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const caseTime = 60 * time.Second

// fields is what a case got.
type fields map[string]any

type namedCase struct {
	name string
	run  func(ctx context.Context) fields
}

var (
	server  = os.Args[1]
	answers = bufio.NewReader(os.Stdin)
	words   = strings.Repeat("of the same words ", 20)
	unused  = 0
)

// must ends the case with an error; the runner reports it.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func got[T any](value T, err error) T {
	must(err)
	return value
}

// restart has the hub killed and started again on the same port and folder.
func restart() {
	fmt.Println(`{"ask":"restart"}`)
	_ = got(answers.ReadString('\n'))
}

func client(options ...kgo.Opt) *kgo.Client {
	all := []kgo.Opt{kgo.SeedBrokers(server), kgo.RecordPartitioner(kgo.ManualPartitioner())}
	return got(kgo.NewClient(append(all, options...)...))
}

func admin() *kadm.Client { return kadm.NewClient(client()) }

func makeTopic(ctx context.Context, topic string, partitions int32, configs map[string]*string) {
	adm := admin()
	defer adm.Close()
	must(got(adm.CreateTopic(ctx, partitions, 1, configs, topic)).Err)
}

func numbers(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, strconv.Itoa(i))
	}
	return all
}

// send writes one record after another to partition 0 and returns their offsets.
func send(ctx context.Context, topic string, values []string, options ...kgo.Opt) []int64 {
	sender := client(options...)
	defer sender.Close()
	offsets := []int64{}
	for _, value := range values {
		record := &kgo.Record{Topic: topic, Value: []byte(value)}
		offsets = append(offsets, got(sender.ProduceSync(ctx, record).First()).Offset)
	}
	return offsets
}

// take reads until count records are there.
func take(ctx context.Context, reader *kgo.Client, count int) []*kgo.Record {
	var records []*kgo.Record
	for len(records) < count {
		fetches := reader.PollFetches(ctx)
		for _, failed := range fetches.Errors() {
			must(failed.Err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

func read(ctx context.Context, topic string, from int64, count int, options ...kgo.Opt) []*kgo.Record {
	offsets := map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(from)}}
	reader := client(append(options, kgo.ConsumePartitions(offsets))...)
	defer reader.Close()
	return take(ctx, reader, count)
}

func values(records []*kgo.Record) []string {
	all := []string{}
	for _, record := range records {
		all = append(all, string(record.Value))
	}
	return all
}

func byNumber(set map[string]bool) []string {
	all := []string{}
	for value := range set {
		all = append(all, value)
	}
	slices.SortFunc(all, func(a, b string) int { return got(strconv.Atoi(a)) - got(strconv.Atoi(b)) })
	return all
}

func text(bytes []byte) any {
	if bytes == nil {
		return nil
	}
	return string(bytes)
}

func runCase(one namedCase) (result map[string]any) {
	ctx, cancel := context.WithTimeout(context.Background(), caseTime)
	defer cancel()
	result = map[string]any{"case": one.name}
	defer func() {
		if failure := recover(); failure != nil {
			result["error"] = fmt.Sprint(failure)
		}
	}()
	result["got"] = one.run(ctx)
	return result
}

func wanted(name string) bool {
	only := os.Args[2:]
	return len(only) == 0 || slices.ContainsFunc(only, func(word string) bool { return strings.Contains(name, word) })
}

func main() {
	for _, list := range [][]namedCase{producing, consuming, grouping, administering, transacting} {
		for _, one := range list {
			if wanted(one.name) {
				fmt.Println(string(got(json.Marshal(runCase(one)))))
			}
		}
	}
}

// is tells whether an error is the one of the protocol.
func is(err, wanted error) bool { return errors.Is(err, wanted) }
