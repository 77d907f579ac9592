package page

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"strings"
)

// AssetPrefix is where the assets are served, on every host and without a session: also the page for an
// unknown address asks for its stylesheet here.
const AssetPrefix = "/.gate/assets/"

// AssetCacheControl fits every asset: its name changes with its content.
const AssetCacheControl = "public, max-age=31536000, immutable"

//go:embed assets/gate.css
var stylesheet []byte

//go:embed assets/gate.svg
var icon []byte

type asset struct {
	content     []byte
	contentType string
}

// assets by file name below AssetPrefix.
var assets = map[string]asset{}

// StylesheetPath and IconPath are the URLs that the pages name, such as /.gate/assets/gate-0123456789abcdef.css.
// They are set once, at start.
var (
	StylesheetPath = publish("css", "text/css; charset=utf-8", stylesheet)
	IconPath       = publish("svg", "image/svg+xml", icon)
)

// publish names an asset after its content, so that it may be cached for ever and never be stale.
func publish(ending, contentType string, content []byte) string {
	sum := sha256.Sum256(content)
	name := "gate-" + hex.EncodeToString(sum[:8]) + "." + ending
	assets[name] = asset{content: content, contentType: contentType}
	return AssetPrefix + name
}

// Asset returns the asset of that file name (the part of the URL after AssetPrefix; the whole path works too).
// The content is shared: read it, do not change it.
func Asset(name string) (content []byte, contentType string, ok bool) {
	a, ok := assets[strings.TrimPrefix(name, AssetPrefix)]
	return a.content, a.contentType, ok
}
