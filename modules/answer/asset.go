package answer

import (
	"net/http"
	"strings"

	"clinicgate/modules/login/page"
)

// IsAsset reports the address of the pages' stylesheet or icon. They are served on
// any host and to anybody: the page that says "we do not know this address" needs
// them too.
func IsAsset(r *http.Request) bool {
	return strings.HasPrefix(r.RequestURI, page.AssetPrefix) && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// Asset serves the stylesheet or the icon under a name that changes with its content.
func (a *Answers) Asset(w http.ResponseWriter, r *http.Request) error {
	content, kind, found := page.Asset(r.RequestURI)
	if !found {
		return a.Refuse(w, r, NotFound)
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", page.AssetCacheControl)
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(content)
	return nil
}
