// Package config reads and writes the documents that people edit, the practice's policy and platform.yaml: strictly, with
// safe defaults, and with errors that name the file, the line, the field and what to write instead.
package config

import (
	"clinicgate/policy"
)

// maxSize is the largest document read, in bytes.
const maxSize = 1 << 20

// DecodeDocument reads one practice's policy from YAML or JSON and fills in the defaults. file names the source in errors
// and is not opened. All that is wrong is in the error, an [Errors]; errors.As finds the first as an [*Error]. What depends
// on the platform (its floor, its regions) is for [policy.Compile] or [LoadDocument].
func DecodeDocument(file string, data []byte) (policy.Document, error) {
	return decodeDocument(file, data, policy.Document.Check)
}

// LoadDocument is DecodeDocument, and checks the document against the platform too, so that being below the floor is an
// error with its line.
func LoadDocument(file string, data []byte, pf policy.Platform) (policy.Document, error) {
	return decodeDocument(file, data, func(d policy.Document) []policy.Problem { return d.Validate(pf) })
}

// Line is where a policy that LoadDocument accepts says a field, from 1: for what is found wrong with it later.
func Line(file string, data []byte, field string) int {
	d := defaultDocument()
	r, err := decode(file, data, &d)
	if err != nil {
		return 0
	}
	return r.lines.line(field)
}

// DecodePlatform reads platform.yaml as DecodeDocument reads a policy.
func DecodePlatform(file string, data []byte) (policy.Platform, error) {
	pf := defaultPlatform()
	r, err := decode(file, data, &pf)
	if err != nil {
		return policy.Platform{}, err
	}
	if err := r.verdict(pf.Validate()); err != nil {
		return policy.Platform{}, err
	}
	return pf, nil
}

func decodeDocument(file string, data []byte, check func(policy.Document) []policy.Problem) (policy.Document, error) {
	d := defaultDocument()
	r, err := decode(file, data, &d)
	if err != nil {
		return policy.Document{}, err
	}
	fillDocument(&d, r.lines)
	if err := r.verdict(check(d)); err != nil {
		return policy.Document{}, err
	}
	return d, nil
}

// decode fills into from data. The error is about the text; what is wrong with the fields is in the reader's verdict.
func decode(file string, data []byte, into any) (*reader, error) {
	root, err := parse(file, data)
	if err != nil {
		return nil, err
	}
	r := newReader(file)
	r.document(root, into)
	return r, nil
}
