package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// jsonTree builds the tree that the same document would have in YAML. encoding/json alone would let doubled keys pass and
// forget the lines.
type jsonTree struct {
	dec     *json.Decoder
	data    []byte
	line    int   // line of offset
	counted int64 // how far lines are counted
}

// parseJSON reads one JSON object and nothing behind it.
func parseJSON(data []byte) (*yaml.Node, *Error) {
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		e := &Error{Line: 1, Reason: "the text is not JSON: " + err.Error(), Remedy: "look at that line and the one before"}
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			e.Line += bytes.Count(data[:min(syntax.Offset, int64(len(data)))], []byte("\n"))
		}
		return nil, e
	}
	t := &jsonTree{dec: json.NewDecoder(bytes.NewReader(data)), data: data, line: 1}
	t.dec.UseNumber()
	n, err := t.value(0)
	if err != nil {
		return nil, &Error{Line: t.line, Reason: "the text is not JSON: " + err.Error(), Remedy: "look at that line"}
	}
	return n, nil
}

func (t *jsonTree) next() (json.Token, error) {
	token, err := t.dec.Token()
	end := t.dec.InputOffset()
	t.line += bytes.Count(t.data[t.counted:end], []byte("\n"))
	t.counted = end
	return token, err
}

func (t *jsonTree) value(depth int) (*yaml.Node, error) {
	token, err := t.next()
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: t.line}
	switch v := token.(type) {
	case json.Delim:
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		if v == '{' {
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
		}
		if depth > maxDepth {
			return n, nil // checkTree refuses it; what is left of the text is not read
		}
		return n, t.children(n, depth)
	case string:
		n.Tag, n.Value, n.Style = "!!str", v, yaml.DoubleQuotedStyle
	case json.Number:
		n.Tag, n.Value = "!!int", v.String()
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(v)
	case nil:
		n.Tag, n.Value = "!!null", "null"
	}
	return n, nil
}

// children reads up to the closing bracket; in an object the decoder hands out keys and values in turn.
func (t *jsonTree) children(n *yaml.Node, depth int) error {
	for t.dec.More() {
		child, err := t.value(depth + 1)
		if err != nil {
			return err
		}
		n.Content = append(n.Content, child)
	}
	_, err := t.next()
	return err
}
