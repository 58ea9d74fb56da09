package wrapper

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// Publisher announces a change. Publish returns once the bus has acknowledged
// the payload on the channel of the tenant and topic.
type Publisher interface {
	Publish(ctx context.Context, tenant, topic string, payload []byte) error
}

// Config says what the sample Wrapper serves.
type Config struct {
	// Tenants is how many tenants named tenant-0001, tenant-0002, … there are,
	// besides "123" and the one that the seed names.
	Tenants int
	// Items is how many credit configs, roles, users and configs each tenant
	// has at least: generated ones follow the named ones. Default 0, at most
	// 100,000.
	Items int
	// Latency is added to each read.
	Latency time.Duration
	// Publisher announces changes; nil: nobody is told.
	Publisher Publisher
	// Namespace is the first part of the channels' names, for the text at /.
	// Default "crm".
	Namespace string
	// Logger defaults to none.
	Logger *slog.Logger
}

// SeedTenant is the tenant that the seed's consumer has.
const SeedTenant = "b0a6e370-c1e5-43d1-94e0-55ed792274c4"

// Wrapper is the sample origin.
type Wrapper struct {
	cfg      Config
	mux      *http.ServeMux
	families []*family
	counts   map[string]*counts
	store    *store
	bus      *announcer
	logger   *slog.Logger
	started  string
	events   atomic.Uint64
}

// New returns a Wrapper. It does no I/O and starts nothing; see [Wrapper.Run].
func New(cfg Config) *Wrapper {
	cfg.Namespace = cmp.Or(cfg.Namespace, "crm")
	cfg.Items = min(max(cfg.Items, 0), 100_000)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Wrapper{cfg: cfg, mux: http.NewServeMux(), families: families(), counts: make(map[string]*counts),
		store: newStore(cfg.Items), bus: newAnnouncer(cfg.Publisher, cfg.Logger), logger: cfg.Logger,
		started: strconv.FormatInt(time.Now().UnixNano(), 36)}
	w.route()
	return w
}

// Run announces again, until the bus acknowledges or an hour has passed, what
// could not be announced. It returns when ctx ends.
func (w *Wrapper) Run(ctx context.Context) error { return w.bus.run(ctx) }

// ServeHTTP implements [http.Handler].
func (w *Wrapper) ServeHTTP(rw http.ResponseWriter, req *http.Request) { w.mux.ServeHTTP(rw, req) }

func (w *Wrapper) route() {
	const tenant = "/api/tenants/{tenant}/"
	for _, f := range w.families {
		n := w.count(f.name)
		w.mux.HandleFunc("GET "+tenant+f.one, counted(&n.One, w.one(f)))
		w.mux.HandleFunc("PUT "+tenant+f.one, counted(&n.Put, w.put(f)))
		w.mux.HandleFunc("DELETE "+tenant+f.one, counted(&n.Delete, w.remove(f)))
		if f.listed {
			w.mux.HandleFunc("GET "+tenant+f.name, counted(&n.List, w.list(f)))
		}
	}
	for _, name := range []string{"history", "audit-logs"} {
		w.mux.HandleFunc("GET "+tenant+name+"/{path...}", counted(&w.count(name).One, w.log(name)))
	}
	w.mux.HandleFunc("GET /stats", w.stats)
	w.mux.HandleFunc("GET /{$}", w.index)
	w.mux.HandleFunc("/", noSuchPath)
}

// known says whether the tenant exists: "123", the seed's, or one of the
// numbered ones, of which there may be many and none is kept.
func (w *Wrapper) known(tenant string) bool {
	if tenant == "123" || tenant == SeedTenant {
		return true
	}
	if len(tenant) < len("tenant-0001") || tenant[:len("tenant-")] != "tenant-" {
		return false
	}
	n, err := strconv.Atoi(tenant[len("tenant-"):])
	return err == nil && n >= 1 && n <= w.cfg.Tenants && TenantName(n) == tenant
}

// TenantName returns the name of the n-th numbered tenant, from 1.
func TenantName(n int) string {
	digits := strconv.Itoa(n)
	for len(digits) < 4 {
		digits = "0" + digits
	}
	return "tenant-" + digits
}
