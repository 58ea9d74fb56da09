package kinds

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"strings"
)

// The functions here find their way in JSON text without decoding it. They are
// made for valid JSON; of anything else they find less, but never panic, loop
// or recurse.

// errMissing says that a member on an expression's path is not there.
var errMissing = errors.New("the member is not there")

// errNotObject says that something on an expression's path has no members.
var errNotObject = errors.New("the member's parent is not an object")

// lookup returns the text of the member that path leads to.
func lookup(raw []byte, path []string) ([]byte, error) {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	for _, name := range path {
		if len(raw) == 0 || raw[0] != '{' {
			return nil, errNotObject
		}
		if raw = member(raw, name); raw == nil {
			return nil, errMissing
		}
	}
	return raw, nil
}

// member returns the last member of that name, or nil.
func member(object []byte, name string) []byte {
	var found []byte
	for quoted, value := range members(object) {
		if named(quoted, name) {
			found = value
		}
	}
	return found
}

// named compares a JSON string with a name, without unquoting where it can.
func named(quoted []byte, name string) bool {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1:len(quoted)-1]) == name
	}
	s, ok := unquote(quoted)
	return ok && s == name
}

// members yields the quoted names and the values of an object.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		for i := space(object, 1); i < len(object) && object[i] == '"'; {
			end := skip(object, i)
			colon := space(object, end)
			if end-i < 2 || colon >= len(object) || object[colon] != ':' {
				return
			}
			start := space(object, colon+1)
			stop := skip(object, start)
			if stop == start || !yield(object[i:end], object[start:stop]) {
				return
			}
			i = next(object, stop)
		}
	}
}

// elements yields the values of an array.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := space(array, 1); i < len(array) && array[i] != ']'; {
			end := skip(array, i)
			if end == i || !yield(array[i:end]) {
				return
			}
			i = next(array, end)
		}
	}
}

// next returns where the value after the comma at or behind i starts.
func next(raw []byte, i int) int {
	if i = space(raw, i); i < len(raw) && raw[i] == ',' {
		return space(raw, i+1)
	}
	return len(raw)
}

func space(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\n' || raw[i] == '\r') {
		i++
	}
	return min(i, len(raw))
}

// skip returns where the value at i ends.
func skip(raw []byte, i int) int {
	depth := 0
	for i < len(raw) {
		switch raw[i] {
		case '"':
			i = skipString(raw, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			if depth--; depth < 0 {
				return i
			}
			i++
		case ',', ':', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
			i++
		default:
			i = skipLiteral(raw, i)
		}
		if depth == 0 {
			return i
		}
	}
	return i
}

func skipString(raw []byte, i int) int {
	for i++; i < len(raw); i++ {
		n := bytes.IndexByte(raw[i:], '"')
		if n < 0 {
			break
		}
		if i += n; !escaped(raw, i) {
			return i + 1
		}
	}
	return len(raw)
}

// escaped says whether an odd number of backslashes stands before i.
func escaped(raw []byte, i int) bool {
	n := 0
	for n < i && raw[i-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

func skipLiteral(raw []byte, i int) int {
	for ; i < len(raw); i++ {
		switch raw[i] {
		case '"', ',', ':', '{', '}', '[', ']', ' ', '\t', '\n', '\r':
			return i
		}
	}
	return i
}

// unquote returns the text of a JSON string; false if it is not one, or escapes
// half of a surrogate pair.
func unquote(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), true
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	// A lone surrogate decodes to U+FFFD: two texts would become one.
	return s, strings.Count(s, "\ufffd") == bytes.Count(raw, []byte("\ufffd"))
}

// compact appends JSON text without its white space, otherwise as it is.
func compact(dst *bytes.Buffer, raw []byte) error { return json.Compact(dst, raw) }
