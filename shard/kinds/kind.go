package kinds

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/tenantry/tenantry/cache"
	"github.com/tenantry/tenantry/subscriber"
)

// Kind is one kind of a [Set]: its definition, compiled.
type Kind struct {
	spec     kindSpec
	cache    *cache.Kind
	event    eventMapping
	document documentMapping
}

type eventMapping struct {
	key, sets *expression // sets nil: whenever there is a value
	value     *value      // nil: the event always invalidates
}

type documentMapping struct {
	key, version *expression // nil: documents do not tell
	valid        *expression // nil: each that has a value
	value        *value      // nil: the whole document
}

// Name returns the configured name.
func (k *Kind) Name() string { return k.spec.Name }

// Cache returns what the cache knows of the kind, the same pointer each time.
func (k *Kind) Cache() *cache.Kind { return k.cache }

// Sets says whether an event can carry the kind's value, so that it need not be
// read from the origin.
func (k *Kind) Sets() bool { return k.event.value != nil }

// change returns what an event says of the kind; its errors are those of the
// key.
func (k *Kind) change(m *message, deleted bool) (subscriber.Change, error) {
	key, err := k.event.key.text(m)
	if err != nil {
		return subscriber.Change{}, err
	}
	if err := checkKey(key); err != nil {
		return subscriber.Change{}, err
	}
	c := subscriber.Change{Kind: k.spec.Name, Key: key, Effect: subscriber.Invalidate}
	if deleted {
		c.Effect = subscriber.Remove
	} else if v, ok := k.event.set(m); ok {
		c.Effect, c.Value = subscriber.Set, v
	}
	return c, nil
}

// set returns the canonical value if the event carries it.
func (e *eventMapping) set(m *message) ([]byte, bool) {
	if e.value == nil || e.sets != nil && !e.sets.holds(m) {
		return nil, false
	}
	v, err := e.value.json(m)
	return v, err == nil
}

// errInvalid says that a document is not what its kind needs, such as one with a
// member of the wrong type.
var errInvalid = errors.New("the document is not valid: document.valid of the kind is not true")

// Map implements [origin.Mapping]. The document must be a JSON object, and valid
// where the kind says what is; for an on-demand kind any JSON passes as it is. A
// version that is not an unsigned 64-bit number is none.
//
// [origin.Mapping]: https://pkg.go.dev/github.com/tenantry/tenantry/cache/origin#Mapping
func (k *Kind) Map(doc []byte) (key string, value []byte, version uint64, versioned bool, err error) {
	if !json.Valid(doc) || !utf8.Valid(doc) {
		return "", nil, 0, false, errors.New("the document is not JSON in UTF-8")
	}
	if k.cache.Class == cache.OnDemand {
		return "", doc, 0, false, nil
	}
	if doc = bytes.TrimLeft(doc, " \t\r\n"); doc[0] != '{' {
		return "", nil, 0, false, errors.New("the document is not a JSON object")
	}
	m := newDocument(doc)
	if key, err = k.document.keyOf(m); err != nil {
		return "", nil, 0, false, fmt.Errorf("the document's key: %w", err)
	}
	if value, err = k.document.valueOf(m); err != nil {
		return "", nil, 0, false, fmt.Errorf("the document's value: %w", err)
	}
	if k.document.valid != nil && !k.document.valid.holds(m) {
		return "", nil, 0, false, errInvalid
	}
	version, versioned = k.document.versionOf(m)
	return key, value, version, versioned, nil
}

func (d *documentMapping) keyOf(m *message) (string, error) {
	if d.key == nil {
		return "", nil
	}
	key, err := d.key.text(m)
	if errors.Is(err, errMissing) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return key, checkKey(key)
}

func (d *documentMapping) valueOf(m *message) ([]byte, error) {
	if d.value != nil {
		return d.value.json(m)
	}
	var b bytes.Buffer
	compact(&b, m.raw)
	return b.Bytes(), nil
}

func (d *documentMapping) versionOf(m *message) (uint64, bool) {
	if d.version == nil {
		return 0, false
	}
	var b bytes.Buffer
	if d.version.json(&b, m) != nil {
		return 0, false
	}
	v, err := strconv.ParseUint(b.String(), 10, 64)
	return v, err == nil
}

// value makes the canonical value: of one expression, or an object of one for
// each member in the file's order.
type value struct {
	single  *expression
	members []memberOf
}

type memberOf struct {
	prefix string // `"name":`
	from   *expression
}

func (v *value) json(m *message) ([]byte, error) {
	var b bytes.Buffer
	if v.single != nil {
		err := v.single.json(&b, m)
		return b.Bytes(), err
	}
	separator := byte('{')
	for _, member := range v.members {
		b.WriteByte(separator)
		separator = ','
		b.WriteString(member.prefix)
		if err := member.from.json(&b, m); err != nil {
			return nil, fmt.Errorf("%s %w", member.prefix, err)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
