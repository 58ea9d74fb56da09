package rpc

import (
	"cmp"
	"encoding/base64"
	"strings"
)

// place is a tenant on a node, after which a page begins; the zero value is before
// all.
type place struct{ tenant, node string }

// A page token is opaque to callers: the format's digit, and tenant and node that
// the page before ended with, in base64. It stays good whatever comes and goes
// meanwhile.
const (
	pageFormat = "2"
	maxNode    = 128
)

func (p place) token() string {
	if p == (place{}) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(pageFormat + p.tenant + "/" + p.node))
}

// placeOf reads a token; an empty one is the first page's.
func placeOf(token string) (p place, err error) {
	if token == "" {
		return p, nil
	}
	problem := &fieldError{"page_token", "is not a token of an earlier page"}
	if len(token) > base64.RawURLEncoding.EncodedLen(len(pageFormat)+maxNameBytes+1+maxNode) {
		return p, problem
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return p, problem
	}
	rest, ok := strings.CutPrefix(string(text), pageFormat)
	p.tenant, p.node, _ = strings.Cut(rest, "/")
	if !ok || validateTenant("page_token", p.tenant) != nil {
		return place{}, problem
	}
	return p, nil
}

// compare orders places as pages do.
func (p place) compare(other place) int {
	return cmp.Or(cmp.Compare(p.tenant, other.tenant), cmp.Compare(p.node, other.node))
}

// after returns the name after which a node's own tenants come: the tenant of the
// place itself is still to come on nodes after that of the place.
func (p place) after(node string) string {
	if p.tenant == "" || node <= p.node {
		return p.tenant
	}
	// The greatest text of those before the tenant's name that tenants cannot have.
	last := len(p.tenant) - 1
	return p.tenant[:last] + string(p.tenant[last]-1) + "\xff"
}
