package kinds

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/tenantry/tenantry/subscriber"
)

// maxKey bounds a key in bytes.
const maxKey = 512

// badKeyError says why a text cannot be a key.
type badKeyError string

func (e badKeyError) Error() string { return string(e) }

// checkKey refuses what is no key: 1 to 512 bytes of UTF-8 without control
// characters, and neither "." nor "..", which paths would swallow.
func checkKey(key string) error {
	switch {
	case key == "":
		return badKeyError("the key is empty")
	case len(key) > maxKey:
		return badKeyError(fmt.Sprintf("the key has %d bytes; at most %d", len(key), maxKey))
	case !utf8.ValidString(key):
		return badKeyError("the key is not UTF-8")
	case key == "." || key == "..":
		return badKeyError("the key is a dot segment")
	}
	for _, c := range key {
		if c < 0x20 || c >= 0x7f && c < 0xa0 {
			return badKeyError(fmt.Sprintf("the key has a control character (%U)", c))
		}
	}
	return nil
}

// refusal tells the reason why a kind's key cannot be taken from an event.
func refusal(kind string, err error) *subscriber.RefusedError {
	reason := "no_key"
	switch {
	case errors.Is(err, errNotString), errors.Is(err, errNotObject):
		reason = "wrong_type"
	case errors.Is(err, errNotText), errors.As(err, new(badKeyError)):
		reason = "bad_key"
	}
	return &subscriber.RefusedError{Reason: reason, Detail: "key of kind " + kind + ": " + err.Error()}
}

// checkName refuses what is no name of a kind or a topic.
func checkName(name string) string {
	const rule = "; 1 to 64 of letters, digits, '.', '_' and '-' are needed, and not '.' or '..'"
	if len(name) < 1 || len(name) > 64 || name == "." || name == ".." {
		return fmt.Sprintf("%.70q is no name", name) + rule
	}
	for _, c := range []byte(name) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return fmt.Sprintf("%.70q is no name", name) + rule
		}
	}
	return ""
}
