package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/cmd/tenantry/wrapper"
	"github.com/tenantry/tenantry/rpc"
	"github.com/tenantry/tenantry/subscriber"
)

func sampleWrapperCommand() *cobra.Command {
	var listen, redis, namespace string
	cfg := wrapper.Config{}
	c := &cobra.Command{
		Use:   "sample-wrapper",
		Short: "Run the sample origin",
		Long: `Serves every path that the crm kinds read, with deterministic data for tenant 123
and tenant-0001, tenant-0002, …. A PUT on an item changes it and then publishes
the event. GET / tells the paths, GET /stats how often each was asked.`,
		Example: "  tenantry sample-wrapper --listen 127.0.0.1:9000 --redis 127.0.0.1:6379",
		Args:    cobra.NoArgs,
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:9000", "the `ADDRESS` to serve on")
	c.Flags().StringVar(&redis, "redis", "127.0.0.1:6379", "the `ADDRESS` of Redis, to publish on")
	c.Flags().StringVar(&namespace, "namespace", "crm", "the first part of every channel's name")
	c.Flags().IntVar(&cfg.Tenants, "tenants", 20, "how many tenants there are besides 123")
	c.Flags().IntVar(&cfg.Items, "items", 0, "how many items of each kind a tenant has at least")
	c.Flags().DurationVar(&cfg.Latency, "latency", 50*time.Millisecond, "added to each read")
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case cfg.Tenants < 0:
			return fmt.Errorf("--tenants %d: 0 or more", cfg.Tenants)
		case cfg.Items < 0:
			return fmt.Errorf("--items %d: 0 or more", cfg.Items)
		case cfg.Latency < 0:
			return fmt.Errorf("--latency %v: 0s or more", cfg.Latency)
		}
		var at config.Address
		if err := at.UnmarshalText([]byte(redis)); err != nil {
			return fmt.Errorf("--redis: %w", err)
		}
		l, err := net.Listen("tcp", listen)
		if err != nil {
			return &exit{exitUsage, fmt.Errorf("--listen: %w", err)}
		}
		cfg.Logger = logger(&config.Telemetry{}, c.ErrOrStderr())
		cfg.Namespace = namespace
		cfg.Logger.Info("serving the sample origin", "url", "http://"+l.Addr().String(), "redis", redis)
		return runWrapper(c.Context(), l, cfg, subscriber.Config{Addresses: []string{redis}, Namespace: namespace})
	}
	return c
}

// announcer publishes a sample Wrapper's events.
type announcer struct{ *subscriber.Publisher }

func (a announcer) Publish(ctx context.Context, tenant, topic string, payload []byte) error {
	_, err := a.Publisher.Publish(ctx, tenant, topic, payload)
	return err
}

// runWrapper serves a sample Wrapper on a listener until ctx ends.
func runWrapper(ctx context.Context, l net.Listener, cfg wrapper.Config, bus subscriber.Config) error {
	p, err := subscriber.NewPublisher(bus)
	if err != nil {
		return errors.Join(&exit{exitUsage, err}, l.Close())
	}
	defer p.Close()
	cfg.Publisher = announcer{p}
	w := wrapper.New(cfg)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return w.Run(ctx) })
	g.Go(func() error { return rpc.NewServer(l, http.Handler(w), cfg.Logger).Run(ctx) })
	return g.Wait()
}

// quiet is the logger of the demo's parts: warnings and errors only.
func quiet(c *cobra.Command) *slog.Logger {
	return logger(&config.Telemetry{LogLevel: "warn"}, c.ErrOrStderr())
}
