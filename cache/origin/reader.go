package origin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantry/tenantry/cache"
)

// Reader reads the origin. It implements [cache.Source].
type Reader struct {
	cfg       Config
	base      *url.URL
	kinds     []kind
	gate      *gate // of reads
	passes    *gate // of what is passed on, which may take as long as its receivers
	guard     *guard
	retries   failsafe.Executor[any]
	budget    *budget
	transport *http.Transport
	token     atomic.Pointer[string]
	logger    *slog.Logger
	metrics   *metrics
}

var _ cache.Source = (*Reader)(nil)

// ErrNotServed says that the kind has no path for what was asked.
var ErrNotServed = errors.New("the origin does not serve this of the kind")

// New returns a reader for kinds, of which kinds[i] belongs to the [cache.Kind]
// with ID i. It does no I/O. reg may be nil. The error lists every mistake of
// the configuration and the templates.
func New(cfg Config, kinds []Kind, logger *slog.Logger, reg prometheus.Registerer) (*Reader, error) {
	cfg = cfg.withDefaults()
	base, err := cfg.check()
	parsed, kindsErr := parseKinds(kinds)
	if err := errors.Join(err, kindsErr); err != nil {
		return nil, err
	}
	m, err := newMetrics(reg)
	if err != nil {
		return nil, err
	}
	r := &Reader{cfg: cfg, base: base, kinds: parsed, gate: newGate(cfg.Concurrency, cfg.MaxWaiting, cfg.MaxTenantWaiting),
		passes: newGate(cfg.Concurrency, cfg.MaxWaiting, cfg.MaxTenantWaiting),
		guard:  newGuard(), retries: newRetries(cfg.Retries), budget: newBudget(),
		transport: newTransport(cfg), logger: logger, metrics: m}
	r.token.Store(&cfg.Token)
	return r, nil
}

func newTransport(cfg Config) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{Timeout: cfg.Timeout, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Protocols:              protocols,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    cfg.Timeout,
		DisableCompression:     true,
		MaxIdleConns:           2 * cfg.Concurrency,
		MaxIdleConnsPerHost:    2 * cfg.Concurrency,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// SetToken replaces the bearer token of the reads that begin from now on.
func (r *Reader) SetToken(token string) error {
	if err := checkToken(token); err != nil {
		return err
	}
	r.token.Store(&token)
	return nil
}

// Close closes the idle connections. Reads in flight end as they would.
func (r *Reader) Close() { r.transport.CloseIdleConnections() }

// One implements [cache.Source]. A fault that wraps [ErrName] is a tenant or
// key that can never be asked for.
func (r *Reader) One(ctx context.Context, tenant string, ck *cache.Kind, key, etag string) (cache.Document, error) {
	k := r.kinds[ck.ID]
	to, err := r.oneTarget(k, tenant, key)
	if err != nil {
		return cache.Document{}, fault(reasonMalformed, "%w", err)
	}
	var doc cache.Document
	a := ask{tenant: tenant, to: to, etag: entityTag(etag), limit: r.cfg.MaxBytes, depth: maxDepth}
	err = r.read(ctx, k.Name, family{tenant: tenant, kind: ck.ID}, a, func(got reply) (err error) {
		doc, err = k.answer(got, key, ck.Class == cache.OnDemand)
		return err
	})
	return doc, err
}

func (r *Reader) oneTarget(k kind, tenant, key string) (target, error) {
	if k.One == "" {
		return target{}, ErrNotServed
	}
	if err := errors.Join(checkTenant(tenant), checkKey(key)); err != nil {
		return target{}, err
	}
	return k.one.expand(r.base, tenant, key)
}

// read does one read within its time-out and one slot, retries included, and
// counts it. Its error, where not nil, is ErrAbsent, ErrNotModified or a fault.
func (r *Reader) read(ctx context.Context, kind string, f family, a ask, use func(reply) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, r.cfg.Timeout, errTimeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	v, err := r.enter(ctx, r.gate, kind, f)
	if err != nil {
		return err
	}
	err = r.try(ctx, kind, deadline, func() error {
		began := time.Now()
		got, err := r.exchange(ctx, a, &v.sign)
		if err == nil {
			err = use(got)
		}
		err = judge(ctx, err)
		r.metrics.read(kind, began, err)
		return err
	})
	v.end(ctx, err)
	return err
}
