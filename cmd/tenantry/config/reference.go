package config

import (
	"encoding"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
)

// Reference writes every key as Markdown, a table for each section: its type,
// bounds, default, variable and meaning, from the struct tags and [Default].
func Reference(w io.Writer) error {
	var b strings.Builder
	v := reflect.ValueOf(Default()).Elem()
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		fmt.Fprintf(&b, "### %s\n\n%s.%s\n\n", tag.Get("yaml"), capital(tag.Get("doc")), gapNote(tag.Get("yaml")))
		b.WriteString("| key | value | default | variable | |\n| --- | --- | --- | --- | --- |\n")
		writeRows(&b, v.Field(i), tag.Get("yaml"), true)
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeRows writes a row for each key of a section. The keys of its sections
// follow in place, those that a tenant may have of its own below their mapping.
func writeRows(b *strings.Builder, section reflect.Value, path string, variables bool) {
	for i := range section.NumField() {
		field, value := section.Type().Field(i), section.Field(i)
		key := path + "." + field.Tag.Get("yaml")
		if value.Kind() == reflect.Struct {
			writeRows(b, value, key, variables)
			continue
		}
		variable := ""
		if variables {
			variable = code(Variable(key))
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s%s |\n", key, valueText(value.Type(), field.Tag), defaultText(value), variable, field.Tag.Get("doc"), keyNote(key))
		if value.Kind() == reflect.Map {
			writeRows(b, reflect.New(value.Type().Elem()).Elem(), key+".TENANT", false)
		}
	}
}

// valueText says what may be given: the type, or the words there are, and the
// bounds.
func valueText(t reflect.Type, tag reflect.StructTag) string {
	if words := tag.Get("oneof"); words != "" {
		return "`" + strings.ReplaceAll(words, "|", "`, `") + "`"
	}
	if low, high := tag.Get("min"), tag.Get("max"); low != "" || high != "" {
		return fmt.Sprintf("%s, %s to %s", typeText(t), low, high)
	}
	return typeText(t)
}

func typeText(t reflect.Type) string {
	switch reflect.Zero(t).Interface().(type) {
	case Address:
		return "host:port"
	case URL:
		return "URL"
	case Secret, GossipKey:
		return "secret"
	case Size, *Size:
		return "size"
	case time.Duration:
		return "duration"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeText(t.Elem())
	case reflect.Slice:
		return "list of " + typeText(t.Elem())
	case reflect.Map:
		return "mapping of tenants"
	case reflect.Bool:
		return "`true`, `false`"
	case reflect.Int:
		return "whole number"
	case reflect.Float64:
		return "number"
	}
	return "text"
}

// defaultText writes a default as it stands in a file; nothing for nothing.
func defaultText(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return code(durationText(x))
	case encoding.TextMarshaler:
		if v.Kind() == reflect.Pointer {
			return ""
		}
		text, _ := x.MarshalText()
		return code(string(text))
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Map:
		return ""
	case reflect.Slice:
		if v.Len() == 0 {
			return ""
		}
		return code(fmt.Sprint(v.Interface()))
	}
	return code(fmt.Sprint(v.Interface()))
}

// durationText writes 15m0s as 15m.
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// gapNote says so of a whole section without effect.
func gapNote(section string) string {
	if needs, ok := missing(section); ok {
		return " **Without effect yet**: needs " + needs + "."
	}
	return ""
}

// keyNote says so of a key without effect, unless its section has said it.
func keyNote(key string) string {
	section, _, _ := strings.Cut(key, ".")
	if _, ok := missing(section); ok {
		return ""
	}
	needs, ok := missing(strings.Replace(key, ".TENANT.", ".*.", 1))
	if !ok {
		return ""
	}
	return ". **Without effect yet**: needs " + needs
}
