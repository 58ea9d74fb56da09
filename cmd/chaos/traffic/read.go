package traffic

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/tenantry/tenantry/cmd/chaos/history"
	"github.com/tenantry/tenantry/cmd/chaos/origin"
	"github.com/tenantry/tenantry/cmd/chaos/world"
	"github.com/tenantry/tenantry/proto/gen/tenantry/v1/tenantryv1connect"
)

// Readers read, each in its own way.
type Readers struct {
	Log    *history.Log
	Origin *origin.Origin
	// Node is the base URL of the node.
	Node string
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
	way    history.Way
	rand   *rand.Rand
	cache  tenantryv1connect.CacheServiceClient
	plain  *http.Client
	seen   []seen // the last answers, for their tokens
	next   int
	record []history.Read
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
	me.cache = tenantryv1connect.NewCacheServiceClient(me.plain, r.Node, options...)
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
	switch r.way {
	case history.REST:
		r.rest(patience, tenant, entries[r.rand.IntN(len(entries))])
	case history.Batch:
		r.batch(patience, tenant, entries)
	default:
		r.get(patience, entries)
	}
	if ctx.Err() != nil {
		r.record = r.record[:before] // the run ended; nobody waited
	}
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
