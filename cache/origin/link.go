package origin

import (
	"errors"
	"strings"
)

var errLink = errors.New("malformed Link header")

// nextLink returns the target of the rel="next" link among Link headers (RFC
// 8288), "" if there is none. A header that does not parse is an error, for
// guessing that it has no next page would make a part of a list pass for the
// whole; so are two different next pages.
func nextLink(headers []string) (string, error) {
	next := ""
	for _, header := range headers {
		for rest := header; ; {
			rest = strings.TrimLeft(rest, " \t,")
			if rest == "" {
				break
			}
			target, params, after, err := cutLink(rest)
			if err != nil {
				return "", err
			}
			if rest = after; !isNext(params) {
				continue
			}
			if target == "" || next != "" && next != target {
				return "", errLink
			}
			next = target
		}
	}
	return next, nil
}

// param is one parameter of a link.
type param struct{ name, value string }

// cutLink reads <target> and its parameters from the start of s.
func cutLink(s string) (target string, params []param, after string, err error) {
	end := strings.IndexByte(s, '>')
	if s[0] != '<' || end < 0 {
		return "", nil, "", errLink
	}
	target, s = strings.TrimSpace(s[1:end]), s[end+1:]
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" || s[0] == ',' {
			return target, params, s, nil
		}
		if s[0] != ';' {
			return "", nil, "", errLink
		}
		var p param
		if p, s, err = cutParam(strings.TrimLeft(s[1:], " \t")); err != nil {
			return "", nil, "", err
		}
		params = append(params, p)
	}
}

// cutParam reads name, name=token or name="quoted" from the start of s; an
// empty one, as before a stray semicolon, is allowed.
func cutParam(s string) (p param, after string, err error) {
	end := indexAny(s, " \t=;,\"<>")
	p.name, s = strings.ToLower(s[:end]), strings.TrimLeft(s[end:], " \t")
	if !strings.HasPrefix(s, "=") {
		return p, s, nil
	}
	if s = strings.TrimLeft(s[1:], " \t"); strings.HasPrefix(s, `"`) {
		p.value, s, err = cutQuoted(s)
		return p, s, err
	}
	end = indexAny(s, " \t;,\"<>")
	p.value = s[:end]
	return p, s[end:], nil
}

// indexAny is strings.IndexAny, but the end of s where none is found.
func indexAny(s, chars string) int {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return i
	}
	return len(s)
}

// cutQuoted reads a quoted string from the start of s.
func cutQuoted(s string) (value, after string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			if i++; i == len(s) {
				return "", "", errLink
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", errLink
}

// isNext reads the first rel, as RFC 8288 has it. A link with an anchor is
// about something else than this page.
func isNext(params []param) bool {
	next, seen := false, false
	for _, p := range params {
		if p.name == "anchor" {
			return false
		}
		if p.name == "rel" && !seen {
			seen = true
			for rel := range strings.FieldsSeq(p.value) {
				next = next || strings.EqualFold(rel, "next")
			}
		}
	}
	return next
}
