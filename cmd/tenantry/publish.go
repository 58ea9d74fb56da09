package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/cmd/tenantry/node"
	"github.com/tenantry/tenantry/subscriber"
)

// maxEvent is the largest event that nodes take.
const maxEvent = 1 << 20

func publishCommand() *cobra.Command {
	var file, redis, data string
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "publish TENANT TOPIC [--data FILE]",
		Short: "Publish a change event on the bus",
		Long: `Publishes one event, a JSON object, on the channel {namespace}:TENANT:TOPIC, and
prints how many subscribers Redis gave it to: a node subscribes to the tenants
that are active on it.`,
		Example: `  echo '{"eventType":"credit-config-changed","data":{"operationCode":"crm.leads.create","newValue":3.0}}' |
    tenantry publish 123 credit-configs`,
		Args: cobra.ExactArgs(2),
	}
	c.Flags().StringVar(&data, "data", "-", "the event's `FILE`; - is standard input")
	c.Flags().StringVar(&file, "config", "", "the node's configuration `FILE`, for its redis section")
	c.Flags().StringVar(&redis, "redis", "", "the `ADDRESS` of Redis instead")
	c.Flags().DurationVar(&timeout, "timeout", 5*time.Second, "how long to wait for Redis")
	c.RunE = func(c *cobra.Command, args []string) error {
		event, err := readEvent(c.InOrStdin(), data)
		if err != nil {
			return &exit{exitUsage, err}
		}
		if _, err := subscriber.Decode(args[0], args[1], event); err != nil {
			return &exit{exitUsage, fmt.Errorf("not published, because nodes would refuse it: %w", err)}
		}
		bus, err := busOf(file, redis)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.Context(), timeout)
		defer cancel()
		return publish(ctx, c.OutOrStdout(), bus, args[0], args[1], event)
	}
	return c
}

func publish(ctx context.Context, out io.Writer, bus subscriber.Config, tenant, topic string, event []byte) error {
	p, err := subscriber.NewPublisher(bus)
	if err != nil {
		return &exit{exitUsage, err}
	}
	defer p.Close()
	receivers, err := p.Publish(ctx, tenant, topic, event)
	if errors.Is(err, subscriber.ErrChannel) {
		return &exit{exitUsage, err}
	}
	if err != nil {
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

// readEvent reads an event.
func readEvent(in io.Reader, file string) ([]byte, error) {
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("--data: %w", err)
		}
		defer f.Close()
		in = f
	}
	event, err := io.ReadAll(io.LimitReader(in, maxEvent+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the event: %w", err)
	case len(event) > maxEvent:
		return nil, errors.New("the event is larger than 1 MiB: nodes would refuse it")
	}
	return event, nil
}
