package directory

import (
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

const (
	maxEdits = 1 << 20 // cells compared for one list; above it, the two lists are shown whole
	maxDepth = 32      // of nested values; a policy has six
)

// node is a JSON value that remembers the order of its fields.
type node struct {
	kind  byte // 's' scalar, 'l' list, 'm' map, 0 nothing
	text  string
	names []string
	items []node
}

// parse reads one JSON value. What is empty ("", null, [], {}) is nothing: in a policy it means the same as an absent field.
func parse(text string) (node, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	n, err := parseValue(d, maxDepth)
	if err != nil {
		return node{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return node{}, errors.New("more than one value")
	}
	return n, nil
}

func parseValue(d *json.Decoder, depth int) (node, error) {
	if depth == 0 {
		return node{}, errors.New("nested too deeply")
	}
	token, err := d.Token()
	if err != nil {
		return node{}, err
	}
	switch t := token.(type) {
	case json.Delim:
		return parseInner(d, t, depth-1)
	case string:
		if t == "" {
			return node{}, nil
		}
		return node{kind: 's', text: quote(t)}, nil
	case json.Number:
		return node{kind: 's', text: t.String()}, nil
	case bool:
		return node{kind: 's', text: strconv.FormatBool(t)}, nil
	}
	return node{}, nil
}

// parseInner reads a list or a map up to its end. An element of a list keeps its place even when it is empty.
func parseInner(d *json.Decoder, open json.Delim, depth int) (node, error) {
	n := node{kind: 'l'}
	if open == '{' {
		n.kind = 'm'
	}
	for d.More() {
		name := ""
		if n.kind == 'm' {
			token, err := d.Token()
			if err != nil {
				return node{}, err
			}
			name, _ = token.(string)
		}
		item, err := parseValue(d, depth)
		if err != nil {
			return node{}, err
		}
		if n.kind == 'm' && item.kind == 0 {
			continue
		}
		n.items = append(n.items, item)
		if n.kind == 'm' {
			n.names = append(n.names, quote(name))
		}
	}
	if _, err := d.Token(); err != nil {
		return node{}, err
	}
	if len(n.items) == 0 {
		return node{}, nil
	}
	return n, nil
}

// quote writes a text so that it is one line, and that where it ends is plain.
func quote(s string) string {
	_, notNumber := strconv.ParseFloat(s, 64)
	plain := notNumber != nil && s != "true" && s != "false" && strings.TrimSpace(s) == s && visible(s) == s &&
		!strings.ContainsAny(s, "\"\\,[]{}→") && !strings.Contains(s, ": ")
	if plain && s != "" {
		return s
	}
	return strconv.QuoteToASCII(s)
}

// String is the value on one line, as YAML's flow style has it.
func (n node) String() string {
	switch n.kind {
	case 's':
		return n.text
	case 'l', 'm':
		var b strings.Builder
		n.write(&b)
		return b.String()
	}
	return `""`
}

func (n node) write(b *strings.Builder) {
	brackets := "[]"
	switch n.kind {
	case 'm':
		brackets = "{}"
	case 'l':
	default:
		b.WriteString(n.String())
		return
	}
	b.WriteByte(brackets[0])
	for i, item := range n.items {
		if i > 0 {
			b.WriteString(", ")
		}
		if n.kind == 'm' {
			b.WriteString(n.names[i] + ": ")
		}
		item.write(b)
	}
	b.WriteByte(brackets[1])
}

// diff says what changed from one canonical document to another, one line a field, in the order of the document:
//
//	session.idle: 15m → 10m
//	+ hosts[1]: new.example
//	- access[0]: {path: /booking/*, public: true}
//
// It is empty if and only if both mean the same. A text that is no JSON counts as nothing.
func diff(before, after string) string {
	old, err := parse(before)
	if err != nil {
		old = node{}
	}
	now, err := parse(after)
	if err != nil {
		now = node{}
	}
	var w diffWriter
	w.compare("", old, now)
	return w.String()
}

type diffWriter struct{ strings.Builder }

func (w *diffWriter) line(sign, path, text string) {
	if w.Len() > 0 {
		w.WriteByte('\n')
	}
	if path == "" {
		path = "policy"
	}
	w.WriteString(sign + path + ": " + text)
}

func (w *diffWriter) compare(path string, old, now node) {
	switch {
	case old.kind == 'm' && now.kind == 'm', old.kind == 'm' && now.kind == 0, old.kind == 0 && now.kind == 'm':
		w.compareMaps(path, old, now)
	case old.kind == 'l' && now.kind == 'l':
		w.compareLists(path, old.items, now.items)
	case old.String() == now.String() && old.kind == now.kind:
	case old.kind == 0:
		w.line("+ ", path, now.String())
	case now.kind == 0:
		w.line("- ", path, old.String())
	default:
		w.line("", path, old.String()+" → "+now.String())
	}
}

func (w *diffWriter) compareMaps(path string, old, now node) {
	join := func(name string) string {
		if path == "" {
			return name
		}
		return path + "." + name
	}
	for i, name := range old.names {
		w.compare(join(name), old.items[i], now.field(name))
	}
	for i, name := range now.names {
		if old.field(name).kind == 0 {
			w.compare(join(name), node{}, now.items[i])
		}
	}
}

func (n node) field(name string) node {
	for i := range n.names {
		if n.names[i] == name {
			return n.items[i]
		}
	}
	return node{}
}

// compareLists shows the shortest way from one list to the other: what is taken out with its old index, what is put in
// with its new one. The order of a list matters (first match wins), so a move is both.
func (w *diffWriter) compareLists(path string, old, now []node) {
	a, b := lines(old), lines(now)
	start := 0
	for start < min(len(a), len(b)) && a[start] == b[start] {
		start++
	}
	endA, endB := len(a), len(b)
	for endA > start && endB > start && a[endA-1] == b[endB-1] {
		endA, endB = endA-1, endB-1
	}
	common := commonRest(a[start:endA], b[start:endB])
	i, j := start, start
	for i < endA || j < endB {
		switch {
		case i < endA && j < endB && a[i] == b[j]:
			i, j = i+1, j+1
		case j >= endB || i < endA && common(i+1-start, j-start) >= common(i-start, j+1-start):
			w.line("- ", path+"["+strconv.Itoa(i)+"]", a[i])
			i++
		default:
			w.line("+ ", path+"["+strconv.Itoa(j)+"]", b[j])
			j++
		}
	}
}

// commonRest returns a function for the length of the longest common subsequence of a[i:] and b[j:].
func commonRest(a, b []string) func(i, j int) int {
	if len(a)*len(b) > maxEdits {
		return func(int, int) int { return 0 }
	}
	width := len(b) + 1
	table := make([]int32, (len(a)+1)*width)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				table[i*width+j] = table[(i+1)*width+j+1] + 1
			} else {
				table[i*width+j] = max(table[(i+1)*width+j], table[i*width+j+1])
			}
		}
	}
	return func(i, j int) int { return int(table[i*width+j]) }
}

func lines(nodes []node) []string {
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = n.String()
	}
	return out
}
