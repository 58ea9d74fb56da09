package strictyaml

import (
	"encoding"
	"iter"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// shape is how a value is written: a mapping of known keys, a list, a mapping of
// free keys, or plain text.
type shape int

const (
	scalar shape = iota
	section
	list
	table
)

// kindOf tells the shape of an addressable value. A pointer has that of what it
// points to; nil is a key that was not given.
func kindOf(v reflect.Value) shape {
	if v.Kind() == reflect.Pointer {
		return kindOf(reflect.New(v.Type().Elem()).Elem())
	}
	if _, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		return scalar
	}
	switch v.Kind() {
	case reflect.Struct:
		return section
	case reflect.Slice:
		return list
	case reflect.Map:
		return table
	}
	return scalar
}

type field struct {
	name  string
	tag   reflect.StructTag
	value reflect.Value
}

func fieldsOf(v reflect.Value) []field {
	var all []field
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		if name := tag.Get("yaml"); name != "" {
			all = append(all, field{name, tag, v.Field(i)})
		}
	}
	return all
}

func indexOf(fields []field, name string) int {
	return slices.IndexFunc(fields, func(f field) bool { return f.name == name })
}

// Leaf is a key that has a value rather than keys: text, a list, or a mapping
// of free keys.
type Leaf struct {
	// Key is the path, such as "listen.rpc".
	Key string
	// Tag is that of the field: doc, oneof, min, max.
	Tag reflect.StructTag
	// Value is the field, settable.
	Value reflect.Value
}

// Leaves yields the leaves of the struct that of points to, in its order.
func Leaves(of any) iter.Seq[Leaf] {
	return func(yield func(Leaf) bool) { leaves(reflect.ValueOf(of).Elem(), "", yield) }
}

func leaves(v reflect.Value, key string, yield func(Leaf) bool) bool {
	for _, f := range fieldsOf(v) {
		path := join(key, f.name)
		if kindOf(f.value) == section {
			if !leaves(f.value, path, yield) {
				return false
			}
		} else if !yield(Leaf{path, f.tag, f.value}) {
			return false
		}
	}
	return true
}

// Override sets a leaf from the text of a variable, whose name is then the
// key's place: a list is separated by commas, a mapping is written as in YAML
// ("{a: {b: 1}}"), anything else as it is in the file without quotes.
func (r *Report) Override(leaf Leaf, variable, text string) {
	sub := NewReport(variable)
	switch kindOf(leaf.Value) {
	case table:
		if n := sub.parse([]byte(text)); n != nil {
			sub.walk(n, leaf.Value, leaf.Key, leaf.Tag)
		}
	case list:
		sub.walk(commaList(text), leaf.Value, leaf.Key, leaf.Tag)
	default:
		sub.walk(plainText(text), leaf.Value, leaf.Key, leaf.Tag)
	}
	r.places[leaf.Key] = place{name: variable}
	for _, m := range sub.mistakes {
		r.add(place{name: variable}, m.Key, m.Text)
	}
}

func plainText(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

func commaList(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			n.Content = append(n.Content, plainText(part))
		}
	}
	return n
}
