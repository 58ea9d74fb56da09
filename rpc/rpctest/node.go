package rpctest

import (
	"context"
	"sync"
	"time"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/shard"
)

// Entry names an entry.
type Entry struct{ Tenant, Kind, Key string }

// Read is one read that a [Node] was asked for.
type Read struct {
	Entry
	Options cache.ReadOptions
}

// Node answers reads from a table. It implements rpc.Node and rpc.Readiness,
// and is safe for concurrent use. The zero value has no entries, is ready, and
// is alone.
type Node struct {
	place
	Solitary

	// Wait, if set, is called at the start of each read, with nothing locked.
	Wait func(ctx context.Context, e Entry)
	// Clock is what Now returns.
	Clock time.Duration

	mu       sync.Mutex
	answers  map[Entry]result
	reads    []Read
	recalls  []Read
	reasons  []string
	degraded []string
	tenants  map[string]shard.Description
	operated []Operation
}

type result struct {
	answer cache.Answer
	err    error
}

// Set makes reads of an entry return an answer.
func (n *Node) Set(tenant, kind, key string, a cache.Answer) {
	n.set(Entry{tenant, kind, key}, result{answer: a})
}

// Fail makes reads of an entry return an error.
func (n *Node) Fail(tenant, kind, key string, err error) {
	n.set(Entry{tenant, kind, key}, result{err: err})
}

func (n *Node) set(e Entry, r result) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.answers == nil {
		n.answers = make(map[Entry]result)
	}
	n.answers[e] = r
}

// Read answers as it was told to; what it was not told is absent.
func (n *Node) Read(ctx context.Context, tenant, kind, key string, o cache.ReadOptions) (cache.Answer, error) {
	e := Entry{tenant, kind, key}
	if n.Wait != nil {
		n.Wait(ctx, e)
	}
	if err := ctx.Err(); err != nil {
		return cache.Answer{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.reads = append(n.reads, Read{e, o})
	r, ok := n.answers[e]
	if !ok {
		return cache.Answer{Absent: true, Via: cache.FromOrigin}, nil
	}
	return r.answer, r.err
}

// Recall answers as Read does what was set to be in memory.
func (n *Node) Recall(tenant, kind, key string, o cache.ReadOptions) (cache.Answer, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.recalls = append(n.recalls, Read{Entry{tenant, kind, key}, o})
	r, ok := n.answers[Entry{tenant, kind, key}]
	return r.answer, ok && r.err == nil && r.answer.Via != cache.FromOrigin, nil
}

// Reads returns the reads so far, in order, and forgets them.
func (n *Node) Reads() []Read {
	n.mu.Lock()
	defer n.mu.Unlock()
	reads := n.reads
	n.reads = nil
	return reads
}

// Recalls returns the reads from memory so far, in order, and forgets them.
func (n *Node) Recalls() []Read {
	n.mu.Lock()
	defer n.mu.Unlock()
	recalls := n.recalls
	n.recalls = nil
	return recalls
}

// Now returns the Clock.
func (n *Node) Now() time.Duration { return n.Clock }

// SetReadiness makes the node not ready, if there are reasons, or degraded.
func (n *Node) SetReadiness(reasons, degraded []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.reasons, n.degraded = reasons, degraded
}

// Readiness says what [Node.SetReadiness] told it.
func (n *Node) Readiness() (ready bool, reasons, degraded []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.reasons) == 0, n.reasons, n.degraded
}
