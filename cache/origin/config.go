package origin

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Config says where the origin is and how much it may cost to ask it. Zero
// values take the defaults.
type Config struct {
	// URL is the origin's http or https base, such as
	// "http://127.0.0.1:9000" or "https://wrapper.example/base"; without user,
	// query and fragment.
	URL string
	// Timeout is the hard time-out of one read: the wait for a slot, all of its
	// redirects and retries, and its body. Each page of a list is a read. Of what
	// is passed on it bounds the wait for the head and the first 64 KiB of the body
	// together, and for each further 64 KiB. Default 2 s.
	Timeout time.Duration
	// ListTimeout bounds a whole list, and what is passed on, the time that the
	// receiver takes included. Default 60 s.
	ListTimeout time.Duration
	// Token is sent as a bearer token where not empty; see [Reader.SetToken].
	Token string
	// MaxBytes bounds each body. Default 8 MiB.
	MaxBytes int64
	// MaxListBytes bounds the bodies of all pages of a list together. Default
	// 4 × MaxBytes.
	MaxListBytes int64
	// MaxPages bounds the pages of a list. Default 1,000.
	MaxPages int
	// Retries is how often a read is tried again within its Timeout, where its
	// failure may be over at once; see [Reader]. Default 2; negative: never.
	Retries int
	// Concurrency is how many reads may be in flight at once, and as many again
	// that are passed on: slow receivers of those keep no read waiting. In the
	// worst case each read holds MaxBytes. Default 64.
	Concurrency int
	// TenantConcurrency is how many of either may be a tenant's, at least 1. It is
	// asked at each read, and should be well below Concurrency: that many slots
	// a tenant may hold whose paths hang. Default 8.
	TenantConcurrency func(tenant string) int
	// MaxWaiting is how many further reads may wait for one of those to end;
	// more are refused at once. Default 64 × Concurrency.
	MaxWaiting int
	// MaxTenantWaiting is how many of them may be a tenant's. Default half of
	// MaxWaiting.
	MaxTenantWaiting int
}

func (c Config) withDefaults() Config {
	setDefault(&c.Timeout, 2*time.Second)
	setDefault(&c.ListTimeout, 60*time.Second)
	setDefault(&c.MaxBytes, 8<<20)
	setDefault(&c.MaxListBytes, 4*c.MaxBytes)
	setDefault(&c.MaxPages, 1000)
	setDefault(&c.Retries, 2)
	setDefault(&c.Concurrency, 64)
	if c.TenantConcurrency == nil {
		c.TenantConcurrency = func(string) int { return 8 }
	}
	setDefault(&c.MaxWaiting, 64*c.Concurrency)
	setDefault(&c.MaxTenantWaiting, max(c.MaxWaiting/2, 1))
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// check returns every mistake at once.
func (c Config) check() (*url.URL, error) {
	base, err := parseBase(c.URL)
	return base, errors.Join(err, checkToken(c.Token),
		positive("timeout", c.Timeout), positive("list timeout", c.ListTimeout),
		positive("max bytes", c.MaxBytes), positive("max list bytes", c.MaxListBytes),
		positive("max pages", c.MaxPages), positive("concurrency", c.Concurrency),
		positive("max waiting", c.MaxWaiting), positive("max tenant waiting", c.MaxTenantWaiting))
}

func positive[T int | int64 | time.Duration](name string, value T) error {
	if value > 0 {
		return nil
	}
	return fmt.Errorf("origin: %s must be positive, not %v", name, value)
}

// parseBase repeats nothing of a URL that does not parse or has a user: it may
// hold a password.
func parseBase(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("origin: url does not parse")
	case u.User != nil:
		return nil, errors.New("origin: url must not have a user; use the token")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return nil, fmt.Errorf("origin: url %q must be http://host or https://host", text)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("origin: url %q must not have a query or fragment", text)
	}
	return u, nil
}

// checkToken repeats nothing of the token. A token is visible ASCII (RFC 6750).
func checkToken(token string) error {
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("origin: token must be visible ASCII characters without spaces")
	}
	return nil
}
