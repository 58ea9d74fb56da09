package world

import (
	"context"
	"fmt"
	"time"
)

const (
	// balancing is how often a load balancer looks whether a node is ready.
	balancing = 100 * time.Millisecond
	// notice is how long after it is not ready a node must still answer: the least that
	// it says it lingers, less a little.
	notice = 1500 * time.Millisecond
	// drainTimeout is more than a node takes at most.
	drainTimeout = 40 * time.Second
)

// Drain has the node leave in order, and returns when its process has ended. Clients
// turn away from it when it is no longer ready, as a load balancer has them do; until a
// while after that every request must be answered.
func (n *Node) Drain(ctx context.Context) error {
	leaving, stop := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
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
		return fmt.Errorf("%s did not end in order: %w; see its log", n.Name, err)
	}
	return nil
}

// Withdraw notes that clients cannot expect an answer from now on: nobody is left to
// give one.
func (n *Node) Withdraw() { n.leave() }

// turnAway notes that the node is not ready, and when it need not answer any longer.
func (n *Node) turnAway(ctx context.Context) {
	for n.Ready(ctx) {
		if !Pause(ctx, balancing) {
			return
		}
	}
	n.out.Store(true)
	if Pause(ctx, notice) {
		n.leave()
	}
}
