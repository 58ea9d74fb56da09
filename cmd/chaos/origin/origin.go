package origin

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/tenantry/tenantry/cmd/chaos/history"
)

// PerTenant is how many items of each family a tenant usually has.
const PerTenant = 3

// Origin is the service. It is an [http.Handler].
type Origin struct {
	log    *history.Log
	views  []view
	items  []item
	byName map[string]int // tenant / family / key
	fault  atomic.Pointer[Fault]
	// perTenant is how many items of each family a tenant has.
	perTenant int
	// asked are all requests, lists those for lists, balances those for balances.
	asked, lists, balances atomic.Uint64
	// dawdling is the part of the requests, per thousand, that take long although
	// nothing is wrong.
	dawdling int
}

// item is what does not change of an item.
type item struct {
	tenant, key string
	family      Family
	// versioned says whether its documents have versions.
	versioned bool
}

// Fault is how an origin misbehaves. The zero value is a good one, but for the
// little that it always dawdles.
type Fault struct {
	// Before and After are the most that it dawdles before and after it has
	// looked the item up.
	Before, After time.Duration
	// Status is answered instead; 0: none.
	Status int
	// Hang waits for the client to go; in the body with InBody.
	Hang bool
	// InBody breaks the connection off, or hangs, in the body.
	InBody bool
	// Lists concerns lists only.
	Lists bool
	// Share is the part of the requests that it concerns, 0 to 1.
	Share float64
}

// New returns an origin of so many tenants with so many items of each family, which it
// adds to the log. Of its good requests, so many per thousand are slow.
func New(log *history.Log, tenants, perTenant, dawdling int) *Origin {
	o := &Origin{perTenant: perTenant, dawdling: dawdling, log: log, views: views(), byName: make(map[string]int)}
	for t := range tenants {
		for f := range families {
			for k := range perTenant {
				o.add(item{Tenant(t), fmt.Sprintf("k%d", k), f, f != Balance && (t+k)%3 != 0})
			}
		}
	}
	return o
}

// Tenant returns the name of a tenant.
func Tenant(t int) string { return fmt.Sprintf("t%d", t) }

// add adds an item. The last of a family exists only for two thirds of the
// tenants at first.
func (o *Origin) add(i item) {
	var entries []history.Entry
	for _, kind := range i.family.views() {
		entries = append(entries, history.Entry{Kind: kind, Key: i.key})
	}
	name := o.name(i.tenant, i.family, i.key)
	at := o.log.Add(&history.Item{Tenant: i.tenant, Name: name}, entries...)
	o.items = append(o.items, i)
	o.byName[name] = at
	o.Commit(at, i.key == "k2" && at%3 == 0)
}

func (o *Origin) name(tenant string, f Family, key string) string {
	return tenant + "/" + f.topic().name + "/" + key
}

// Commit commits the next state of an item.
func (o *Origin) Commit(at int, absent bool) (c history.Commit, index int) {
	version := uint64(0)
	if o.items[at].versioned {
		version = 1
		o.log.Items[at].View(func(commits []history.Commit, _ []history.Event) { version += uint64(len(commits)) })
	}
	return o.log.Commit(at, version, absent)
}

// Set makes the origin misbehave from now on; the zero value ends it.
func (o *Origin) Set(f Fault) { o.fault.Store(&f) }

// Asked returns how many requests there were.
func (o *Origin) Asked() uint64 { return o.asked.Load() }

// Kept returns how many of them asked for what is kept for longer than a few seconds.
func (o *Origin) Kept() uint64 { return o.asked.Load() - o.balances.Load() }

// Lists returns how many of them asked for lists.
func (o *Origin) Lists() uint64 { return o.lists.Load() }

// misbehaviour returns the fault of one request.
func (o *Origin) misbehaviour(path string) Fault {
	f := o.fault.Load()
	if f == nil || f.Lists && !isList(path) || rand.Float64() >= f.Share {
		return o.usual()
	}
	return *f
}

// usual is how an origin always is: mostly fast, sometimes slow, before or after
// it has looked.
func (o *Origin) usual() Fault {
	slow := 3 * time.Millisecond
	if rand.IntN(1000) < o.dawdling {
		slow = 600 * time.Millisecond
	}
	if rand.IntN(2) == 0 {
		return Fault{Before: slow}
	}
	return Fault{After: slow}
}
