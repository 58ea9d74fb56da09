package wrapper

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
)

// isAmount accepts numbers that are not negative, of a length that nobody has
// to be afraid of.
func isAmount(text json.RawMessage) error {
	if _, err := strconv.ParseFloat(string(text), 64); err != nil || text[0] < '0' || text[0] > '9' || len(text) > 64 {
		return errors.New("must be a number, not negative")
	}
	return nil
}

func isText(text json.RawMessage) error {
	var s *string
	if json.Unmarshal(text, &s) != nil || s == nil || *s == "" {
		return errors.New("must be a string, not empty")
	}
	return nil
}

func isTexts(text json.RawMessage) error {
	var list []*string
	if json.Unmarshal(text, &list) != nil || list == nil {
		return errors.New("must be an array of strings")
	}
	for _, s := range list {
		if s == nil {
			return errors.New("must be an array of strings")
		}
	}
	return nil
}

// encode keeps the text of numbers and does not escape for HTML. Nothing here
// fails to encode.
func encode(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSpace(b.Bytes())
}
