package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
	"github.com/tenantry/tenantry/subscriber"
)

// tenants of towns.
func tenantsOf(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("t", i)
	}
	return names
}

// readers read tenants through all nodes that serve, one after another, until stop.
// Each read must be answered within a second, and what is FRESH must be. Meanwhile the
// tenants change.
func (c *town) readers(n int, tenants []string) (stop func()) {
	ctx, cancel := context.WithCancel(c.Context())
	var busy sync.WaitGroup
	t := &tally{}
	for range n {
		busy.Go(func() {
			for ctx.Err() == nil {
				c.read(t, tenants[rand.IntN(len(tenants))])
				time.Sleep(rand.N(50 * time.Millisecond))
			}
		})
	}
	busy.Go(func() {
		for ctx.Err() == nil {
			tenant := tenants[rand.IntN(len(tenants))]
			v := c.origin.change(tenant)
			c.bus.publish(&subscriber.Event{Tenant: tenant, Topic: "costs", Version: v, Versioned: true, Changes: []subscriber.Change{
				{Kind: "cost", Key: "a", Effect: subscriber.Set, Value: strconv.AppendUint(nil, v, 10)},
				{Kind: "user", Key: "a", Effect: subscriber.Invalidate},
			}})
			time.Sleep(rand.N(50 * time.Millisecond))
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		busy.Wait()
		c.Logf("%d reads, %d forwarded, %d fresh, the longest %v", t.reads, t.forwarded, t.fresh, t.longest)
	})
	c.ends = append(c.ends, stop)
	return stop
}

type tally struct {
	mu                      sync.Mutex
	reads, forwarded, fresh int
	longest                 time.Duration
}

func (c *town) read(t *tally, tenant string) {
	serving := c.serving()
	h := serving[rand.IntN(len(serving))]
	kind := []string{"cost", "cost", "user"}[rand.IntN(3)]
	ctx, cancel := context.WithTimeout(c.Context(), 5*time.Second)
	defer cancel()
	yes, turns := h.serves()
	if !yes {
		return
	}
	asked := time.Now()
	e, err := h.client.Get(ctx, tenant, kind, "a")
	took := time.Since(asked)
	if _, now := h.serves(); now != turns || c.Context().Err() != nil {
		return // it was cut off from its caller
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reads++
	t.longest = max(t.longest, took)
	if err != nil || took > time.Second {
		c.Errorf("%s %s through %s took %v: %v", tenant, kind, h.name, took, err)
		return
	}
	if e.Freshness.GetNode() != h.name {
		t.forwarded++
	}
	if e.Freshness.GetState() != tenantryv1.Freshness_FRESH {
		return
	}
	t.fresh++
	v := e.Freshness.GetVersion()
	if replaced, was := c.origin.replacedAt(tenant, v); was && asked.Sub(replaced) > bound {
		c.Errorf("%s %s through %s, by %s: version %d was replaced %v before it was asked for", tenant, kind, h.name, e.Freshness.GetNode(), v, asked.Sub(replaced))
	}
}

// subscribed waits until each tenant that is active is followed by its owners, as many
// as there should be, and by nobody else.
func (c *town) subscribed(nodes int) {
	c.Helper()
	want := min(townRing.Replicas, nodes)
	took := c.within(15*time.Second, fmt.Sprint("each tenant is followed by ", want, ", its owners"), func() bool {
		r, _, _ := c.serving()[0].shard.Ring()
		for tenant, followers := range c.bus.subscribers() {
			owners := r.Names(r.Lookup(tenant))
			slices.Sort(owners)
			if len(owners) != want || !slices.Equal(owners, followers) {
				return false
			}
		}
		return true
	})
	c.Logf("each tenant is followed by %d nodes after %v", want, took)
}

func eachSize(t *testing.T, test func(c *town, size int)) {
	for _, size := range townSizes() {
		t.Run(fmt.Sprint(size, " nodes"), func(t *testing.T) {
			inBubble(t, size, func(c *town) { test(c, size) })
		})
	}
}
