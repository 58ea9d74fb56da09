package origin

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrName says that a tenant, a key or a query can never be asked for: it is outside the
// contract's alphabet, or would not survive as one path segment. It is the
// caller's mistake and was found before any I/O.
var ErrName = errors.New("not a usable tenant, key or query")

// The contract's bounds, in bytes.
const (
	maxTenant = 64
	maxKey    = 512
)

func checkTenant(tenant string) error {
	outside := func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-", r)
	}
	if tenant == "" || tenant == "." || tenant == ".." || len(tenant) > maxTenant || strings.ContainsFunc(tenant, outside) {
		return fmt.Errorf("%w: tenant %.80q", ErrName, tenant)
	}
	return nil
}

// checkKey also refuses "." and "..": dots are never percent-encoded in a way
// that lasts, so every server and proxy would resolve them to another path.
func checkKey(key string) error {
	if key == "" || key == "." || key == ".." || len(key) > maxKey ||
		!utf8.ValidString(key) || strings.ContainsFunc(key, unicode.IsControl) {
		return fmt.Errorf("%w: key %.80q", ErrName, key)
	}
	return nil
}

// template is a parsed path template: literal segments in escaped form, and
// {tenant} and {key} as whole segments.
type template struct {
	segments []string
	// named is the index of the first segment that is {tenant} or {key}, or 0.
	named int
	query string
}

const (
	tenantSegment = "{tenant}"
	keySegment    = "{key}"
)

// parseTemplate accepts "/a/{tenant}/b/{key}", with a literal query if need be.
// withKey says whether {key} must be in it, or must not.
func parseTemplate(text string, withKey bool) (template, error) {
	path, query, _ := strings.Cut(text, "?")
	t := template{query: query}
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(query, "{}# ") {
		return t, fmt.Errorf("path template %q must begin with / and have a plain query, if any", text)
	}
	t.segments = strings.Split(path[1:], "/")
	for _, s := range t.segments {
		if s != tenantSegment && s != keySegment && !literal(s) {
			return t, fmt.Errorf("path template %q: segment %q is neither {tenant}, {key} nor a plain segment", text, s)
		}
	}
	isKey := func(s string) bool { return s == keySegment }
	first := slices.IndexFunc(t.segments, isKey)
	switch {
	case withKey && first < 0:
		return t, fmt.Errorf("path template %q must have {key}", text)
	case !withKey && first >= 0:
		return t, fmt.Errorf("path template %q of a list must not have {key}", text)
	case withKey && slices.ContainsFunc(t.segments[first+1:], isKey):
		return t, fmt.Errorf("path template %q must have {key} only once", text)
	}
	named := func(s string) bool { return s == tenantSegment || s == keySegment }
	t.named = max(slices.IndexFunc(t.segments, named), 0)
	return t, nil
}

// literal says whether an escaped segment goes out as it is written.
func literal(s string) bool {
	plain, err := url.PathUnescape(s)
	if err != nil || plain == "" || plain == "." || plain == ".." || strings.ContainsAny(s, "{}") {
		return false
	}
	return (&url.URL{Path: plain, RawPath: s}).EscapedPath() == s
}

// target is a place at the origin: what to ask, and how the escaped path of
// every redirect must end so that it is still about the same tenant and key.
type target struct {
	url  *url.URL
	tail string
}

// expand puts the segments of key, at least one where the template has {key},
// in its place.
func (t template) expand(base *url.URL, tenant string, key ...string) (target, error) {
	segments := make([]string, 0, len(t.segments)+len(key))
	for _, s := range t.segments {
		switch s {
		case tenantSegment:
			segments = append(segments, url.PathEscape(tenant))
		case keySegment:
			for _, k := range key {
				segments = append(segments, url.PathEscape(k))
			}
		default:
			segments = append(segments, s)
		}
	}
	u := *base
	u.RawPath = strings.TrimRight(base.EscapedPath(), "/") + "/" + strings.Join(segments, "/")
	u.RawQuery = t.query
	var err error
	u.Path, err = url.PathUnescape(u.RawPath)
	if err == nil && u.EscapedPath() != u.RawPath {
		err = fmt.Errorf("%w: %q does not survive as a path", ErrName, u.RawPath)
	}
	return target{url: &u, tail: "/" + strings.Join(segments[t.named:], "/")}, err
}

// sameOrigin compares scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}
