package rpctest

import (
	"context"
	"net/http"
	"sync"
)

// Links are the ways between the hosts of a [Network], each of which may be cut, as a
// firewall does that drops: what goes that way, or would come back, waits until the
// link is mended or the caller gives up. The zero value has no network.
type Links struct {
	// Network carries what is not cut.
	Network *Network

	mu  sync.Mutex
	cut map[[2]string]bool
	// changed is closed, and replaced, when a link changes; nil: nobody waits.
	changed chan struct{}
}

// From returns the transport of one host.
func (l *Links) From(host string) http.RoundTripper { return &way{l, host} }

// Cut cuts the links between the hosts of a and those of b, in both directions.
func (l *Links) Cut(a, b []string) {
	l.change(func() {
		for _, from := range a {
			for _, to := range b {
				l.cut[[2]string{from, to}], l.cut[[2]string{to, from}] = true, true
			}
		}
	})
}

// Heal makes all links whole.
func (l *Links) Heal() { l.change(func() { clear(l.cut) }) }

func (l *Links) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut == nil {
		l.cut = make(map[[2]string]bool)
	}
	f()
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// whole returns when a link is.
func (l *Links) whole(ctx context.Context, from, to string) error {
	for {
		l.mu.Lock()
		if !l.cut[[2]string{from, to}] {
			l.mu.Unlock()
			return ctx.Err()
		}
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// way is a host's way to the others.
type way struct {
	*Links
	from string
}

// RoundTrip implements [http.RoundTripper].
func (w *way) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, to := req.Context(), req.URL.Host
	if err := w.whole(ctx, w.from, to); err != nil {
		closeBody(req)
		return nil, err
	}
	res, err := w.Network.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err := w.whole(ctx, w.from, to); err != nil {
		_ = res.Body.Close()
		return nil, err
	}
	return res, nil
}
