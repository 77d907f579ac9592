package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// parse turns text into a tree of nodes, each with its line. JSON and YAML come out as the same tree.
func parse(file string, data []byte) (*yaml.Node, error) {
	if e := checkText(data); e != nil {
		e.File = file
		return nil, Errors{e}
	}
	var root *yaml.Node
	var fault *Error
	if looksJSON(data) && (json.Valid(data) || strings.HasSuffix(file, ".json")) {
		root, fault = parseJSON(data)
	} else { // also YAML's own braces, which need no quotes
		root, fault = parseYAML(data)
	}
	if fault != nil && meantJSON(data) {
		_, fault = parseJSON(data)
	}
	if fault == nil {
		fault = checkTree(root, "", 0)
	}
	if fault == nil && root.Kind != yaml.MappingNode {
		fault = &Error{Line: root.Line, Reason: "the document does not hold fields", Remedy: "write name: value lines"}
	}
	if fault != nil {
		fault.File = file
		return nil, Errors{fault}
	}
	return root, nil
}

func looksJSON(data []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{"))
}

// meantJSON says whether somebody who wrote this would call it JSON.
func meantJSON(data []byte) bool {
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{"))
	return ok && bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(`"`)) && !json.Valid(data)
}

// checkText refuses what is not plain UTF-8 text of a sane size.
func checkText(data []byte) *Error {
	switch {
	case len(data) > maxSize:
		return &Error{Reason: fmt.Sprintf("the document is larger than %d bytes", maxSize), Remedy: "no policy is that long"}
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return &Error{Line: 1, Reason: "the text begins with a byte order mark", Remedy: "save it as UTF-8 without BOM"}
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return &Error{Line: 1, Reason: "the text is UTF-16", Remedy: "save it as UTF-8"}
	}
	line := 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return &Error{Line: line, Reason: "the text is not UTF-8", Remedy: "save it as UTF-8"}
		case r == '\n':
			line++
		case r < ' ' && r != '\t' && r != '\r' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			return &Error{Line: line, Reason: fmt.Sprintf("the text holds the control character %U", r), Remedy: "remove it"}
		}
		i += size
	}
	return nil
}

// parseYAML reads exactly one YAML document.
func parseYAML(data []byte) (root *yaml.Node, fault *Error) {
	defer func() { // the parser has panicked on hostile text before: a refusal, not a crash
		if recover() != nil {
			root, fault = nil, &Error{Reason: "the text is not YAML", Remedy: "write name: value lines"}
		}
	}()
	if line := tabIndent(data); line > 0 {
		return nil, &Error{Line: line, Reason: "the line begins with a tab", Remedy: "indent with blanks"}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		return nil, &Error{Reason: "the document is empty", Remedy: "write at least practice, name and hosts"}
	} else if err != nil {
		return nil, yamlError(err)
	}
	if err := dec.Decode(&second); err == nil {
		return nil, &Error{Line: second.Line, Reason: "a second document begins here", Remedy: "write one document a file"}
	} else if !errors.Is(err, io.EOF) {
		return nil, yamlError(err)
	}
	return doc.Content[0], nil
}

// tabIndent is the first line whose indentation holds a tab, which YAML forbids and its parser reports confusingly.
func tabIndent(data []byte) int {
	for i, line := range bytes.Split(data, []byte("\n")) {
		indent := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
		if bytes.IndexByte(indent, '\t') >= 0 {
			return i + 1
		}
	}
	return 0
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// yamlError puts the parser's error into our form. Of its errors, those of grammar count lines from 0, those of spelling
// from 1.
func yamlError(err error) *Error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	e := &Error{Remedy: "look from that line on for a bracket, a quote or a colon"}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	if strings.HasPrefix(text, "did not find expected") {
		e.Line++
	}
	e.Line = max(1, e.Line)
	e.Reason = "the text is not YAML: " + text
	return e
}

// maxDepth is how deep mappings and lists may nest; the deepest field of a document is at 5.
const maxDepth = 12

// checkTree refuses what a document has no use for and what could grow or hide: anchors, aliases, tags, doubled keys.
func checkTree(n *yaml.Node, field string, depth int) *Error {
	switch {
	case depth > maxDepth:
		return &Error{Line: n.Line, Reason: "the document nests too deep", Remedy: "no field is that deep"}
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return &Error{Line: n.Line, Field: field, Reason: "the document uses an anchor or an alias", Remedy: "write the value out where it is meant"}
	case n.Style&yaml.TaggedStyle != 0:
		return &Error{Line: n.Line, Field: field, Reason: "the document uses the tag " + strconv.Quote(n.Tag), Remedy: "write the plain value"}
	}
	if n.Kind == yaml.MappingNode {
		if e := checkKeys(n, field); e != nil {
			return e
		}
	}
	for i, child := range n.Content {
		if e := checkTree(child, childField(n, i, field), depth+1); e != nil {
			return e
		}
	}
	return nil
}

// childField is the field that the i-th child of n stands for: a mapping's children are its keys and values in turn.
func childField(n *yaml.Node, i int, field string) string {
	switch n.Kind {
	case yaml.MappingNode:
		return join(field, n.Content[i&^1].Value)
	case yaml.SequenceNode:
		return field + "[" + strconv.Itoa(i) + "]"
	}
	return field
}

func checkKeys(n *yaml.Node, field string) *Error {
	first := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind == yaml.MappingNode || key.Kind == yaml.SequenceNode {
			return &Error{Line: key.Line, Field: field, Reason: "a field's name is not plain text", Remedy: "write name: value"}
		}
		if line, seen := first[key.Value]; seen {
			return &Error{Line: key.Line, Field: join(field, key.Value), Reason: fmt.Sprintf("is written twice, first in line %d", line),
				Remedy: "keep one of them"}
		}
		first[key.Value] = key.Line
	}
	return nil
}
