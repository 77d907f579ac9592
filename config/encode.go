package config

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"

	"clinicgate/policy"
)

// EncodeDocument writes d as canonical YAML: every field with its value, in the order of the schema, the same bytes for
// the same document. DecodeDocument reads it back as d.
func EncodeDocument(d policy.Document) ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(d); err != nil {
		return nil, fmt.Errorf("writing the policy of %s: %w", d.Practice, err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("writing the policy of %s: %w", d.Practice, err)
	}
	return b.Bytes(), nil
}
