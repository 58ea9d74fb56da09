package trial

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/proxy"
	"github.com/tenantry/tenantry/cmd/chaos/world"
)

// strike is one fault of the bus, the same each time.
type strike struct {
	name string
	do   func(context.Context, *world.World) error
}

// Strikes of the bus: it ends, refuses, falls silent, and forgets.
const (
	cutFor = 2 * time.Second
	// frozenFor is long enough that it must be noticed that nothing comes back.
	frozenFor = 6 * time.Second
)

func strikes() []strike {
	return []strike{
		{"redis-kill-pubsub", func(ctx context.Context, w *world.World) error {
			return w.Bus.Do(ctx, "CLIENT", "KILL", "TYPE", "pubsub").Err()
		}},
		{"bus-cut", link(proxy.Fault{Cut: true}, cutFor)},
		{"bus-freeze", link(proxy.Fault{FreezeUp: true, FreezeDown: true}, frozenFor)},
		{"redis-restart", func(ctx context.Context, w *world.World) error { return w.StopRedis(ctx)() }},
	}
}

func link(f proxy.Fault, d time.Duration) func(context.Context, *world.World) error {
	return func(ctx context.Context, w *world.World) error {
		w.SetBus(f)
		defer w.SetBus(proxy.Fault{})
		world.Pause(ctx, d)
		return nil
	}
}

// Strikes returns the names of the faults to recover from.
func Strikes() (names []string) {
	for _, s := range strikes() {
		names = append(names, s.name)
	}
	return names
}

// CheckStrikes returns an error that names the faults that are none.
func CheckStrikes(names []string) error {
	for _, name := range names {
		if !slices.Contains(Strikes(), name) {
			return fmt.Errorf("no such fault: %s; there are %s", name, strings.Join(Strikes(), ", "))
		}
	}
	return nil
}
