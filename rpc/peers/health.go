package peers

import (
	"context"
	"sync"
	"time"

	"connectrpc.com/connect"

	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

const (
	// pingInterval is the time between two pings of a node that is down, or that
	// reads wait for; pingTimeout is how long one may take.
	pingInterval = 200 * time.Millisecond
	pingTimeout  = 300 * time.Millisecond
	// The bounds of the time after which the next owner is asked as well, and of that
	// after which it is where the first reads the origin: most reads of an origin take
	// less than the least.
	minHedge     = 3 * time.Millisecond
	maxHedge     = 100 * time.Millisecond
	minWaitHedge = 250 * time.Millisecond
	maxWaitHedge = 500 * time.Millisecond
)

// health is what is known of a node's answers.
type health struct {
	mu      sync.Mutex
	isDown  bool
	down    context.Context //nolint:containedctx // ends when the node is found to be down
	setDown context.CancelFunc
	watched int  // calls that wait for the node
	late    bool // it did not answer one in time, and is to answer a ping
	pinging bool
	// unanswered are the reads that the node did not answer, and is to, before it is
	// asked for others: a node may answer pings, and no reads.
	unanswered []*tenantryv1.PeerRead
	// memory is the time that answers from memory take, origin that of the others.
	memory, origin duration
}

// duration is how long something takes and how much that varies, as RFC 6298
// estimates it for the retransmissions of TCP.
type duration struct{ mean, deviation time.Duration }

func (d *duration) add(took time.Duration) {
	if d.mean == 0 {
		d.mean, d.deviation = took, took/2
		return
	}
	d.deviation += (max(d.mean-took, took-d.mean) - d.deviation) / 4
	d.mean += (took - d.mean) / 8
}

// most is what few take longer than, within bounds; the greater one, if nothing is
// known.
func (d *duration) most(least, greatest time.Duration) time.Duration {
	if d.mean == 0 {
		return greatest
	}
	return min(max(d.mean+4*d.deviation, least), greatest)
}

func (h *health) init() {
	h.down, h.setDown = context.WithCancel(context.Background())
}

// answered notes an answer from memory and the time that it took.
func (h *health) answered(took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.memory.add(took)
	h.revive()
}

// waited notes an answer that needed the origin, and got it.
func (h *health) waited(took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.origin.add(took)
}

// revive notes that the node answers. Callers hold mu.
func (h *health) revive() {
	h.unanswered = nil
	if h.isDown {
		h.isDown = false
		h.init()
	}
}

// hedge returns after which time nearly all answers from memory have come.
func (h *health) hedge() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.memory.most(minHedge, maxHedge)
}

// waitHedge is hedge of the answers that need the origin.
func (h *health) waitHedge() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.origin.most(minWaitHedge, maxWaitHedge)
}

func (h *health) up() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.isDown
}

// failedFor is failed of reads: they are what the node is to answer next.
func (l *lane) failedFor(reads []*tenantryv1.PeerRead, err error) {
	if !spoke(err) {
		l.health.mu.Lock()
		l.health.unanswered = reads
		l.health.mu.Unlock()
	}
	l.failed(err)
}

// failed notes that a call from memory failed, unless the node refused it in words.
func (l *lane) failed(err error) {
	if connect.CodeOf(err) == connect.CodeUnauthenticated {
		l.refused.Do(func() {
			l.cfg.Logger.Warn("a node does not know this one by its secret, others are asked instead", "node", l.peer.Name, "url", l.peer.URL)
		})
	}
	if l.ctx.Err() != nil || spoke(err) {
		return
	}
	h := &l.health
	h.mu.Lock()
	first := !h.isDown
	h.isDown = true
	h.setDown()
	h.mu.Unlock()
	if first {
		l.cfg.Logger.Info("a node does not answer, others are asked instead", "node", l.peer.Name, "url", l.peer.URL, "error", err)
	}
	l.ping()
}

// spoke says that an error is the node's own word.
func spoke(err error) bool {
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeCanceled, connect.CodeUnknown, connect.CodeInternal:
		return false
	}
	return true
}

// watch has the node pinged while a call waits for it, and returns what ends when
// it is found to be down.
func (l *lane) watch() context.Context {
	h := &l.health
	h.mu.Lock()
	h.watched++
	down := h.down
	h.mu.Unlock()
	l.ping()
	return down
}

func (l *lane) unwatch() {
	l.health.mu.Lock()
	defer l.health.mu.Unlock()
	l.health.watched--
}

// noteLate has the node pinged that did not answer in time: it may be busy, or down.
func (l *lane) noteLate() {
	l.health.mu.Lock()
	l.health.late = true
	l.health.mu.Unlock()
	l.ping()
}

// ping pings the node as long as there is reason to.
func (l *lane) ping() {
	h := &l.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.pinging {
		h.pinging = l.run(l.pingAgain)
	}
}

func (l *lane) pingAgain() {
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	for l.hasReason() {
		select {
		case <-ticker.C:
		case <-l.ctx.Done():
			return
		}
		l.pingOnce()
	}
}

// hasReason reports whether the node is to be pinged; otherwise nobody does any
// longer. A node that is down and that nobody asks for is not pinged for ever.
func (l *lane) hasReason() bool {
	l.Peers.mu.Lock()
	forgotten := l.lanes[l.peer.ID] != l
	l.Peers.mu.Unlock()
	h := &l.health
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pinging = h.watched > 0 || h.late || h.isDown && !forgotten
	return h.pinging
}

// pingOnce has the node show that it answers: the reads that it did not, if there are
// any, else an Activity of no tenants.
func (l *lane) pingOnce() {
	h := &l.health
	h.mu.Lock()
	reads := h.unanswered
	h.late = false
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(l.ctx, pingTimeout)
	defer cancel()
	var err error
	if reads != nil {
		_, err = l.remember(ctx, reads)
	} else {
		_, err = l.client.Activity(ctx, &tenantryv1.ActivityRequest{Node: l.cfg.Self})
	}
	if err != nil && !spoke(err) {
		l.failed(err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.revive()
}
