package rpc

import (
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

// bounds is what the requests for one entry have in common.
type bounds interface {
	GetMaxAge() *durationpb.Duration
	GetMinVersion() uint64
	GetAfter() []byte
}

// unbounded returns bounds that bound nothing.
func unbounded() bounds { return (*tenantryv1.GetRequest)(nil) }

// limits narrow what a read may be answered with. A token that does not name the
// entry that is read does not narrow it.
type limits struct {
	age        cache.ReadOptions // nothing but the age
	minVersion uint64
	after      token
}

var errOtherEntry = &fieldError{"after", "is the token of another entry"}

// limitsOf reads the bounds of a request for one entry.
func limitsOf(e entry, age *durationpb.Duration, minVersion uint64, after []byte) (l limits, err error) {
	l.minVersion = minVersion
	if l.age, l.after, err = decodeBounds(age, after); err == nil && len(l.after.parts) > 0 && l.after.of(e) == nil {
		err = errOtherEntry
	}
	return l, err
}

// decodeBounds reads the bounds that need decoding.
func decodeBounds(age *durationpb.Duration, after []byte) (o cache.ReadOptions, t token, err error) {
	if age != nil {
		o.HasMaxAge = true
		if o.MaxAge, err = maxAge(age); err != nil {
			return o, t, err
		}
	}
	t, err = decodeToken(after)
	return o, t, err
}

// options returns the limits of a read of e as this node's cache takes them.
func (r *reader) options(e entry, l *limits) (o cache.ReadOptions, err error) {
	o = l.age
	o.MinVersion = l.minVersion
	if p := l.after.of(e); p != nil {
		err = p.bound(r.boot, r.node.Now(), &o)
	}
	return o, err
}
