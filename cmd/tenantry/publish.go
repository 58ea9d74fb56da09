package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/cmd/tenantry/node"
	"github.com/tenantry/tenantry/subscriber"
)

// maxEvent is the largest event that nodes take.
const maxEvent = 1 << 20

// publication is what the publish command publishes, and how.
type publication struct {
	data    string
	lines   bool
	timeout time.Duration
	// Members to add to the event; those whose flag was not given are absent.
	version, sequence uint64
	id, source        string
}

func publishCommand() *cobra.Command {
	var p publication
	var file, address string
	c := &cobra.Command{
		Use:   "publish TENANT TOPIC [--data FILE]",
		Short: "Publish a change event on the bus",
		Long: `Publishes one event, a JSON object, on the channel {namespace}:TENANT:TOPIC, and
prints how many subscribers Redis gave it to: a node subscribes to the tenants
that are active on it. It tries until Redis has acknowledged, or --timeout ends.`,
		Example: `  echo '{"eventType":"credit-config-changed","data":{"operationCode":"crm.leads.create","newValue":3.0}}' |
    tenantry publish 123 credit-configs --version 7`,
		Args: cobra.ExactArgs(2),
	}
	f := c.Flags()
	f.StringVar(&p.data, "data", "-", "the event's `FILE`; - is standard input")
	f.BoolVar(&p.lines, "lines", false, "each line of the data is an event")
	f.StringVar(&file, "config", "", "the node's configuration `FILE`, for its redis section")
	f.StringVar(&address, "redis", "", "the `ADDRESS` of Redis instead")
	f.DurationVar(&p.timeout, "timeout", 5*time.Second, "how long to wait for Redis, for each event")
	f.Uint64Var(&p.version, "version", 0, "add the item's version to the event")
	f.StringVar(&p.id, "event-id", "", "add an eventId to the event")
	f.StringVar(&p.source, "source", "", "add the source of a sequence to the event")
	f.Uint64Var(&p.sequence, "sequence", 0, "add the source's number of the event; with --lines of the first, the next ones follow")
	c.MarkFlagsRequiredTogether("source", "sequence")
	c.MarkFlagsMutuallyExclusive("lines", "event-id")
	c.RunE = func(c *cobra.Command, args []string) error {
		events, err := p.events(c.InOrStdin(), f.Changed, args[0], args[1])
		if err != nil {
			return &exit{exitUsage, err}
		}
		bus, err := busOf(file, address)
		if err != nil {
			return err
		}
		return p.publish(c.Context(), c.OutOrStdout(), bus, args[0], args[1], events)
	}
	return c
}

// events reads and completes the events, and refuses what nodes would refuse:
// all of them or none is published.
func (p *publication) events(in io.Reader, given func(flag string) bool, tenant, topic string) ([][]byte, error) {
	data, err := readData(in, p.data)
	if err != nil {
		return nil, err
	}
	events := [][]byte{data}
	if p.lines {
		events = slices.DeleteFunc(bytes.Split(data, []byte("\n")), func(line []byte) bool { return len(bytes.TrimSpace(line)) == 0 })
	}
	for i := range events {
		events[i] = p.complete(events[i], given, uint64(i))
		if len(events[i]) > maxEvent {
			return nil, errors.New("the event is larger than 1 MiB: nodes would refuse it")
		}
		if _, err := subscriber.Decode(tenant, topic, events[i]); err != nil {
			return nil, fmt.Errorf("not published, because nodes would refuse it: %w", err)
		}
	}
	return events, nil
}

// complete adds the members that flags give. One that is there already makes an
// event that nodes refuse, and so does adding to what is no object.
func (p *publication) complete(event []byte, given func(flag string) bool, i uint64) []byte {
	var added []byte
	for _, m := range []struct {
		flag, name string
		value      any
	}{
		{"event-id", "eventId", p.id}, {"version", "version", p.version}, {"source", "source", p.source}, {"sequence", "sequence", p.sequence + i},
	} {
		if given(m.flag) {
			value, _ := json.Marshal(m.value)
			added = fmt.Appendf(added, ",%q:%s", m.name, value)
		}
	}
	text := bytes.TrimSpace(event)
	if added == nil || len(text) < 2 || text[0] != '{' {
		return event
	}
	if rest := bytes.TrimSpace(text[1:]); rest[0] != '}' {
		added = append(added, ',')
	}
	return slices.Concat([]byte("{"), added[1:], text[1:])
}

func (p *publication) publish(ctx context.Context, out io.Writer, bus subscriber.Config, tenant, topic string, events [][]byte) error {
	publisher, err := subscriber.NewPublisher(bus)
	if err != nil {
		return &exit{exitUsage, err}
	}
	defer publisher.Close()
	for _, event := range events {
		if err := p.one(ctx, out, bus, publisher, tenant, topic, event); err != nil {
			return err
		}
	}
	return nil
}

func (p *publication) one(ctx context.Context, out io.Writer, bus subscriber.Config, publisher *subscriber.Publisher, tenant, topic string, event []byte) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	receivers, err := publisher.Publish(ctx, tenant, topic, event)
	switch {
	case errors.Is(err, subscriber.ErrChannel):
		return &exit{exitUsage, err}
	case redis.IsPermissionError(err):
		return &exit{exitUnreachable, fmt.Errorf("%w; the bus user needs +publish on the channel", err)}
	case err != nil:
		return &exit{exitUnreachable, fmt.Errorf("%w; is Redis at %s?", err, bus.Addresses[0])}
	}
	fmt.Fprintf(out, "published on %s to %d subscribers\n", bus.Channel(tenant, topic), receivers)
	return nil
}

// busOf returns the bus of a configuration, at another address if one is given.
func busOf(file, redis string) (subscriber.Config, error) {
	cfg, err := loadConfig(file)
	if err != nil {
		return subscriber.Config{}, err
	}
	if redis != "" {
		var a config.Address
		if err := a.UnmarshalText([]byte(redis)); err != nil {
			return subscriber.Config{}, &exit{exitUsage, fmt.Errorf("--redis: %w", err)}
		}
		cfg.Redis.Addresses = []config.Address{a}
	}
	bus, err := node.Bus(cfg)
	if err != nil {
		return bus, &exit{exitUsage, err}
	}
	return bus, nil
}

// maxData bounds what is read at once: events by the line.
const maxData = 64 << 20

// readData reads a file, or the standard input.
func readData(in io.Reader, file string) ([]byte, error) {
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("--data: %w", err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxData+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the event: %w", err)
	case len(data) > maxData:
		return nil, errors.New("more than 64 MiB of events: split them")
	}
	return data, nil
}
