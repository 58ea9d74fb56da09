package subscriber

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxText bounds the texts of an event that its receivers may keep: eventId,
// eventType and source, in bytes.
const maxText = 512

// decode maps a message on a tenant's channel to an event. Members are matched
// by their exact names (encoding/json would take "EventID" too), and what two
// parsers could read differently is refused: duplicates, invalid UTF-8, numbers
// that are not written as integers.
func decode(tenant, topic, payload string, kinds Kinds) (*Event, *RefusedError) {
	e := &Event{Tenant: tenant, Topic: topic, Raw: json.RawMessage(payload)}
	if err := e.envelope(); err != nil {
		return nil, err
	}
	if e.TenantDeleted {
		return e, nil // of everything, so of no entry in particular
	}
	changes, err := kinds.Changes(e)
	if err != nil {
		return nil, asRefused(err)
	}
	e.Changes = changes
	return e, nil
}

// Decode decodes a message on a tenant's channel as nodes do, but for the
// Changes, which depend on the kinds. Its error is a [*RefusedError].
func Decode(tenant, topic string, payload []byte) (*Event, error) {
	e := &Event{Tenant: tenant, Topic: topic, Raw: payload}
	if err := e.envelope(); err != nil {
		return nil, err
	}
	return e, nil
}

// envelope reads what an event says whatever the kinds are.
func (e *Event) envelope() *RefusedError {
	if err := wellFormed(e.Raw); err != nil {
		return err
	}
	if err := members(e.Raw, e.member); err != nil {
		return err
	}
	e.TenantDeleted = e.Type == "tenant-deleted"
	e.Deleted = e.Deleted || strings.HasSuffix(e.Type, "-deleted")
	return nil
}

func asRefused(err error) *RefusedError {
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return refused
	}
	return refusal("malformed", "%v", err)
}

func refusal(reason, format string, args ...any) *RefusedError {
	return &RefusedError{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// wellFormed checks, in this order, because each protects the next: that no
// parser can be sent into the deep, UTF-8, and JSON's grammar.
func wellFormed(raw []byte) *RefusedError {
	switch {
	case tooDeep(raw):
		return refusal("too_deep", "nested deeper than %d", maxDepth)
	case !utf8.Valid(raw):
		return refusal("malformed", "invalid UTF-8")
	case !json.Valid(raw):
		return refusal("malformed", "not JSON: %s", shown(raw))
	case kindOf(raw) != '{':
		return refusal("malformed", "not an object: %s", shown(raw))
	}
	return nil
}

// member takes one top-level member. Unknown ones are the publisher's own.
func (e *Event) member(name, value []byte) (err *RefusedError) {
	switch string(name) {
	case "eventId":
		e.ID, err = text(name, value)
	case "eventType":
		e.Type, err = text(name, value)
	case "source":
		e.Source, err = text(name, value)
	case "tenantId":
		err = e.tenantID(value)
	case "version":
		e.Versioned = true
		e.Version, err = number(name, value)
	case "sequence":
		e.Sequenced = true
		e.Sequence, err = number(name, value)
	case "occurredAt":
		e.OccurredAt, err = instant(name, value)
	case "deleted":
		e.Deleted = string(value) == "true"
		err = expect(e.Deleted || string(value) == "false", name, "true or false", value)
	case "data":
		err = e.data(value)
	}
	return err
}

func (e *Event) tenantID(value []byte) *RefusedError {
	if kindOf(value) != '"' {
		return wrongType([]byte("tenantId"), "a string", value)
	}
	if id, _ := unescape(value); string(id) != e.Tenant {
		return refusal("foreign_tenant", "tenantId is %s", shown(value))
	}
	return nil
}

func (e *Event) data(value []byte) *RefusedError {
	if kindOf(value) != '{' {
		return wrongType([]byte("data"), "an object", value)
	}
	e.Data = value
	return members(value, func(_, _ []byte) *RefusedError { return nil })
}

// text returns a copy: whoever keeps it must not keep the whole message.
func text(name, value []byte) (string, *RefusedError) {
	s, ok := unquote(value)
	ok = ok && len(s) <= maxText && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
	return s, expect(ok, name, "a string of at most 512 bytes without control characters", value)
}

// number accepts digits only: 1e3 and 1.0 are the same number to some parsers
// and none to others.
func number(name, value []byte) (uint64, *RefusedError) {
	n, err := strconv.ParseUint(string(value), 10, 64)
	return n, expect(err == nil, name, "an unsigned 64-bit integer", value)
}

func instant(name, value []byte) (time.Time, *RefusedError) {
	s, ok := unquote(value)
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, expect(ok && err == nil, name, "an RFC 3339 time", value)
}

func expect(ok bool, name []byte, want string, value []byte) *RefusedError {
	if ok {
		return nil
	}
	return wrongType(name, want, value)
}

func wrongType(name []byte, want string, value []byte) *RefusedError {
	return refusal("wrong_type", "%s must be %s, is %s", name, want, shown(value))
}

// shown is a value as the log shows it.
func shown(value []byte) string { return fmt.Sprintf("%.60q", value) }
