package page_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// node is one element of a rendered page.
type node struct {
	name     string
	attrs    map[string]string
	text     string // of itself and everything in it
	children []*node
	parent   *node
}

// parse reads a page strictly enough that an unbalanced tag, a stray quote or a control character fails.
func parse(t testing.TB, html string) *node {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(html))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	root := &node{}
	at := root
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not well formed: %v", err)
		}
		switch e := tok.(type) {
		case xml.StartElement:
			n := &node{name: e.Name.Local, attrs: map[string]string{}, parent: at}
			for _, a := range e.Attr {
				if _, twice := n.attrs[a.Name.Local]; twice {
					t.Errorf("<%s> has %s twice", n.name, a.Name.Local)
				}
				n.attrs[a.Name.Local] = a.Value
			}
			at.children = append(at.children, n)
			at = n
		case xml.EndElement:
			if e.Name.Local != at.name {
				t.Fatalf("</%s> ends <%s>", e.Name.Local, at.name)
			}
			at = at.parent
		case xml.CharData:
			for n := at; n != nil; n = n.parent {
				n.text += string(e)
			}
		}
	}
	if at != root {
		t.Fatalf("<%s> is not ended", at.name)
	}
	return root
}

// all returns the elements of these names in document order; no name means every element.
func (n *node) all(names ...string) []*node {
	var out []*node
	for _, c := range n.children {
		match := len(names) == 0
		for _, name := range names {
			match = match || c.name == name
		}
		if match {
			out = append(out, c)
		}
		out = append(out, c.all(names...)...)
	}
	return out
}

func (n *node) has(attr string) bool { _, ok := n.attrs[attr]; return ok }

// byID returns the page's elements with an id.
func (n *node) byID(t testing.TB) map[string]*node {
	t.Helper()
	ids := map[string]*node{}
	for _, e := range n.all() {
		if id := e.attrs["id"]; id != "" {
			if ids[id] != nil {
				t.Errorf("id %q is there twice", id)
			}
			ids[id] = e
		}
	}
	return ids
}
