package cache

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeOrigin is an origin of one tenant's items with a latency and faults.
type fakeOrigin struct {
	mu        sync.Mutex
	items     map[flightName]Document
	latency   time.Duration // between reading the item and returning it
	fault     error
	listFault error // of lists alone
	page      int   // items a page of a list; 0: one page
	reads     []read
	ignore    bool // ETags: answer in full
}

type flightName struct{ kind, key string }

type read struct {
	kind, key, etag string
	at              time.Time
}

func newFakeOrigin() *fakeOrigin { return &fakeOrigin{items: map[flightName]Document{}} }

func (o *fakeOrigin) put(kind, key string, d Document) {
	o.mu.Lock()
	defer o.mu.Unlock()
	d.Key = key
	o.items[flightName{kind, key}] = d
}

func (o *fakeOrigin) delete(kind, key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.items, flightName{kind, key})
}

func (o *fakeOrigin) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fault = err
}

// count returns the reads of a key; "" counts the lists.
func (o *fakeOrigin) count(kind, key string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.reads {
		if r.kind == kind && r.key == key {
			n++
		}
	}
	return n
}

// total returns the reads, lists included.
func (o *fakeOrigin) total() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.reads)
}

func (o *fakeOrigin) begin(kind, key, etag string) (Document, bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reads = append(o.reads, read{kind, key, etag, time.Now()})
	d, ok := o.items[flightName{kind, key}]
	return d, ok, o.fault
}

func (o *fakeOrigin) One(ctx context.Context, _ string, k *Kind, key, etag string) (Document, error) {
	d, ok, fault := o.begin(k.Name, key, etag)
	if err := o.wait(ctx); err != nil {
		return Document{}, err
	}
	switch {
	case fault != nil:
		return Document{}, fault
	case !ok:
		return Document{}, ErrAbsent
	case etag != "" && etag == d.ETag && !o.ignore:
		return Document{}, ErrNotModified
	}
	return d, nil
}

func (o *fakeOrigin) List(ctx context.Context, _ string, k *Kind, etag string, page func([]Document) error) (string, error) {
	_, _, fault := o.begin(k.Name, "", etag)
	if fault == nil {
		fault = o.listFault
	}
	if fault != nil {
		return "", fault
	}
	docs := o.list(k.Name)
	tag := listTag(docs)
	switch {
	case o.page > 0:
		tag = ""
	case etag == tag && !o.ignore:
		return "", cmp.Or(o.wait(ctx), ErrNotModified)
	}
	for first := true; first || len(docs) > 0; first = false {
		n := len(docs)
		if o.page > 0 {
			n = min(n, o.page)
		}
		if err := o.wait(ctx); err != nil {
			return "", err
		}
		if err := page(docs[:n]); err != nil {
			return "", err
		}
		docs = docs[n:]
	}
	return tag, nil
}

// listTag is the ETag of a list.
func listTag(docs []Document) string {
	slices.SortFunc(docs, func(a, b Document) int { return strings.Compare(a.Key, b.Key) })
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, docs)
	return fmt.Sprintf(`"%x"`, h.Sum(nil))
}

func (o *fakeOrigin) list(kind string) (docs []Document) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for name, d := range o.items {
		if name.kind == kind {
			d.ETag = ""
			docs = append(docs, d)
		}
	}
	return docs
}

// delay sets the latency while reads may be in flight.
func (o *fakeOrigin) delay(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.latency = d
}

func (o *fakeOrigin) wait(ctx context.Context) error {
	o.mu.Lock()
	latency := o.latency
	o.mu.Unlock()
	select {
	case <-time.After(latency):
		return nil
	case <-ctx.Done():
		return &FaultError{Reason: "timeout", Err: ctx.Err()}
	}
}

// bench is a cache with one tenant in a bubble, on a live link.
type bench struct {
	*testing.T
	origin *fakeOrigin
	cache  *Cache
	link   *Link
	tenant *Tenant
	cost   *Kind // critical, listed
	user   *Kind // reference
}

// inBubble runs a test on a tenant that is confirmed, with proofs each second
// until silence is called.
func inBubble(t *testing.T, configure func(*Config), test func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, configure)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = b.cache.Run(ctx) })
		b.link.Prove(time.Now())
		b.tenant.Confirmed()
		test(b)
		cancel()
		running.Wait()
		b.checkCharges()
	})
}

func newBench(t *testing.T, configure func(*Config)) *bench {
	b := &bench{T: t, origin: newFakeOrigin()}
	b.cost = &Kind{ID: 0, Name: "cost", Class: Critical, TTL: time.Hour, NegativeTTL: 30 * time.Second,
		MaxStale: 5 * time.Minute, ConfirmAfter: 200 * time.Millisecond, Listed: true}
	b.user = &Kind{ID: 1, Name: "user", Class: Reference, TTL: 5 * time.Minute, NegativeTTL: 30 * time.Second,
		MaxStale: 24 * time.Hour, ConfirmAfter: 200 * time.Millisecond}
	cfg := Config{Kinds: []*Kind{b.cost, b.user}, Source: b.origin}
	if configure != nil {
		configure(&cfg)
	}
	b.cache = New(cfg)
	b.link = b.cache.NewLink()
	b.tenant = b.cache.NewTenant("acme", b.link)
	return b
}

// live proves the link each second for d.
func (b *bench) live(d time.Duration) {
	for end := time.Now().Add(d); ; time.Sleep(min(time.Second, time.Until(end))) {
		b.link.Prove(time.Now())
		if !time.Now().Before(end) {
			return
		}
	}
}

func (b *bench) read(k *Kind, key string, o ReadOptions) (Answer, error) {
	return b.tenant.Read(b.Context(), k, key, o)
}

// want reads and compares what matters: "value state via", "absent state via" or the error's word.
func (b *bench) want(k *Kind, key, want string) {
	b.Helper()
	b.wantWith(k, key, ReadOptions{}, want)
}

func (b *bench) wantWith(k *Kind, key string, o ReadOptions, want string) {
	b.Helper()
	if got := describe(b.read(k, key, o)); got != want {
		b.Fatalf("read %s %s: got %q, want %q", k.Name, key, got, want)
	}
}

func describe(a Answer, err error) string {
	if err != nil {
		return fmt.Sprintf("%T", err)
	}
	value := string(a.Value)
	if a.Absent {
		value = "absent"
	}
	return fmt.Sprintf("%s %s %s", value, a.State, [...]string{"memory", "event", "peer", "origin"}[a.Via])
}

// checkCharges compares the bytes charged with a recount of everything held.
func (b *bench) checkCharges() {
	b.Helper()
	var node int64
	for _, t := range b.cache.tenants {
		node += t.recount()
		if got, want := t.Bytes(), t.recount(); got != want {
			b.Errorf("tenant %s is charged %d bytes and holds %d", t.name, got, want)
		}
	}
	if got := b.cache.Bytes(); got != node {
		b.Errorf("the node is charged %d bytes and holds %d", got, node)
	}
}

func (t *Tenant) recount() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := tenantSize(t.name, len(t.cache.kinds))
	for i := range t.stores {
		if s := t.stores[i].Load(); s != nil {
			n += storeSize + s.table.Load().charge() + int64(len(s.etag))
			for e := range s.table.Load().all {
				n += e.charge()
			}
		}
	}
	return n
}

func doc(value string, version uint64) Document {
	return Document{Value: []byte(value), Version: version, Versioned: version > 0, ETag: fmt.Sprintf("%q", value)}
}

func (b *bench) set(key, value string, version uint64) Outcome {
	return b.tenant.Apply(Change{Kind: b.cost, Key: key, Effect: Set, Value: []byte(value), Version: version, Versioned: version > 0})
}

func (b *bench) invalidate(k *Kind, key string, version uint64) Outcome {
	return b.tenant.Apply(Change{Kind: k, Key: key, Effect: Invalidate, Version: version, Versioned: version > 0})
}
