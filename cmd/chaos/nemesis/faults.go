package nemesis

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/origin"
	"github.com/tenantry/tenantry/cmd/chaos/proxy"
	"github.com/tenantry/tenantry/cmd/chaos/world"
)

// faults returns every type that there is for so many nodes.
func faults(nodes int) []fault {
	all := []fault{
		{"node-kill", theNode, true, killNode},
		{"node-stop", theNode, true, stopNode},
		{"node-pauses", theNode, true, pauseNode},
		{"bus-cut", theBus, true, link(proxy.Fault{Cut: true})},
		{"bus-freeze", theBus, true, link(proxy.Fault{FreezeUp: true, FreezeDown: true})},
		{"bus-silent", theBus, true, link(proxy.Fault{FreezeDown: true})},
		{"bus-delay", theBus, true, delayLink},
		{"bus-drop", theBus, true, dropLink},
		{"bus-deaf", theBus, true, deafen},
		{"redis-restart", theBus, true, restartRedis},
		{"redis-freeze", theBus, true, freezeRedis},
		{"redis-pause", theBus, true, pauseRedis},
		{"redis-kill-pubsub", theBus, true, killPubSub},
		{"redis-output-buffer", theBus, true, overflow},
		{"flood", theBus, true, flood},
		{"bad-events", theBus, true, badEvents},
		{"origin-slow", theOrigin, false, ofOrigin(origin.Fault{Before: 400 * time.Millisecond, After: 2500 * time.Millisecond, Share: 0.7})},
		{"origin-late", theOrigin, false, ofOrigin(origin.Fault{After: 900 * time.Millisecond, Share: 1})},
		{"origin-late-lists", theOrigin, false, ofOrigin(origin.Fault{After: 1500 * time.Millisecond, Share: 1, Lists: true})},
		{"origin-500", theOrigin, false, ofOrigin(origin.Fault{Status: http.StatusInternalServerError, Share: 1})},
		{"origin-flaky", theOrigin, false, ofOrigin(origin.Fault{Status: http.StatusNotFound, Share: 0.5})},
		{"origin-hang", theOrigin, false, ofOrigin(origin.Fault{Hang: true, Share: 0.8})},
		{"origin-cut-body", theOrigin, false, ofOrigin(origin.Fault{InBody: true, Share: 0.8})},
		{"origin-cut", theOrigin, false, originLink(proxy.Fault{Cut: true})},
		{"origin-freeze", theOrigin, false, originLink(proxy.Fault{FreezeUp: true, FreezeDown: true})},
	}
	if nodes > 1 {
		all = append(all, ofCluster()...)
	}
	return all
}

// rest waits for the fault's time, or the run's end.
func (s *strike) rest(ctx context.Context) { world.Pause(ctx, s.hold) }

func killNode(ctx context.Context, s *strike) error {
	s.node.Kill()
	world.Pause(ctx, s.sometimesGone(s.hold/8))
	if err := s.node.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	world.Pause(ctx, s.hold/2)
	return nil
}

// waking is how long after a node goes on it counts as struck.
const waking = time.Second

// stopNode stops the node for long enough that its proofs expire.
func stopNode(ctx context.Context, s *strike) error {
	s.node.Stop()
	world.Pause(ctx, s.sometimesGone(2*s.hold))
	s.node.Continue()
	world.Pause(ctx, waking)
	return nil
}

// pauseNode stops the node a little, many times.
func pauseNode(ctx context.Context, s *strike) error {
	for until := s.Log.Now() + s.hold; s.Log.Now() < until && ctx.Err() == nil; {
		s.node.Stop()
		world.Pause(ctx, s.random(s.hold/2))
		s.node.Continue()
		world.Pause(ctx, s.random(s.hold/8))
	}
	world.Pause(ctx, waking)
	return nil
}

func (s *strike) random(most time.Duration) time.Duration {
	return time.Duration(s.rand.Int64N(int64(most) + 1))
}

// sort is which connections a fault of the link concerns.
func (s *strike) sort() proxy.Sort { return proxy.Sort(s.rand.IntN(3)) }

// link brings a fault of the connections to Redis, of all or of one sort.
func link(f proxy.Fault) func(context.Context, *strike) error {
	return func(ctx context.Context, s *strike) error {
		f := f
		f.Sort = s.sort()
		return s.through(ctx, s.setBus, f)
	}
}

// setBus and setOrigin begin a fault of all nodes, or, of one alone, of that one.
func (s *strike) setBus(f proxy.Fault) {
	if s.alone {
		s.node.BusProxy.Set(f)
		return
	}
	s.World.SetBus(f)
}

func (s *strike) setOrigin(f proxy.Fault) {
	if s.alone {
		s.node.OriginProxy.Set(f)
		return
	}
	s.World.SetOrigin(f)
}

func (s *strike) through(ctx context.Context, set func(proxy.Fault), f proxy.Fault) error {
	set(f)
	s.rest(ctx)
	set(proxy.Fault{})
	return nil
}

// deafen has the server answer and pass nothing on, until it is found out and the
// connections are closed: a server that came to itself between two beats would have
// lost events that nothing but their own numbers can tell of.
func deafen(ctx context.Context, s *strike) error {
	s.setBus(proxy.Fault{Sort: s.sort(), Deaf: true})
	s.rest(ctx)
	s.setBus(proxy.Fault{Cut: true})
	s.setBus(proxy.Fault{})
	return nil
}

func delayLink(ctx context.Context, s *strike) error {
	return s.through(ctx, s.setBus, proxy.Fault{Sort: s.sort(), Delay: s.random(s.hold / 3)})
}

func dropLink(ctx context.Context, s *strike) error {
	return s.through(ctx, s.setBus, proxy.Fault{Sort: s.sort(), DropAfter: 1 + s.rand.Int64N(20_000)})
}

func originLink(f proxy.Fault) func(context.Context, *strike) error {
	return func(ctx context.Context, s *strike) error { return s.through(ctx, s.setOrigin, f) }
}

func ofOrigin(f origin.Fault) func(context.Context, *strike) error {
	return func(ctx context.Context, s *strike) error {
		s.Origin.Set(f)
		s.rest(ctx)
		s.Origin.Set(origin.Fault{})
		return nil
	}
}

func restartRedis(ctx context.Context, s *strike) error {
	start := s.World.StopRedis(context.WithoutCancel(ctx))
	world.Pause(ctx, s.random(s.hold))
	if err := start(); err != nil {
		return err
	}
	world.Pause(ctx, s.hold/4)
	return nil
}

func freezeRedis(ctx context.Context, s *strike) error {
	thaw := s.World.FreezeRedis()
	s.rest(ctx)
	thaw()
	return nil
}

func pauseRedis(ctx context.Context, s *strike) error {
	mode := []string{"ALL", "WRITE"}[s.rand.IntN(2)]
	err := persist(ctx, func() error { return s.World.Bus.Do(ctx, "CLIENT", "PAUSE", s.hold.Milliseconds(), mode).Err() })
	s.rest(ctx)
	return err
}

const (
	// tries and tryInterval are the patience with a Redis that has just started:
	// for a second after many failures the client does not even try to dial.
	tries       = 100
	tryInterval = 50 * time.Millisecond
)

// persist does what may fail at first. A run that ends is no error.
func persist(ctx context.Context, do func() error) (err error) {
	for range tries {
		if err = do(); err == nil || !world.Pause(ctx, tryInterval) {
			return nil
		}
	}
	return err
}

func killPubSub(ctx context.Context, s *strike) error {
	for until := s.Log.Now() + s.hold; s.Log.Now() < until && ctx.Err() == nil; {
		if err := persist(ctx, func() error { return s.World.Bus.Do(ctx, "CLIENT", "KILL", "TYPE", "pubsub").Err() }); err != nil {
			return err
		}
		world.Pause(ctx, s.random(s.hold/2))
	}
	return nil
}

// overflow holds up the subscribers and floods one channel, until Redis cuts
// them off.
func overflow(ctx context.Context, s *strike) error {
	s.setBus(proxy.Fault{Sort: proxy.PubSub, FreezeDown: true})
	err := s.publish(ctx, 64<<10, 10*time.Millisecond)
	s.setBus(proxy.Fault{})
	return err
}

// flood publishes small events in bursts.
func flood(ctx context.Context, s *strike) error { return s.publish(ctx, 200, 5*time.Millisecond) }

// badEvents publishes what nodes refuse, and numbers that jump: each is a doubt
// about its tenant.
func badEvents(ctx context.Context, s *strike) error {
	const key = `"tenantId":"%s","data":{"operationCode":"bad"}`
	for n, until := 0, s.Log.Now()+s.hold; s.Log.Now() < until && ctx.Err() == nil; n++ {
		known := fmt.Sprintf(key, s.Flooded)
		message := []string{
			"no JSON", "{" + fmt.Sprintf(key, "another") + "}", `{"data":{}}`, `{"version":1.5,` + known + "}",
			fmt.Sprintf(`{"source":"nemesis","sequence":%d,%s}`, 1000*n, known),
			`{"padding":"` + strings.Repeat("x", 2<<20) + `",` + known + "}",
		}[s.rand.IntN(6)]
		if err := persist(ctx, func() error { return s.World.Bus.Publish(ctx, "crm:"+s.Flooded+":credit-configs", message).Err() }); err != nil {
			return err
		}
		world.Pause(ctx, s.random(s.hold/8))
	}
	return nil
}

// burst is how many events a flood publishes at once.
const burst = 20

// publish floods a channel with events of a key that nobody reads.
func (s *strike) publish(ctx context.Context, size int, interval time.Duration) error {
	message := `{"eventType":"flood","tenantId":"` + s.Flooded + `","data":{"operationCode":"flood` + string(rune('a'+s.rand.IntN(26))) + `","padding":"` + strings.Repeat("x", size) + `"}}`
	for until := s.Log.Now() + s.hold; s.Log.Now() < until && ctx.Err() == nil; {
		if err := persist(ctx, func() error { return s.burst(ctx, message) }); err != nil {
			return err
		}
		world.Pause(ctx, interval)
	}
	return nil
}

func (s *strike) burst(ctx context.Context, message string) error {
	pipe := s.World.Bus.Pipeline()
	for range burst {
		pipe.Publish(ctx, "crm:"+s.Flooded+":credit-configs", message)
	}
	_, err := pipe.Exec(ctx)
	return err
}
