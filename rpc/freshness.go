package rpc

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

// freshness is the message with everything it points to, so that it is one
// allocation, shared with the response that it is part of. The token of a
// composed answer has one of its own.
type freshness struct {
	message tenantryv1.Freshness
	age     durationpb.Duration
	asOf    timestamppb.Timestamp
	version uint64
	token   [singleToken]byte
}

// fill says how fresh an answer is; now is the wall clock. What another node said
// of its answer is passed on.
func (f *freshness) fill(boot uint64, e entry, a *found, now time.Time) *tenantryv1.Freshness {
	if a.remote != nil {
		return a.remote.freshness
	}
	m := f.fillState(&a.Answer, now)
	if a.Versioned {
		f.version = a.Version
		m.Version = &f.version
	}
	m.Token = appendToken(f.token[:0], partOf(boot, e, &a.Answer))
	return m
}

// fillState sets all but version and token. The enums of the messages are those
// of the cache, one higher.
func (f *freshness) fillState(a *cache.Answer, now time.Time) *tenantryv1.Freshness {
	age := max(a.Age, 0)
	asOf := now.Add(-age)
	f.age.Seconds, f.age.Nanos = int64(age/time.Second), int32(age%time.Second)
	f.asOf.Seconds, f.asOf.Nanos = asOf.Unix(), int32(asOf.Nanosecond())
	m := &f.message
	m.State = tenantryv1.Freshness_State(a.State) + 1
	m.Source = tenantryv1.Freshness_Source(a.Via) + 1
	m.Age, m.AsOf = &f.age, &f.asOf
	return m
}

// stamp adds the node that answered.
func (r *reader) stamp(m *tenantryv1.Freshness, by *remote) *tenantryv1.Freshness {
	m.Node, m.Epoch = r.answeredBy(by)
	return m
}

func (r *reader) answeredBy(by *remote) (node string, epoch uint64) {
	if by != nil {
		return by.node, by.epoch
	}
	return r.name, r.epoch()
}

// freshness says how fresh the answer for one entry is.
func (r *reader) freshness(e entry, a *found) *tenantryv1.Freshness {
	return r.stamp(new(freshness).fill(r.boot, e, a, time.Now()), a.remote)
}

// composed is an answer that is made of up to maxParts entries.
type composed struct {
	worst cache.Answer // without value
	by    *remote      // who answered last; nil: this node
	parts []part
}

// add takes another entry into account: the worse state, the greater age.
func (c *composed) add(boot uint64, e entry, a *found) {
	first := len(c.parts) == 0
	p := partOf(boot, e, &a.Answer)
	if a.remote != nil {
		p = a.remote.part
	}
	c.parts, c.by = append(c.parts, p), a.remote
	age := max(c.worst.Age, a.Age)
	if first || a.State > c.worst.State || a.State == c.worst.State && a.Age > c.worst.Age {
		c.worst = cache.Answer{State: a.State, Via: a.Via, Age: a.Age}
	}
	c.worst.Age = age
}

// node names who answered; empty: this node.
func (c *composed) node() string {
	if c.by == nil {
		return ""
	}
	return c.by.node
}

// composedFreshness says how fresh a composed answer is. It has no version.
func (r *reader) composedFreshness(c *composed) *tenantryv1.Freshness {
	f := new(freshness)
	m := r.stamp(f.fillState(&c.worst, time.Now()), c.by)
	m.Token = appendToken(make([]byte, 0, tokenHeader+len(c.parts)*maxPartSize), c.parts...)
	return m
}
