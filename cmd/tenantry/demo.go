package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/cmd/tenantry/node"
	"github.com/tenantry/tenantry/cmd/tenantry/wrapper"
	"github.com/tenantry/tenantry/subscriber"
)

// Ports of the demo, from its base port: the rpc and admin port of the node,
// then what it needs.
const (
	demoAdmin = iota + 1
	demoRedis
	demoWrapper
)

// demo is everything in one process.
type demo struct {
	base    int
	tenants int
	latency time.Duration
	length  time.Duration

	redis   *miniredis.Miniredis
	wrapper net.Listener
	node    *node.Node
}

func demoCommand() *cobra.Command {
	d := &demo{}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run everything in one process, with no set-up",
		Long: `Runs an embedded Redis, the sample Wrapper and a node in one process, and prints
every address and requests to copy. Ctrl-C ends it.`,
		Example: "  tenantry demo\n  tenantry demo --tenants 100 --base-port 8070",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return d.run(c) },
	}
	c.Flags().IntVar(&d.base, "base-port", 7070, "the rpc port; the admin port, Redis and the Wrapper have the three after it")
	c.Flags().IntVar(&d.tenants, "tenants", 20, "how many tenants there are besides 123")
	c.Flags().DurationVar(&d.latency, "latency", 50*time.Millisecond, "how long the Wrapper takes for a read")
	c.Flags().DurationVar(&d.length, "for", 0, "end after this time; 0s: at Ctrl-C")
	return c
}

func (d *demo) address(offset int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(d.base+offset))
}

func (d *demo) run(c *cobra.Command) error {
	if d.base < 1 || d.base+demoWrapper > 65535 {
		return fmt.Errorf("--base-port %d: 1 to %d", d.base, 65535-demoWrapper)
	}
	if d.tenants < 0 {
		return fmt.Errorf("--tenants %d: 0 or more", d.tenants)
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	if d.length > 0 {
		time.AfterFunc(d.length, cancel)
	}
	if err := d.start(c); err != nil {
		return &exit{exitUsage, fmt.Errorf("%w; --base-port takes other ports", err)}
	}
	defer d.redis.Close()
	g, ctx := errgroup.WithContext(ctx)
	bus := subscriber.Config{Addresses: []string{d.redis.Addr()}}
	g.Go(func() error {
		return runWrapper(ctx, d.wrapper, wrapper.Config{Tenants: d.tenants, Latency: d.latency, Logger: quiet(c)}, bus)
	})
	g.Go(func() error { return d.node.Run(ctx) })
	g.Go(func() error {
		if d.awaitReady(ctx) {
			d.welcome(c.OutOrStdout())
		}
		return nil
	})
	return g.Wait()
}

// start binds every port.
func (d *demo) start(c *cobra.Command) (err error) {
	d.redis = miniredis.NewMiniRedis()
	if err := d.redis.StartAddr(d.address(demoRedis)); err != nil {
		return fmt.Errorf("the embedded Redis: %w", err)
	}
	if d.wrapper, err = net.Listen("tcp", d.address(demoWrapper)); err != nil {
		d.redis.Close()
		return fmt.Errorf("the sample Wrapper: %w", err)
	}
	if d.node, err = node.New(d.config(), version, quiet(c)); err != nil {
		d.redis.Close()
		return errors.Join(err, d.wrapper.Close())
	}
	return nil
}

func (d *demo) config() *config.Config {
	cfg := config.Default()
	cfg.Node.Name = "demo-1"
	cfg.Listen.RPC, cfg.Listen.Admin = config.Address(d.address(0)), config.Address(d.address(demoAdmin))
	cfg.Redis.Addresses = []config.Address{config.Address(d.redis.Addr())}
	cfg.Origin.URL = config.URL("http://" + d.wrapper.Addr().String())
	cfg.Tenants.Preload = []string{"123"}
	return cfg
}

// awaitReady returns once the node is ready, or false if ctx ends first.
func (d *demo) awaitReady(ctx context.Context) bool {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		if ready, _, _ := d.node.Readiness(); ready {
			return true
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return false
		}
	}
}

func (d *demo) welcome(w io.Writer) {
	host, redisPort, _ := net.SplitHostPort(d.redis.Addr())
	fmt.Fprintf(w, `Tenantry demo: one node, ready.

  rpc and REST    http://%[1]s
  admin           http://%[2]s   (/readyz, /metrics)
  sample Wrapper  http://%[3]s   (/, /stats)
  Redis           %[4]s
  tenants         123, tenant-0001 to %[7]s

What does it cost, and can the user afford it?

  curl -i -H 'X-Tenant-Id: 123' 'http://%[1]s/api/credits/check/crm.leads.create?userId=user-1'
  curl -i -H 'X-Tenant-Id: 123' 'http://%[1]s/api/users/user-1'
  curl -i 'http://%[1]s/v1/tenants/123/entries/role/sales-manager'

Change the cost at the Wrapper, which publishes the event; then ask again:

  curl -X PUT 'http://%[3]s/api/tenants/123/credit-configs/crm.leads.create' -d '{"creditCost":3.5}'

Or publish an event yourself, without a version: provisional, until the Wrapper
has been asked.

  redis-cli -h %[5]s -p %[6]s publish crm:123:credit-config-changed '%[8]s'
  echo '%[8]s' | bin/tenantry publish 123 credit-configs --redis %[4]s

Ctrl-C ends the demo.
`, d.node.RPC(), d.node.Admin(), d.wrapper.Addr(), d.redis.Addr(), host, redisPort, wrapper.TenantName(max(d.tenants, 1)), demoEvent)
}

// demoEvent is the message of the specification.
const demoEvent = `{"eventId":"change-123","eventType":"credit-config-changed","tenantId":"123","data":{"operationCode":"crm.leads.create","changedFields":["credit_cost"],"newValue":3.0,"oldValue":2.5}}`
