package subscriber

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Announcement is what a [Publisher] says of a change.
type Announcement struct {
	// ID is the eventId, for logs. Default: a random one.
	ID string
	// Type is the eventType, such as role-changed. One that ends in -deleted
	// removes the item; tenant-deleted drops everything of the tenant.
	Type string
	// Data says which item changed, and to what: a [json.RawMessage] or []byte
	// is taken as it is, anything else is marshaled. It must be a JSON object;
	// nil: none.
	Data any
	// Version rises with each change of the item, and is in the origin's
	// document too. Without, nodes ask the origin to confirm each value.
	// nil: none.
	Version *uint64
	// Deleted removes the item, whatever Type is.
	Deleted bool
	// OccurredAt is when the change was committed. Default: now.
	OccurredAt time.Time
}

// Announce publishes an event as [Publisher.Publish] does, after its change was
// committed at the origin. The event's source is the publisher's, and its
// sequence one more than that of the last on this tenant and topic, so that
// nodes notice one that was lost. What nodes would refuse is a [*RefusedError]
// and not sent.
//
// An event that is given up after it was queued (ctx, NOPERM) leaves its number
// unused: nodes see that something is missing with the next event, which is
// true.
func (p *Publisher) Announce(ctx context.Context, tenant, topic string, a Announcement) (receivers int64, err error) {
	if err := p.check(tenant, topic, 0); err != nil {
		return 0, err
	}
	text, err := a.encode(tenant)
	if err != nil {
		return 0, fmt.Errorf("announce on %s: %w", p.cfg.Channel(tenant, topic), err)
	}
	if err := p.check(tenant, topic, len(text)+maxTail+len(p.cfg.Source)); err != nil {
		return 0, err
	}
	if _, err := Decode(tenant, topic, append(slices.Clip(text), '}')); err != nil {
		return 0, fmt.Errorf("announce on %s: %w", p.cfg.Channel(tenant, topic), err)
	}
	channel := p.cfg.Channel(tenant, topic)
	return p.deliver(ctx, channel, func() []byte { return p.numbers.finish(text, channel) })
}

// envelope is an announcement as JSON, but for the data, whose text is kept.
type envelope struct {
	ID         string    `json:"eventId"`
	Type       string    `json:"eventType,omitempty"`
	Tenant     string    `json:"tenantId"`
	Version    *uint64   `json:"version,omitempty"`
	Deleted    bool      `json:"deleted,omitempty"`
	OccurredAt time.Time `json:"occurredAt"`
}

// encode returns the event's text without the brace at its end.
func (a *Announcement) encode(tenant string) ([]byte, error) {
	e := envelope{a.ID, a.Type, tenant, a.Version, a.Deleted, a.OccurredAt}
	if e.ID == "" {
		e.ID = token()
	}
	if e.OccurredAt.IsZero() {
		e.OccurredAt = time.Now()
	}
	e.OccurredAt = e.OccurredAt.UTC()
	text, err := marshal(e)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimSuffix(text, []byte("}"))
	data, err := dataOf(a.Data)
	if err != nil || data == nil {
		return text, err
	}
	return append(append(text, `,"data":`...), data...), nil
}

func dataOf(data any) (text []byte, err error) {
	switch data := data.(type) {
	case nil:
		return nil, nil
	case []byte:
		text = data
	case json.RawMessage:
		text = data
	default:
		text, err = marshal(data)
	}
	if err == nil && text != nil && !json.Valid(text) {
		err = fmt.Errorf("not JSON: %s", shown(text))
	}
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	return text, nil
}

// marshal leaves <, > and & as they are: a value's text must be the same in the
// event and in the origin's document.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// numbers are the sequences of a publisher. A source is the publisher's name
// and a random part that no publisher before it had: its sequences begin anew,
// and nobody takes that for a fall.
type numbers struct {
	name   string
	source string
	last   map[string]uint64 // by channel
}

// maxNumbered bounds the channels whose number is remembered (some 30 MB);
// beyond, everything begins anew under another source.
const maxNumbered = 1 << 18

// maxTail bounds what finish adds to a text, but for the name.
const maxTail = 64 + len(`,"source":"","sequence":18446744073709551615}`)

func newNumbers(name string) numbers {
	n := numbers{name: name}
	n.begin()
	return n
}

func (n *numbers) begin() {
	n.source, n.last = n.name+"-"+strings.ToLower(token()), make(map[string]uint64)
}

// finish appends source, sequence and the brace to an event's text. Callers
// hold the publisher's lock.
func (n *numbers) finish(text []byte, channel string) []byte {
	last, known := n.last[channel]
	if !known && len(n.last) == maxNumbered {
		n.begin()
	}
	n.last[channel] = last + 1
	text = append(text, `,"source":"`...)
	text = append(text, n.source...) // needs no escapes, as Config says
	text = append(text, `","sequence":`...)
	return append(strconv.AppendUint(text, last+1, 10), '}')
}
