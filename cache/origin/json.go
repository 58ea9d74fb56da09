package origin

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"unicode/utf8"
)

// maxDepth is how deep a document may nest; in a list it is one level deeper.
const maxDepth = 64

var (
	errUTF8  = errors.New("body is not UTF-8")
	errDepth = errors.New("body nests too deep")
	errJSON  = errors.New("body is not one complete JSON value")
)

// checkJSON says whether text is one JSON value. The depth comes first, so that
// no parser ever recurses into what nests too deep.
func checkJSON(text []byte, depth int) error {
	switch {
	case !utf8.Valid(text):
		return errUTF8
	case nestsDeeper(text, depth):
		return errDepth
	case !json.Valid(text):
		return errJSON
	}
	return nil
}

// nestsDeeper counts brackets outside strings, in text that may be anything.
func nestsDeeper(text []byte, limit int) bool {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = stringEnd(text, i)
		case '[', '{':
			if depth++; depth > limit {
				return true
			}
		case ']', '}':
			depth--
		}
	}
	return false
}

// stringEnd returns the index of the quote that ends the string begun at start,
// or of the end of text.
func stringEnd(text []byte, start int) int {
	for i := start + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(text)
}

// begins says whether the JSON text is an object ('{') or an array ('[').
func begins(text []byte, with byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && text[0] == with
}

// elements splits a valid JSON array into the texts of its elements, numbered
// from 0, without decoding them. They are parts of array.
func elements(array []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		depth, start, n := 0, 0, 0
		for i := 0; i < len(array); i++ {
			c := array[i]
			switch c {
			case '"':
				i = stringEnd(array, i)
			case '[', '{':
				if depth++; depth == 1 {
					start = i + 1
				}
			case ']', '}':
				depth--
			}
			if depth == 0 && c == ']' || depth == 1 && c == ',' {
				text := bytes.TrimSpace(array[start:i])
				if start = i + 1; len(text) > 0 && !yield(n, text) {
					return
				}
				n++
			}
		}
	}
}
