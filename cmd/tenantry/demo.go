package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/cmd/tenantry/config"
	"github.com/tenantry/tenantry/cmd/tenantry/node"
	"github.com/tenantry/tenantry/cmd/tenantry/wrapper"
	"github.com/tenantry/tenantry/shard/ring"
	"github.com/tenantry/tenantry/subscriber"
)

// Ports of the demo, from its base port: those of the first node, and what all
// need. The nodes after it have theirs demoStep further each.
const (
	demoAdmin = iota + 1
	demoRedis
	demoWrapper
	demoGossip
	demoStep     = 10
	maxDemoNodes = 50
)

// demo is everything in one process.
type demo struct {
	base    int
	count   int
	tenants int
	latency time.Duration
	length  time.Duration
	traffic bool

	redis   *miniredis.Miniredis
	wrapper net.Listener
	rings   *ring.Shared
	nodes   []*node.Node
}

func demoCommand() *cobra.Command {
	d := &demo{}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run everything in one process, with no set-up",
		Long: `Runs an embedded Redis, the sample Wrapper and a cluster of nodes in one process,
and prints every address and requests to copy. Ctrl-C ends it.`,
		Example: "  tenantry demo\n  tenantry demo --nodes 5 --tenants 100 --traffic",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return d.run(c) },
	}
	c.Flags().IntVar(&d.base, "base-port", 7070, "the rpc port of the first node; its admin port, Redis, the Wrapper and its gossip have the four after it, and each further node ten more")
	c.Flags().IntVar(&d.count, "nodes", 3, "how many nodes")
	c.Flags().IntVar(&d.tenants, "tenants", 20, "how many tenants there are besides 123")
	c.Flags().DurationVar(&d.latency, "latency", 50*time.Millisecond, "how long the Wrapper takes for a read")
	c.Flags().BoolVar(&d.traffic, "traffic", false, "read through all nodes and change costs all the time, and tell every five seconds how that goes")
	c.Flags().DurationVar(&d.length, "for", 0, "end after this time; 0s: at Ctrl-C")
	return c
}

func (d *demo) address(offset int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(d.base+offset))
}

func (d *demo) run(c *cobra.Command) error {
	if d.count < 1 || d.count > maxDemoNodes {
		return fmt.Errorf("--nodes %d: 1 to %d", d.count, maxDemoNodes)
	}
	if most := 65535 - demoGossip - (d.count-1)*demoStep; d.base < 1 || d.base > most {
		return fmt.Errorf("--base-port %d: 1 to %d", d.base, most)
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
	for _, n := range d.nodes {
		g.Go(func() error { return n.Run(ctx) })
	}
	g.Go(func() error {
		if !d.awaitReady(ctx) {
			return nil
		}
		d.welcome(c.OutOrStdout())
		if d.traffic {
			d.drive(ctx, c.OutOrStdout())
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
	if err := d.startNodes(c); err != nil {
		d.redis.Close()
		return errors.Join(err, d.wrapper.Close())
	}
	return nil
}

// startNodes binds the ports of the nodes, which share their rings.
func (d *demo) startNodes(c *cobra.Command) (err error) {
	if d.rings, err = ring.NewShared(node.RingSettings(config.Default())); err != nil {
		return err
	}
	for i := range d.count {
		n, err := node.New(d.config(i), version, quiet(c), d.rings)
		if err != nil {
			return err
		}
		d.nodes = append(d.nodes, n)
	}
	return nil
}

// config returns the configuration of a node. They wait for each other, so that no
// tenant moves at the start.
func (d *demo) config(i int) *config.Config {
	at := func(offset int) config.Address { return config.Address(d.address(i*demoStep + offset)) }
	cfg := config.Default()
	cfg.Node.Name = "demo-" + strconv.Itoa(i+1)
	cfg.Listen = config.Listen{RPC: at(0), Admin: at(demoAdmin), Gossip: at(demoGossip)}
	if cfg.Cluster.Expect = d.count; i > 0 {
		cfg.Cluster.Join = []config.Address{config.Address(d.address(demoGossip))}
	}
	cfg.Redis.Addresses = []config.Address{config.Address(d.redis.Addr())}
	cfg.Origin.URL = config.URL("http://" + d.wrapper.Addr().String())
	cfg.Tenants.Preload = []string{"123"}
	return cfg
}

// awaitReady returns once every node is ready and has the ring of all, or false if
// ctx ends first.
func (d *demo) awaitReady(ctx context.Context) bool {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !d.ready() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (d *demo) ready() bool {
	for _, n := range d.nodes {
		if ready, _, _ := n.Readiness(); !ready || n.RingMembers() < d.count {
			return false
		}
	}
	return true
}

func (d *demo) welcome(w io.Writer) {
	host, redisPort, _ := net.SplitHostPort(d.redis.Addr())
	fmt.Fprintf(w, `Tenantry demo: %[9]s, ready.

%[10]s  sample Wrapper  http://%[3]s   (/, /stats)
  Redis           %[4]s
  tenants         123, tenant-0001 to %[7]s

What does it cost, and can the user afford it?

  curl -i -H 'X-Tenant-Id: 123' 'http://%[1]s/api/credits/check/crm.leads.create?userId=user-1'
  curl -i -H 'X-Tenant-Id: 123' 'http://%[1]s/api/users/user-1'
  curl -i 'http://%[1]s/v1/tenants/123/entries/role/sales-manager'

Change the cost at the Wrapper, which publishes the event; then ask again:

  curl -X PUT 'http://%[3]s/api/tenants/123/credit-configs/crm.leads.create' -d '{"creditCost":3.5}'

Which node owns which tenant? Any node answers for all of them.

  bin/tenantry members --server http://%[1]s
  bin/tenantry ring 123 --server http://%[1]s

Or publish an event yourself, without a version: provisional, until the Wrapper
has been asked.

  redis-cli -h %[5]s -p %[6]s publish crm:123:credit-config-changed '%[8]s'
  echo '%[8]s' | bin/tenantry publish 123 credit-configs --redis %[4]s

Ctrl-C ends the demo.
`, d.nodes[0].RPC(), d.nodes[0].Admin(), d.wrapper.Addr(), d.redis.Addr(), host, redisPort, wrapper.TenantName(max(d.tenants, 1)), demoEvent,
		counted(d.count, "node"), d.addresses())
}

// addresses lists those of the nodes.
func (d *demo) addresses() string {
	var b strings.Builder
	for i, n := range d.nodes {
		fmt.Fprintf(&b, "  node demo-%-5d http://%s   admin http://%s (/readyz, /metrics)\n", i+1, n.RPC(), n.Admin())
	}
	return b.String()
}

// counted returns a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "one " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// demoEvent is the message of the specification.
const demoEvent = `{"eventId":"change-123","eventType":"credit-config-changed","tenantId":"123","data":{"operationCode":"crm.leads.create","changedFields":["credit_cost"],"newValue":3.0,"oldValue":2.5}}`
