package cluster

import (
	"context"
	"slices"
	"time"
)

// Formed returns a channel that is closed once the seeds have been tried and
// the node sees Expect members, itself included, or another that is ready: a cluster
// that has formed before, or once ExpectTimeout has passed since Run. It stays closed.
func (c *Cluster) Formed() <-chan struct{} { return c.formed }

// form closes formed.
func (c *Cluster) form(ctx context.Context) {
	timer := time.NewTimer(c.cfg.ExpectTimeout)
	defer timer.Stop()
	changes, attempted := c.Changes(), c.attempted
	for attempted != nil || c.present() < c.cfg.Expect && !c.formedBefore() {
		select {
		case <-changes:
		case <-attempted:
			attempted = nil
		case <-timer.C:
			c.log.Warn("fewer members than expected; going on without waiting", "members", c.present(), "expect", c.cfg.Expect)
			close(c.formed)
			return
		case <-ctx.Done():
			return
		}
	}
	c.log.Info("cluster formed", "members", c.present(), "expect", c.cfg.Expect)
	close(c.formed)
}

// present returns the number of members that are not gone.
func (c *Cluster) present() (n int) {
	for _, m := range c.Members() {
		if !m.Reach.Gone() {
			n++
		}
	}
	return n
}

// formedBefore reports whether another member is ready.
func (c *Cluster) formedBefore() bool {
	return slices.ContainsFunc(c.Members(), func(m Member) bool { return !m.Self && !m.Reach.Gone() && m.State == Ready })
}

// report logs who comes and goes, and who is refused.
func (c *Cluster) report(ctx context.Context) {
	changes, before := c.Changes(), make(map[string]Member)
	for {
		select {
		case <-changes:
			before = c.compare(before)
		case r := <-c.refusals.pending:
			c.refusals.report(r, time.Now())
		case <-ctx.Done():
			return
		}
	}
}

// compare logs what has changed since before, and returns what there is.
func (c *Cluster) compare(before map[string]Member) map[string]Member {
	after := make(map[string]Member)
	for _, m := range c.Members() {
		after[m.Name] = m
		if old, known := before[m.Name]; !m.Self && (!known || old.ID != m.ID || standing(&old) != standing(&m)) {
			c.log.Info("member changed", "member", m.Name, "state", standing(&m), "address", m.Address,
				"gossip", m.GossipAddress, "id", m.ID)
		}
	}
	return after
}
