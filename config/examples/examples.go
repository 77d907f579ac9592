// Package examples holds the practice documents that the demo and the
// documentation use.
package examples

import "embed"

// Files are the documents, NAME.yaml.
//
//go:embed *.yaml
var Files embed.FS
