package strictyaml

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxMistakes bounds what a hostile file makes us say; the rest is counted.
const maxMistakes = 100

// Mistake is one thing wrong.
type Mistake struct {
	// Place is "file:line", the name of an environment variable, or, for what
	// is missing altogether, the file.
	Place string
	// Key is the path of the key, such as "listen.rpc" or "kinds[2].ttl"; empty
	// for what concerns the whole file.
	Key string
	// Text says what is wrong and, after a semicolon, what would be right.
	Text string

	order int
}

func (m Mistake) String() string {
	parts := []string{m.Place, m.Key, m.Text}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ": ")
}

// MistakesError is the error of a file: all that is wrong with it, a line each.
type MistakesError struct {
	// All has at most 100 mistakes, those of a file in the order of its lines.
	All []Mistake
	// More is how many were left out.
	More int
}

func (m *MistakesError) Error() string {
	var b strings.Builder
	for i, one := range m.All {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(one.String())
	}
	if m.More > 0 {
		fmt.Fprintf(&b, "\nand %d more", m.More)
	}
	return b.String()
}

// place is where a key was given.
type place struct {
	name string // file or variable
	line int    // 0: the name alone
}

func (p place) String() string {
	if p.line == 0 {
		return p.name
	}
	return fmt.Sprintf("%s:%d", p.name, p.line)
}

// Report collects the mistakes of a file and what overrides it.
type Report struct {
	source   string
	places   map[string]place
	mistakes []Mistake
	more     int
}

// NewReport returns an empty report; source names what keys that were not given
// are blamed on, usually a file.
func NewReport(source string) *Report {
	return &Report{source: source, places: map[string]place{}}
}

// Given says whether the key has a place: it stands in the file or in what
// overrides it.
func (r *Report) Given(key string) bool {
	_, ok := r.places[key]
	return ok
}

// Bad says whether a mistake of the key itself is known.
func (r *Report) Bad(key string) bool {
	return slices.ContainsFunc(r.mistakes, func(m Mistake) bool { return m.Key == key })
}

// Add records a mistake at the place of the key, or of the nearest key above it
// that was given.
func (r *Report) Add(key, format string, args ...any) {
	r.add(r.at(key), key, fmt.Sprintf(format, args...))
}

// Place returns where a key was given, as messages spell it.
func (r *Report) Place(key string) string { return r.at(key).String() }

// Err returns the mistakes, or nil.
func (r *Report) Err() error {
	if len(r.mistakes) == 0 {
		return nil
	}
	all := slices.Clone(r.mistakes)
	slices.SortStableFunc(all, func(a, b Mistake) int { return a.order - b.order })
	return &MistakesError{All: all, More: r.more}
}

func (r *Report) add(p place, key, text string) {
	if len(r.mistakes) >= maxMistakes {
		r.more++
		return
	}
	r.mistakes = append(r.mistakes, Mistake{Place: p.String(), Key: key, Text: printable(text), order: p.line})
}

// node records a mistake at a node.
func (r *Report) node(n *yaml.Node, key, format string, args ...any) {
	r.add(place{r.source, n.Line}, key, fmt.Sprintf(format, args...))
}

func (r *Report) at(key string) place {
	for {
		if p, ok := r.places[key]; ok {
			return p
		}
		i := strings.LastIndexAny(key, ".[")
		if i < 0 {
			return place{name: r.source}
		}
		key = key[:i]
	}
}

// printable keeps what a file says from breaking the line, or the terminal, of
// the message that quotes it.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c == '\u2028' || c == '\u2029' {
			return '\ufffd'
		}
		return c
	}, s)
}

// quote shortens and quotes a value for a message.
func quote(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return `"` + s + `"`
}

// Index returns the key of an element of a list.
func Index(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

// AddAt records a mistake of a key at the place of another.
func (r *Report) AddAt(at, key, format string, args ...any) {
	r.add(r.at(at), key, fmt.Sprintf(format, args...))
}

// Variable records a mistake of an environment variable.
func (r *Report) Variable(name, key, format string, args ...any) {
	r.add(place{name: name}, key, fmt.Sprintf(format, args...))
}
