// Package config reads and writes the documents that people edit, the practice's policy and platform.yaml: strictly, with
// safe defaults, and with errors that name the file, the line, the field and what to write instead.
package config

import (
	"clinicgate/policy"
)

// maxSize is the largest document read, in bytes.
const maxSize = 1 << 20

// DecodeDocument reads one practice's policy from YAML or JSON and fills in the defaults. file names the source in errors
// and is not opened. Whatever is wrong is in the error, an [Errors]; errors.As finds the first as an [*Error]. What depends
// on the platform (its floor, its regions) is for [policy.Compile] or [LoadDocument].
func DecodeDocument(file string, data []byte) (policy.Document, error) {
	d, l, err := decodeDocument(file, data)
	if err != nil {
		return policy.Document{}, err
	}
	if err := l.locate(d.Check()); err != nil {
		return policy.Document{}, err
	}
	return d, nil
}

// LoadDocument is DecodeDocument, and checks the document against the platform too, so that being below the floor is an
// error with its line.
func LoadDocument(file string, data []byte, pf policy.Platform) (policy.Document, error) {
	d, l, err := decodeDocument(file, data)
	if err != nil {
		return policy.Document{}, err
	}
	if err := l.locate(d.Validate(pf)); err != nil {
		return policy.Document{}, err
	}
	return d, nil
}

// DecodePlatform reads platform.yaml as DecodeDocument reads a policy.
func DecodePlatform(file string, data []byte) (policy.Platform, error) {
	pf := defaultPlatform()
	l, err := decode(file, data, &pf)
	if err != nil {
		return policy.Platform{}, err
	}
	if err := l.locate(pf.Validate()); err != nil {
		return policy.Platform{}, err
	}
	return pf, nil
}

func decodeDocument(file string, data []byte) (policy.Document, lines, error) {
	d := defaultDocument()
	l, err := decode(file, data, &d)
	if err != nil {
		return policy.Document{}, lines{}, err
	}
	fillDocument(&d, l)
	return d, l, nil
}

func decode(file string, data []byte, into any) (lines, error) {
	root, err := parse(file, data)
	if err != nil {
		return lines{}, err
	}
	r := newReader(file)
	r.document(root, into)
	if len(r.errs) > 0 {
		return lines{}, r.errs.sorted()
	}
	return r.lines, nil
}
