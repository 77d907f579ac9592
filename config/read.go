package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"clinicgate/policy"
)

// reader fills a struct from a tree, field by field as its json tags name them. It goes on after a mistake, so that all
// are told at once, and remembers the line of every field.
type reader struct {
	errs  Errors
	lines lines
}

func newReader(file string) *reader {
	return &reader{lines: lines{file: file, at: map[string]int{}}}
}

func (r *reader) fail(n *yaml.Node, field, reason, remedy string) {
	if len(r.errs) < maxErrors {
		r.errs = append(r.errs, &Error{File: r.lines.file, Line: n.Line, Field: field, Reason: reason, Remedy: remedy})
	}
}

func (r *reader) document(root *yaml.Node, into any) {
	r.value(root, "", reflect.ValueOf(into).Elem())
}

// verdict is all that is wrong: what could not be read, and of problems those about fields that could; nil for nothing.
func (r *reader) verdict(problems []policy.Problem) error {
	es := slices.Clone(r.errs)
	for _, p := range problems {
		if !r.unread(p.Field) {
			es = append(es, &Error{File: r.lines.file, Line: r.lines.line(p.Field), Field: p.Field, Reason: p.Reason,
				Remedy: p.Remedy})
		}
	}
	if len(es) == 0 {
		return nil
	}
	return es.sorted()
}

// unread says whether the field, what it is part of, or a part of it could not be read: it does not hold what was written.
func (r *reader) unread(field string) bool {
	for _, e := range r.errs {
		if within(field, e.Field) || within(e.Field, field) {
			return true
		}
	}
	return false
}

// within says whether field is part of whole, or is it.
func within(field, whole string) bool {
	rest, ok := strings.CutPrefix(field, whole)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

var (
	timeType = reflect.TypeFor[time.Time]()
	textType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// value reads n into v. A null leaves what is there: the default.
func (r *reader) value(n *yaml.Node, field string, v reflect.Value) {
	r.lines.at[field] = n.Line
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	switch {
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.value(n, field, v.Elem())
	case v.Type() == timeType:
		r.moment(n, field, v)
	case v.Kind() != reflect.Struct && v.Addr().Type().Implements(textType):
		r.text(n, field, v)
	case v.Kind() == reflect.Struct:
		r.fields(n, field, v)
	case v.Kind() == reflect.Slice:
		r.list(n, field, v)
	case v.Kind() == reflect.Map:
		r.mapping(n, field, v)
	default:
		r.scalar(n, field, v)
	}
}

func (r *reader) fields(n *yaml.Node, field string, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, field, "is not a group of fields", "write "+strings.Join(fieldNames(v.Type()), ", ")+" below it")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		name := join(field, key.Value)
		index := fieldIndex(v.Type(), key.Value)
		if index < 0 {
			r.fail(key, name, "is not a field", suggest(key.Value, fieldNames(v.Type())))
			continue
		}
		r.value(n.Content[i+1], name, v.Field(index))
		r.lines.at[name] = key.Line
	}
}

func suggest(name string, known []string) string {
	if near := policy.Nearest(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	return "known here: " + strings.Join(known, ", ")
}

func (r *reader) list(n *yaml.Node, field string, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		remedy := "write its entries below it, each after a hyphen"
		if n.Kind == yaml.ScalarNode && len(n.Value) <= 60 {
			remedy = "write [" + n.Value + "]"
		}
		r.fail(n, field, "is not a list", remedy)
		return
	}
	v.SetZero()
	if len(n.Content) > 0 { // an empty list is nil, as an encoder would write it, and not the default
		v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	}
	for i, child := range n.Content {
		name := field + "[" + strconv.Itoa(i) + "]"
		if child.Kind == yaml.ScalarNode && child.Tag == "!!null" {
			r.fail(child, name, "is empty", "write a value or remove it")
			continue
		}
		r.value(child, name, v.Index(i))
	}
}

func (r *reader) mapping(n *yaml.Node, field string, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, field, "is not a group of fields", "write it as name: value lines below it")
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		entry := reflect.New(v.Type().Elem()).Elem()
		r.value(n.Content[i+1], join(field, key.Value), entry)
		r.lines.at[join(field, key.Value)] = key.Line
		out.SetMapIndex(reflect.ValueOf(key.Value), entry)
	}
	v.SetZero()
	if out.Len() > 0 {
		v.Set(out)
	}
}

func (r *reader) text(n *yaml.Node, field string, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		r.fail(n, field, "is not a single value", "write one value")
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
		r.fail(n, field, err.Error(), "")
	}
}

func (r *reader) scalar(n *yaml.Node, field string, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		r.fail(n, field, "is not a single value", "write one value")
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
	case reflect.Bool:
		if n.Tag != "!!bool" {
			r.fail(n, field, shown(n)+" is neither true nor false", "write true or false")
			return
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
	case reflect.Int:
		i, err := strconv.Atoi(n.Value)
		if err != nil || n.Value != strconv.Itoa(i) { // 010 is eight to some readers of YAML
			r.fail(n, field, shown(n)+" is not a whole number", "write it in digits")
			return
		}
		v.SetInt(int64(i))
	default:
		panic(fmt.Sprintf("config: no reading of %s", v.Type())) // a type of ours that nobody taught the reader
	}
}

// moment reads an RFC 3339 time. A bare date would leave open which midnight, in whose zone, is meant.
func (r *reader) moment(n *yaml.Node, field string, v reflect.Value) {
	at, err := time.Parse(time.RFC3339, n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		remedy := "write it as 2026-01-31T17:00:00+11:00"
		if _, err := time.Parse(time.DateOnly, n.Value); err == nil {
			remedy = "add the hour and the zone: " + n.Value + "T17:00:00+11:00"
		}
		r.fail(n, field, shown(n)+" is not a point in time", remedy)
		return
	}
	v.Set(reflect.ValueOf(at.UTC()))
}

func shown(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || len(n.Value) > 60 {
		return "…"
	}
	return strconv.Quote(n.Value)
}

func join(field, name string) string {
	if field == "" {
		return name
	}
	return field + "." + name
}

func fieldNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}

func fieldIndex(t reflect.Type, name string) int {
	for i, known := range fieldNames(t) {
		if known == name {
			return i
		}
	}
	return -1
}
