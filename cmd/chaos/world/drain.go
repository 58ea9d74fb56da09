package world

import (
	"context"
	"fmt"
	"strings"
	"time"
)

const (
	// balancing is how often a load balancer looks whether a node is ready.
	balancing = 100 * time.Millisecond
	// knocking is how often it is seen whether a node that is not still listens.
	knocking = 10 * time.Millisecond
	// drainTimeout is more than a node takes at most, by default or beside its Leisure.
	drainTimeout = 40 * time.Second
)

// Drain has the node leave in order, and returns when its process has ended. Clients
// turn away from it when it is no longer ready, as a load balancer has them do; but
// for as long as it listens every request must be answered.
func (n *Node) Drain(ctx context.Context) error {
	leaving, stop := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout+n.world.cfg.Leisure)
	defer stop()
	noticed := make(chan struct{})
	noticing, enough := context.WithCancel(leaving)
	go func() {
		defer close(noticed)
		n.turnAway(noticing)
	}()
	err := n.process.end(leaving)
	enough()
	<-noticed
	n.leave()
	if err != nil {
		return fmt.Errorf("%s did not end in order: %w; its log ends with\n%s", n.Name, err, n.process.tail())
	}
	return nil
}

// Withdraw notes that clients cannot expect an answer from now on: nobody is left to
// give one.
func (n *Node) Withdraw() { n.leave() }

// turnAway notes that the node is not ready, and since when it has not listened.
func (n *Node) turnAway(ctx context.Context) {
	for n.Ready(ctx) {
		if !Pause(ctx, balancing) {
			return // it ended, and was ready
		}
	}
	n.out.Store(true)
	for last := n.world.cfg.Log.Now(); ; {
		now := n.world.cfg.Log.Now()
		open := listens(ctx, strings.TrimPrefix(n.URL, "http://"))
		if open {
			last = now
		}
		if !open || !Pause(ctx, knocking) {
			n.closed(last)
			return
		}
	}
}
