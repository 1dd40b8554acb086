package embedded

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"regexp"
	"strings"

	"github.com/temporalio/ui-server/v2/ui"
)

// page serves the files of the UI: what exists as a file, and index.html for every other path, since the application
// makes its own routes of them.
type page struct {
	assets fs.FS
	files  http.Handler
	index  []byte
	policy string // Content-Security-Policy
}

var (
	inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)
	policyMeta   = regexp.MustCompile(`(?i)<meta http-equiv="content-security-policy"[^>]*>`)
)

// The places in index.html that say below which path the UI is mounted.
const (
	basePlace  = `base: ""`
	assetPlace = `"/_app/`
)

// loadPage prepares index.html for prefix. The policy inside the file names the hash of its one inline script, which the
// prefix changes; so it is replaced by a header with the hash of the changed script.
func loadPage(prefix string) (*page, error) {
	all, err := ui.Assets()
	if err != nil {
		return nil, err
	}
	assets, err := fs.Sub(all, "local")
	if err != nil {
		return nil, err
	}
	index, err := fs.ReadFile(assets, "index.html")
	if err != nil {
		return nil, err
	}
	for _, place := range []string{basePlace, assetPlace} {
		if !bytes.Contains(index, []byte(place)) {
			return nil, fmt.Errorf("index.html of this ui-server has no %s to set the public path at", place)
		}
	}
	text := strings.NewReplacer(basePlace, fmt.Sprintf("base: %q", prefix), assetPlace, `"`+prefix+`/_app/`).
		Replace(string(index))
	text = policyMeta.ReplaceAllString(text, "")
	return &page{assets: assets, files: http.FileServerFS(assets), index: []byte(text), policy: contentPolicy(text)}, nil
}

// contentPolicy allows what the UI needs: everything from the node itself, and the inline scripts of index by hash.
func contentPolicy(index string) string {
	scripts := "'self'"
	for _, m := range inlineScript.FindAllStringSubmatch(index, -1) {
		sum := sha256.Sum256([]byte(m[1]))
		scripts += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return strings.Join([]string{
		"default-src 'self'", "script-src " + scripts, "style-src 'self' 'unsafe-inline'", "img-src 'self' data: blob:",
		"font-src 'self' data:", "worker-src 'self' blob:", "object-src 'none'", "base-uri 'self'", "form-action 'self'",
		"frame-ancestors 'self'",
	}, "; ")
}

// ServeHTTP implements http.Handler.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	info, err := fs.Stat(p.assets, name)
	if err != nil || info.IsDir() || name == "index.html" {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(p.index) // the browser is gone: nobody to tell
		return
	}
	if strings.HasPrefix(name, "_app/immutable/") {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	p.files.ServeHTTP(w, r)
}
