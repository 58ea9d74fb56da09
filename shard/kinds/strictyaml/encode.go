package strictyaml

import (
	"encoding"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Encode writes the struct that of points to as YAML that [Decode] reads, in
// the struct's order; with comments, each key's doc tag stands above it. A value
// with a MarshalText is written by it, which is how secrets are masked.
func Encode(w io.Writer, of any, comments bool) error {
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(encode(reflect.ValueOf(of).Elem(), comments)); err != nil {
		return err
	}
	return enc.Close()
}

func encode(v reflect.Value, comments bool) *yaml.Node {
	switch kindOf(v) {
	case section:
		return encodeSection(v, comments)
	case list:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for i := range v.Len() {
			n.Content = append(n.Content, encode(v.Index(i), false))
		}
		return n
	case table:
		return encodeTable(v)
	}
	return encodeScalar(v)
}

func encodeSection(v reflect.Value, comments bool) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range fieldsOf(v) {
		if f.value.Kind() == reflect.Pointer {
			if f.value.IsNil() {
				continue
			}
			f.value = f.value.Elem()
		}
		name := &yaml.Node{Kind: yaml.ScalarNode, Value: f.name}
		if comments {
			name.HeadComment = f.tag.Get("doc")
		}
		n.Content = append(n.Content, name, encode(f.value, comments))
	}
	return n
}

func encodeTable(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	if v.Len() == 0 {
		n.Style = yaml.FlowStyle
	}
	items := map[string]*yaml.Node{}
	for it := v.MapRange(); it.Next(); {
		item := reflect.New(v.Type().Elem()).Elem()
		item.Set(it.Value())
		items[it.Key().String()] = encode(item, false)
	}
	for _, name := range slices.Sorted(maps.Keys(items)) {
		key := &yaml.Node{}
		key.SetString(name)
		n.Content = append(n.Content, key, items[name])
	}
	return n
}

func encodeScalar(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode}
	switch value := v.Addr().Interface().(type) {
	case *time.Duration:
		n.Value = shortDuration(*value)
	case encoding.TextMarshaler:
		text, _ := value.MarshalText()
		n = textNode(string(text))
	default:
		if v.Kind() == reflect.String {
			return textNode(v.String())
		}
		n.Value = fmt.Sprint(v.Interface())
	}
	return n
}

// textNode quotes text where YAML would otherwise read something else.
func textNode(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	if s == "" {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// shortDuration writes 15m0s as 15m.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
