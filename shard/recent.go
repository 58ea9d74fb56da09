package shard

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenantry/tenantry/subscriber"
)

const (
	// recentEvents is how many events of a tenant are remembered, for whoever
	// asks what happened to it.
	recentEvents = 8
	// recentText bounds each text of them, in bytes: an id may have 512, and a
	// tenant's events are not charged to its budget. All eight take at most 3 KiB.
	recentText = 64
)

// Event is what one event said of one entry of a tenant, or why it was refused.
// Texts that had more than 64 bytes are cut and end in "…".
type Event struct {
	Topic, ID, Type string
	// Kind and Key are empty if it was refused.
	Kind, Key string
	// Version is meaningful when Versioned is set.
	Version   uint64
	Versioned bool
	// Effect is a word of the events metric; Reason is that of a refusal.
	Effect, Reason string
	// Age is the time since it was handled.
	Age time.Duration
}

// recent is the last events of a tenant. It is made with the first: most tenants
// never have one.
type recent struct {
	total uint64 // events that came
	kept  uint64 // written to the ring
	ring  [recentEvents]remembered
}

// remembered is an [Event] whose texts are one allocation.
type remembered struct {
	texts          string // topic, id, type and key, one after the other
	ends           [4]uint16
	versioned      bool
	version        uint64
	kind           string // constants: the kinds' and the metric's words
	effect, reason string
	at             time.Duration
}

// remember makes what is kept of an event for an entry.
func remember(e *subscriber.Event, kind, key, effect string, now time.Duration) remembered {
	m := remembered{kind: kind, effect: effect, version: e.Version, versioned: e.Versioned, at: now}
	m.keep(e.Topic, e.ID, e.Type, key)
	return m
}

// rememberRefused makes what is kept of an event that was refused.
func rememberRefused(topic, reason string, now time.Duration) remembered {
	m := remembered{effect: effectRefused, reason: reason, at: now}
	m.keep(topic, "", "", "")
	return m
}

func (m *remembered) keep(texts ...string) {
	var b [4 * recentText]byte
	all := b[:0]
	for i, text := range texts {
		all = appendCut(all, text)
		m.ends[i] = uint16(len(all))
	}
	m.texts = string(all)
}

// appendCut appends a text of at most recentText bytes, in whole characters.
func appendCut(b []byte, text string) []byte {
	if len(text) <= recentText {
		return append(b, text...)
	}
	end := recentText - len("…")
	for !utf8.RuneStart(text[end]) && end > recentText/2 {
		end--
	}
	return append(append(b, text[:end]...), "…"...)
}

// text returns one of the texts. What is on the wire must be UTF-8.
func (m *remembered) text(i int) string {
	begin := uint16(0)
	if i > 0 {
		begin = m.ends[i-1]
	}
	return strings.ToValidUTF8(m.texts[begin:m.ends[i]], "\uFFFD")
}

func (m *remembered) event(now time.Duration) Event {
	return Event{
		Topic: m.text(0), ID: m.text(1), Type: m.text(2), Kind: m.kind, Key: m.text(3),
		Version: m.version, Versioned: m.versioned, Effect: m.effect, Reason: m.reason, Age: now - m.at,
	}
}

func (r *recent) add(m *remembered) {
	r.ring[r.kept%recentEvents] = *m
	r.kept++
}

// newest returns the events that are remembered, the newest first.
func (r *recent) newest(now time.Duration) []Event {
	if r == nil {
		return nil
	}
	events := make([]Event, min(r.kept, recentEvents))
	for i := range events {
		events[i] = r.ring[(r.kept-1-uint64(i))%recentEvents].event(now)
	}
	return events
}
