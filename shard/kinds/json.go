package kinds

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"iter"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
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

// longestEscape is how many bytes of an escape stand for one: \u0041.
const longestEscape = 6

// named compares a JSON string with a name, in no more time than the name is
// long.
func named(quoted []byte, name string) bool {
	text := quoted[1 : len(quoted)-1]
	if len(text) < len(name) || len(text) > longestEscape*len(name) {
		return false
	}
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text) == name
	}
	var short [64]byte
	s, ok := unescape(short[:0], text)
	return ok && string(s) == name
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
	if i >= len(raw) {
		return len(raw)
	}
	switch raw[i] {
	case '"':
		return skipString(raw, i)
	case '{', '[':
		return skipNested(raw, i)
	}
	return skipLiteral(raw, i)
}

func skipNested(raw []byte, i int) int {
	for depth := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = skipString(raw, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(raw)
}

// skipString looks at each byte: a search for the next quote would be quicker in
// long strings, and slow where every other byte is one.
func skipString(raw []byte, i int) int {
	for i++; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(raw)
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
	text := raw[1 : len(raw)-1]
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text), true
	}
	s, ok := unescape(nil, text)
	return string(s), ok
}

// unescape appends what the inside of a JSON string stands for.
func unescape(dst, text []byte) ([]byte, bool) {
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return append(dst, text...), true
		}
		r, n := escape(text[i:])
		if n == 0 {
			return nil, false
		}
		dst = utf8.AppendRune(append(dst, text[:i]...), r)
		text = text[i+n:]
	}
}

// escape decodes the escape that text starts with, of n bytes; n is 0 if it is
// none, or half of a surrogate pair: decoded to U+FFFD, as encoding/json does,
// two texts would become one.
func escape(text []byte) (r rune, n int) {
	if len(text) < 2 {
		return 0, 0
	}
	if text[1] != 'u' {
		i := strings.IndexByte(`"\/bfnrt`, text[1])
		if i < 0 {
			return 0, 0
		}
		return rune("\"\\/\b\f\n\r\t"[i]), 2
	}
	r = codeUnit(text)
	if r < 0 {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, longestEscape
	}
	if r = utf16.DecodeRune(r, codeUnit(text[longestEscape:])); r == utf8.RuneError {
		return 0, 0
	}
	return r, 2 * longestEscape
}

// codeUnit returns the number that text starts with as \u0041, or -1.
func codeUnit(text []byte) rune {
	var unit [2]byte
	if len(text) < longestEscape || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	if _, err := hex.Decode(unit[:], text[2:longestEscape]); err != nil {
		return -1
	}
	return rune(binary.BigEndian.Uint16(unit[:]))
}

// compact appends JSON text without its white space, otherwise as it is.
func compact(dst *bytes.Buffer, raw []byte) {
	start := 0
	for i := 0; i < len(raw); {
		switch raw[i] {
		case '"':
			i = skipString(raw, i)
		case ' ', '\t', '\n', '\r':
			dst.Write(raw[start:i])
			i = space(raw, i)
			start = i
		default:
			i++
		}
	}
	dst.Write(raw[start:])
}

// crowded says whether a text may hold more than so many values: those of lists
// and of members.
func crowded(raw []byte, most int) bool {
	n := 1
	for i := 0; i < len(raw) && n <= most; i++ {
		switch raw[i] {
		case '"':
			i = skipString(raw, i) - 1
		case ',', '[', '{':
			n++
		}
	}
	return n > most
}
