package peers

import (
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tenantry/tenantry/cache"
	tenantryv1 "github.com/tenantry/tenantry/proto/gen/tenantry/v1"
)

var errEntry = errors.New("the node handed over an entry that is none")

// Bounds of what a node is believed: keys as the protocol has them, and times that
// have room for the sums that are made of them.
const (
	maxKey      = 512
	longestTime = 100 * 365 * 24 * time.Hour
)

// EntryOf returns an entry as nodes hand it over.
func EntryOf(h *cache.Handed) *tenantryv1.Entry {
	e := &tenantryv1.Entry{
		Key: h.Key, Form: tenantryv1.Entry_Form(h.Form) + 1, Age: durationpb.New(h.Age), Etag: h.ETag,
		Provisional: h.Provisional, FromEvent: h.FromEvent, Current: h.Current, KnownOld: h.KnownOld,
		Lag: durationpb.New(h.Lag), Left: durationpb.New(h.Left),
	}
	if h.Form == cache.HandedValue {
		e.Value = h.Value
	}
	if h.Versioned {
		e.Version = &h.Version
	}
	if h.Floor > 0 {
		e.Floor = &h.Floor
	}
	return e
}

// handedOf reads an entry that a node handed over.
func handedOf(e *tenantryv1.Entry) (h cache.Handed, err error) {
	h = cache.Handed{
		Key: e.GetKey(), Form: cache.Form(e.GetForm() - 1), Value: e.GetValue(), ETag: e.GetEtag(),
		Age: e.GetAge().AsDuration(), Lag: e.GetLag().AsDuration(), Left: e.GetLeft().AsDuration(),
		Version: e.GetVersion(), Versioned: e.Version != nil, Floor: e.GetFloor(),
		Provisional: e.GetProvisional(), FromEvent: e.GetFromEvent(), Current: e.GetCurrent(), KnownOld: e.GetKnownOld(),
	}
	known := e.GetForm() >= tenantryv1.Entry_FORM_VALUE && e.GetForm() <= tenantryv1.Entry_FORM_STUB
	keyed := h.Key != "" && len(h.Key) <= maxKey
	valued := (h.Form == cache.HandedValue) == (len(h.Value) > 0)
	if !known || !keyed || !valued || !isTime(h.Age) || !isTime(h.Lag) || !isTime(h.Left) {
		return h, errEntry
	}
	return h, nil
}

func isTime(d time.Duration) bool { return d >= 0 && d <= longestTime }
