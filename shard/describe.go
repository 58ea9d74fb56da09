package shard

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tenantry/tenantry/cache"
)

// Description is a tenant as this node has it. Of a cold one only State,
// BytesLimit and Load say something. Counters count since the activation.
type Description struct {
	Summary

	// InState is the time in the state.
	InState    time.Duration
	Generation uint64
	// Doubtful says that lists are kept that were read under an older generation.
	Doubtful   bool
	BytesLimit int64
	// ProofAge is the time since the newest proof of the tenant's connection,
	// meaningful when Proven is set.
	ProofAge time.Duration
	Proven   bool
	// Preloaded tenants are active from the start and never idle.
	Preloaded bool
	// Channels are those confirmed now, sorted.
	Channels []string
	// Kinds is sorted by name.
	Kinds []KindDescription
	// Stats are the tenant's figures; its Kinds are those above.
	Stats cache.Stats
	// Events is the number that came, Recent the last of them, the newest first.
	Events uint64
	Recent []Event
	Load   LoadDescription
}

// KindDescription is one kind of a tenant.
type KindDescription struct {
	Name  string
	Class cache.Class
	cache.KindStats
}

// LoadDescription says how the lists of a tenant are.
type LoadDescription struct {
	// Age is the time since the oldest list was asked for; 0: none is kept.
	Age time.Duration
	// Fault is why the last try failed, a word of [cache.FaultError], or
	// "absent": the origin does not know the tenant. Empty: it did not fail.
	Fault string
	// Missing names the kinds that are still to be read.
	Missing []string
	// Failures is the number of tries that failed in a row.
	Failures int
	// RetryIn is the time until the next, or until a tenant that the origin does
	// not know is activated again, meaningful when Waits is set.
	RetryIn time.Duration
	Waits   bool
}

// Summary is a tenant in a list.
type Summary struct {
	Name    string
	State   State
	Entries int
	// Bytes are charged against its budget.
	Bytes int64
	// Idle is the time since its last read, to about a second.
	Idle time.Duration
}

// Describe describes a tenant. It does not activate it. It goes through all of
// its entries.
func (n *Node) Describe(name string) Description {
	t, ok := n.tenants.Load(name)
	if !ok {
		return n.describeCold(name)
	}
	d := Description{
		Stats: t.cache.Stats(), Generation: t.cache.Generation(), BytesLimit: n.tenantBytes(name),
		Preloaded: n.preload[name], Channels: n.bus.Channels(name),
	}
	d.Summary = summary(t, d.Stats)
	d.Kinds = n.describeKinds(d.Stats.Kinds)
	now := n.Now()
	d.ProofAge, d.Proven = n.links[n.bus.Conn(name)].proofAge(now)
	t.describe(&d, now)
	return d
}

// describeCold describes a tenant that is not active.
func (n *Node) describeCold(name string) Description {
	d := Description{Summary: Summary{Name: name}, BytesLimit: n.tenantBytes(name), Preloaded: n.preload[name]}
	if left := n.strangers.left(name); left > 0 {
		d.Load = LoadDescription{Fault: "absent", RetryIn: left, Waits: true}
	}
	return d
}

func (n *Node) describeKinds(stats []cache.KindStats) []KindDescription {
	kinds := make([]KindDescription, 0, len(stats))
	for _, k := range n.kinds {
		if k.Class != cache.OnDemand {
			kinds = append(kinds, KindDescription{k.Name, k.Class, stats[k.ID]})
		}
	}
	slices.SortFunc(kinds, func(a, b KindDescription) int { return cmp.Compare(a.Name, b.Name) })
	return kinds
}

// describe adds what the tenant's mutex guards.
func (t *tenant) describe(d *Description, now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d.State, d.InState, d.Doubtful = t.state, now-t.since, t.isDoubtful(d.Generation)
	d.Recent = t.recent.newest(now)
	if t.recent != nil {
		d.Events = t.recent.total
	}
	d.Load = LoadDescription{Fault: t.fault, Failures: int(t.failures), RetryIn: max(0, t.retryAt-now), Waits: t.retryAt != 0}
	if t.loadedAt != 0 {
		d.Load.Age = now - t.loadedAt
	}
	for _, k := range t.missing {
		d.Load.Missing = append(d.Load.Missing, k.Name)
	}
}

func summary(t *tenant, stats cache.Stats) Summary {
	s := Summary{Name: t.name, Bytes: t.cache.Bytes(), Idle: t.cache.LastRead()}
	for i := range stats.Kinds {
		s.Entries += stats.Kinds[i].Entries
	}
	return s
}

// List returns the active tenants after a name, in order, whose names begin with
// prefix and match, at most limit, and after which name to go on, "" at the end.
// A tenant that stays active over several calls is told once.
func (n *Node) List(after, prefix string, limit int, match func(tenant string) bool) (page []Summary, next string) {
	var names []string
	n.tenants.Range(func(name string, _ *tenant) bool {
		if name > after && strings.HasPrefix(name, prefix) && match(name) {
			names = append(names, name)
		}
		if len(names) > 4*limit+1 { // so that the memory is that of a page
			names = first(names, limit+1)
		}
		return true
	})
	names = first(names, limit+1)
	if len(names) > limit {
		names = names[:limit]
		next = names[limit-1]
	}
	for _, name := range names {
		if t, ok := n.tenants.Load(name); ok {
			page = append(page, n.summarize(t))
		}
	}
	return page, next
}

// first sorts names and returns the first of them.
func first(names []string, n int) []string {
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(n, len(names))]
}

func (n *Node) summarize(t *tenant) Summary {
	s := summary(t, t.cache.Stats())
	t.mu.Lock()
	defer t.mu.Unlock()
	s.State = t.state
	return s
}

// loading returns how many active tenants are not live.
func (n *Node) loading() (count int) {
	n.tenants.Range(func(_ string, t *tenant) bool {
		if !t.loadedBefore() {
			count++
		}
		return true
	})
	return count
}

// doubtful returns how many active tenants are.
func (n *Node) doubtful() (count int) {
	n.tenants.Range(func(_ string, t *tenant) bool {
		if t.doubtful() {
			count++
		}
		return true
	})
	return count
}
