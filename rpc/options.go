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

var errOtherEntry = &fieldError{"after", "is the token of another entry"}

// readOptions reads the bounds of a request for one entry.
func (r *reader) readOptions(e entry, age *durationpb.Duration, minVersion uint64, after []byte) (cache.ReadOptions, error) {
	o, t, err := decodeBounds(age, after)
	if err != nil {
		return o, err
	}
	o.MinVersion = minVersion
	if len(t.parts) == 0 {
		return o, nil
	}
	named, err := t.bound(e, r.boot, r.node.Now(), &o)
	if err == nil && !named {
		err = errOtherEntry
	}
	return o, err
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
