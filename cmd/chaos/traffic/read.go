package traffic

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/tenantry/tenantry/cmd/chaos/history"
	"github.com/tenantry/tenantry/cmd/chaos/origin"
	"github.com/tenantry/tenantry/cmd/chaos/world"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
)

// Readers read, each in its own way, and through any node, as behind a load balancer.
type Readers struct {
	Log    *history.Log
	Origin *origin.Origin
	// Nodes returns the nodes there are. Readers know which do not serve, as a load
	// balancer does after a while: few of them still ask one of these.
	Nodes func() []*world.Node
	// Tenant returns the tenant to read next.
	Tenant func(*rand.Rand) string
	// Count is how many there are.
	Count int
	// PerSecond is how many requests they send together; a batch is one.
	PerSecond float64

	entries map[string][]int32
}

// Patience is how long a reader waits for an answer. It is short, so that the
// reads that meet a node that wakes are recent.
const Patience = 1500 * time.Millisecond

// batchSize is how many entries a batch asks for.
const batchSize = 24

// Run reads until ctx ends.
func (r *Readers) Run(ctx context.Context, seed uint64) {
	r.entries = r.Origin.Entries()
	var wg sync.WaitGroup
	for n := range r.Count {
		wg.Go(func() { r.one(ctx, n, rand.New(rand.NewPCG(seed, uint64(n)+100))) })
	}
	wg.Wait()
}

// reader is one of them.
type reader struct {
	*Readers
	way     history.Way
	rand    *rand.Rand
	caches  []tenantryv1connect.CacheServiceClient // by the node's number
	plain   *http.Client
	options []connect.ClientOption
	seen    []seen // the last answers, for their tokens
	next    int
	record  []history.Read
}

// seen is an answer whose token may be passed on.
type seen struct {
	entry  int32
	number uint32
	token  []byte
}

// maxSeen is how many answers a reader remembers.
const maxSeen = 64

// maxRecord is after how many reads they are written into the history.
const maxRecord = 64

func (r *Readers) one(ctx context.Context, n int, random *rand.Rand) {
	transport := &http.Transport{DisableCompression: true}
	options := []connect.ClientOption{connect.WithAcceptCompression("gzip", nil, nil)}
	me := &reader{Readers: r, rand: random, way: history.Way(n % 4), seen: make([]seen, maxSeen)}
	if me.way == history.GRPC {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetUnencryptedHTTP2(true)
		options = append(options, connect.WithGRPC())
	}
	defer transport.CloseIdleConnections()
	me.plain = &http.Client{Transport: transport}
	me.options = options
	defer me.flush()
	interval := time.Duration(float64(time.Second) * float64(r.Count) / r.PerSecond)
	flushed := r.Log.Now()
	for next := r.Log.Now() + time.Duration(random.Int64N(int64(interval))); world.Pause(ctx, next-r.Log.Now()); next = max(next+interval, r.Log.Now()-interval) {
		me.ask(ctx)
		if now := r.Log.Now(); len(me.record) >= maxRecord || now-flushed > 100*time.Millisecond {
			me.flush()
			flushed = now
		}
	}
}

func (r *reader) flush() {
	r.Log.Append(r.record)
	r.record = r.record[:0]
}

// ask asks once.
func (r *reader) ask(ctx context.Context) {
	patience, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	tenant := r.Tenant(r.rand)
	entries := r.entries[tenant]
	before := len(r.record)
	node := r.entry()
	switch r.way {
	case history.REST:
		r.rest(patience, node, tenant, entries[r.rand.IntN(len(entries))])
	case history.Batch:
		r.batch(patience, node, tenant, entries)
	default:
		r.get(patience, node, entries)
	}
	for i := range r.record[before:] {
		r.record[before+i].Node = uint8(node.Number)
	}
	if ctx.Err() != nil {
		r.record = r.record[:before] // the run ended; nobody waited
	}
}

// unaware is one in how many requests goes to a node although it does not serve.
const unaware = 8

// entry returns the node to ask.
func (r *reader) entry() *world.Node {
	all := r.Nodes()
	if len(all) == 1 {
		return all[0]
	}
	if r.rand.IntN(unaware) > 0 {
		all = slices.DeleteFunc(slices.Clone(all), func(n *world.Node) bool { return !n.Serving() })
	}
	if len(all) == 0 {
		all = r.Nodes()
	}
	return all[r.rand.IntN(len(all))]
}

// cache returns a node's client.
func (r *reader) cache(n *world.Node) tenantryv1connect.CacheServiceClient {
	for len(r.caches) <= n.Number {
		r.caches = append(r.caches, nil)
	}
	if r.caches[n.Number] == nil {
		r.caches[n.Number] = tenantryv1connect.NewCacheServiceClient(r.plain, n.URL, r.options...)
	}
	return r.caches[n.Number]
}

// request makes a read of an entry, with bounds now and then, and the token of
// the answer it is to come after.
func (r *reader) request(entry int32, bounded bool) (q history.Read, token []byte) {
	q = history.Read{Entry: entry, Way: r.way, MaxAge: history.NoMaxAge}
	if bounded {
		switch n := r.rand.IntN(100); {
		case n < 8:
			ages := []time.Duration{0, 0, 100 * time.Millisecond, time.Second, 3 * time.Second}
			q.MaxAge = ages[r.rand.IntN(len(ages))]
		case n < 16:
			q.MinVersion = uint32(r.Log.Items[r.Log.Entries[entry].Item].Current().Version)
		}
	}
	return q, nil
}

// again makes a read of an entry that was answered before, and must not be
// answered with anything older.
func (r *reader) again(entries []int32) (q history.Read, token []byte) {
	if r.rand.IntN(100) < 10 {
		if s := r.seen[r.rand.IntN(len(r.seen))]; s.token != nil {
			return history.Read{Entry: s.entry, Way: r.way, MaxAge: history.NoMaxAge, After: s.number}, s.token
		}
	}
	return r.request(entries[r.rand.IntN(len(entries))], true)
}

// remember keeps an answer for its token. Half of them are of the entries read
// most.
func (r *reader) remember(q *history.Read, token []byte) {
	if q.Result != history.Value || len(token) == 0 {
		return
	}
	r.seen[r.next%maxSeen] = seen{q.Entry, q.Number, token}
	r.next++
}
