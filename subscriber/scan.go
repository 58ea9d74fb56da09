package subscriber

import (
	"bytes"
	"encoding/json"
)

// maxDepth is how deep a message may nest; its outermost object is 1.
const maxDepth = 64

// tooDeep counts brackets outside strings, in one pass and no memory, whatever
// the text is: it guards the parsers that come after it. In a text that is not
// JSON the count means nothing, and they refuse it.
func tooDeep(text []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// The rest walks text that is known to be valid JSON.

// kindOf returns the first byte of a value.
func kindOf(value []byte) byte { return value[space(value, 0)] }

// space returns the index of the first byte at or after i that is not white
// space.
func space(text []byte, i int) int {
	for text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r' {
		i++
	}
	return i
}

// members visits the members of an object in order, each with its name without
// quotes and escapes and its value's text. A name that comes twice is refused.
func members(object []byte, visit func(name, value []byte) *RefusedError) *RefusedError {
	var seen names
	i := space(object, space(object, 0)+1)
	for object[i] != '}' {
		end := skip(object, i)
		name, _ := unescape(object[i:end])
		if !seen.add(name) {
			return refusal("malformed", "the member %s is there twice", shown(name))
		}
		start := space(object, space(object, end)+1) // after the colon
		end = skip(object, start)
		if err := visit(name, object[start:end:end]); err != nil {
			return err
		}
		if i = space(object, end); object[i] == ',' {
			i = space(object, i+1)
		}
	}
	return nil
}

// skip returns the index after the value that starts at i.
func skip(text []byte, i int) int {
	switch text[i] {
	case '"':
		return skipString(text, i)
	case '{', '[':
		return skipNested(text, i)
	}
	for i < len(text) && !ends(text[i]) {
		i++
	}
	return i
}

// ends says whether c ends a number or a literal.
func ends(c byte) bool { return c == ',' || c == ']' || c == '}' || c <= ' ' }

func skipString(text []byte, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func skipNested(text []byte, i int) int {
	for depth := 0; ; i++ {
		switch text[i] {
		case '"':
			i = skipString(text, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}

// unescape returns what a string's text stands for, without copying where
// there are no escapes.
func unescape(quoted []byte) ([]byte, bool) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1], true
	}
	var s string
	err := json.Unmarshal(quoted, &s)
	return []byte(s), err == nil
}

// unquote returns a copy of the string that a value is; not ok if it is none.
func unquote(value []byte) (string, bool) {
	if value[0] != '"' {
		return "", false
	}
	s, ok := unescape(value)
	return string(s), ok
}

// names is a set that costs nothing while it is small, as it nearly always is,
// and stays linear when it is not.
type names struct {
	few  [16][]byte
	n    int
	many map[string]struct{}
}

// add returns false if the name is there already.
func (s *names) add(name []byte) bool {
	for _, other := range s.few[:s.n] {
		if bytes.Equal(other, name) {
			return false
		}
	}
	if s.n < len(s.few) {
		s.few[s.n] = name
		s.n++
		return true
	}
	if _, twice := s.many[string(name)]; twice {
		return false
	}
	if s.many == nil {
		s.many = make(map[string]struct{})
	}
	s.many[string(name)] = struct{}{}
	return true
}
