package origin

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/tenantry/tenantry/cache"
)

// Kind is how the items of a kind are read.
type Kind struct {
	Name string
	// One and List are path templates with {tenant} and {key}, such as
	// "/api/tenants/{tenant}/roles/{key}"; an empty List: not listed.
	// Each placeholder is a whole segment; a literal query may follow.
	One, List string
	// Document maps an origin document.
	Document Mapping
}

// Mapping maps the JSON text of one document of the origin.
type Mapping interface {
	// Map returns the document's key (empty if the kind names none or the
	// document has none), its canonical value and its version.
	Map(doc []byte) (key string, value []byte, version uint64, versioned bool, err error)
}

// kind is a Kind with its templates parsed.
type kind struct {
	Kind
	one, list template
}

func parseKinds(kinds []Kind) ([]kind, error) {
	parsed := make([]kind, len(kinds))
	var errs []error
	for i, k := range kinds {
		parsed[i].Kind = k
		var one, list error
		if k.One != "" {
			parsed[i].one, one = parseTemplate(k.One, true)
		}
		if k.List != "" {
			parsed[i].list, list = parseTemplate(k.List, false)
		}
		if err := errors.Join(one, list); err != nil {
			errs = append(errs, fmt.Errorf("origin: kind %s: %w", k.Name, err))
		}
		if k.Document == nil && (k.One != "" || k.List != "") {
			errs = append(errs, fmt.Errorf("origin: kind %s: no mapping of its documents", k.Name))
		}
	}
	return parsed, errors.Join(errs...)
}

// answer maps the answer of a read of key. What is kept must be an object;
// what only passes through may be any JSON value.
func (k kind) answer(got reply, key string, anyValue bool) (cache.Document, error) {
	if !anyValue && !begins(got.body, '{') {
		return cache.Document{}, fault(reasonMalformed, "document is not a JSON object")
	}
	doc, err := k.document(got.body)
	if err != nil {
		return cache.Document{}, fault(reasonMalformed, "%w", err)
	}
	if doc.Key != "" && doc.Key != key {
		return cache.Document{}, fault(reasonMismatch, "asked for key %.80q, got a document of %.80q", key, doc.Key)
	}
	doc.ETag = got.etag
	return doc, nil
}

var errNoValue = errors.New("document has no value")

// document maps the text of one document. The value is copied out of it, so
// that keeping it does not keep the rest of a page.
func (k kind) document(text []byte) (cache.Document, error) {
	key, value, version, versioned, err := k.Document.Map(text)
	if err == nil && len(value) == 0 {
		err = errNoValue
	}
	if err != nil {
		return cache.Document{}, err
	}
	return cache.Document{Key: key, Value: bytes.Clone(value), Version: version, Versioned: versioned}, nil
}
