package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxBytes bounds a file: 1 MiB is a thousand times what people write.
const maxBytes = 1 << 20

// NodeDecoder is implemented by values with a shape of their own. Mistakes go to
// the report.
type NodeDecoder interface {
	DecodeNode(r *Report, n *yaml.Node, key string)
}

// Decode reads data into the struct that into points to and returns a report
// that knows the place of each key. An empty file sets nothing.
func Decode(file string, data []byte, into any) *Report {
	r := NewReport(file)
	root := r.parse(data)
	if root != nil {
		r.walk(root, reflect.ValueOf(into).Elem(), "", "")
	}
	return r
}

func (r *Report) parse(data []byte) *yaml.Node {
	if len(data) > maxBytes {
		r.add(place{name: r.source}, "", fmt.Sprintf("has %d bytes; at most %d are read", len(data), maxBytes))
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, next yaml.Node
	if err := dec.Decode(&doc); err != nil {
		r.syntax(err)
		return nil
	}
	if err := dec.Decode(&next); err == nil {
		r.node(&next, "", "a second document; give one")
	} else {
		r.syntax(err)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

// yamlLine finds the line in the messages of the YAML parser.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

func (r *Report) syntax(err error) {
	if errors.Is(err, io.EOF) {
		return
	}
	p, text := place{name: r.source}, err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		p.line, _ = strconv.Atoi(m[1])
		text = m[2]
	}
	r.add(p, "", "not YAML: "+text)
}

// walk reads a node into v, whose field had the tag.
func (r *Report) walk(n *yaml.Node, v reflect.Value, key string, tag reflect.StructTag) {
	if key != "" {
		r.places[key] = place{r.source, n.Line}
	}
	if !r.plain(n, key) {
		return
	}
	if v.Kind() == reflect.Pointer {
		made := reflect.New(v.Type().Elem())
		v.Set(made)
		v = made.Elem()
	}
	if d, ok := reflect.TypeAssert[NodeDecoder](v.Addr()); ok {
		d.DecodeNode(r, n, key)
		return
	}
	switch kindOf(v) {
	case section:
		r.section(n, v, key)
	case list:
		r.list(n, v, key, tag)
	case table:
		r.table(n, v, key, tag)
	default:
		r.scalar(n, v, key, tag)
	}
}

// plain refuses what makes a file mean something else than it seems to.
func (r *Report) plain(n *yaml.Node, key string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		r.node(n, key, "an alias (*%s); write the value out", n.Value)
	case n.Anchor != "":
		r.node(n, key, "an anchor (&%s); write the value out where it is needed", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		r.node(n, key, "a tag (%s); leave it out", n.Tag)
	default:
		return true
	}
	return false
}

func (r *Report) section(n *yaml.Node, v reflect.Value, key string) {
	if isNull(n) {
		return // a heading whose keys are all commented out
	}
	fields := fieldsOf(v)
	for name, value := range r.Members(n, key) {
		path := join(key, name)
		i := indexOf(fields, name)
		if i < 0 {
			r.add(r.at(path), path, unknown(fields))
			continue
		}
		r.walk(value, fields[i].value, path, fields[i].tag)
	}
}

func (r *Report) list(n *yaml.Node, v reflect.Value, key string, tag reflect.StructTag) {
	if n.Kind != yaml.SequenceNode {
		r.node(n, key, "%s; a list is needed, such as [a, b]", describe(n))
		return
	}
	v.SetZero() // an empty list is nil, so that configurations compare
	made := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		r.walk(item, made.Index(i), Index(key, i), tag)
	}
	if made.Len() > 0 {
		v.Set(made)
	}
}

func (r *Report) table(n *yaml.Node, v reflect.Value, key string, tag reflect.StructTag) {
	made := reflect.MakeMap(v.Type())
	for name, value := range r.Members(n, key) {
		item := reflect.New(v.Type().Elem()).Elem()
		r.walk(value, item, join(key, name), tag)
		made.SetMapIndex(reflect.ValueOf(name), item)
	}
	v.SetZero()
	if made.Len() > 0 {
		v.Set(made)
	}
}

// Members yields the keys of a mapping in the file's order and their values,
// each key once, and records their places. Anything but a mapping is a mistake.
func (r *Report) Members(n *yaml.Node, key string) func(yield func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			r.node(n, key, "%s; keys are needed, such as {key: value}", describe(n))
			return
		}
		seen := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, ok := r.name(n.Content[i], key, seen)
			if !ok {
				continue
			}
			if !yield(name, n.Content[i+1]) {
				return
			}
		}
	}
}

// name returns the text of a key that was not there before.
func (r *Report) name(n *yaml.Node, parent string, seen map[string]int) (string, bool) {
	path := join(parent, n.Value)
	switch {
	case n.Kind != yaml.ScalarNode || n.Tag == "!!merge":
		r.node(n, parent, "a key that is not plain text; write the keys out")
		return "", false
	case !r.plain(n, path):
		return "", false
	case seen[n.Value] != 0:
		r.node(n, path, "stands here again; it is already on line %d", seen[n.Value])
		return "", false
	}
	seen[n.Value] = n.Line
	r.places[path] = place{r.source, n.Line}
	return n.Value, true
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// describe says what a node is without quoting it: it may be a secret.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "has keys of its own"
	case n.Kind == yaml.SequenceNode:
		return "is a list"
	case isNull(n):
		return "has no value"
	}
	return "is plain text"
}

func unknown(fields []field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return "unknown key; known here are " + strings.Join(names, ", ")
}

// Text returns the text of a scalar that must not be empty, for a
// [NodeDecoder].
func (r *Report) Text(n *yaml.Node, key string) string {
	switch {
	case !r.plain(n, key):
	case n.Kind == yaml.ScalarNode && n.Value == "" && !isNull(n):
		r.node(n, key, "is empty; text is needed")
	case n.Kind != yaml.ScalarNode || isNull(n):
		r.node(n, key, "%s; text is needed", describe(n))
	default:
		return n.Value
	}
	return ""
}
