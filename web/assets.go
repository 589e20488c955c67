package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

//go:embed static
var staticFiles embed.FS

// asset is one embedded file with its ETag and, made when first asked for, its
// gzipped form: the chart library is a third of its size then.
type asset struct {
	kind, etag string
	body       []byte
	gzipped    func() []byte
}

// newAssets serves /static/. Browsers keep the files and ask whether they have
// changed (304), so a new binary never meets an old script.
func newAssets() (http.Handler, error) {
	files := map[string]asset{}
	err := fs.WalkDir(staticFiles, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := staticFiles.ReadFile(name)
		if err != nil {
			return err
		}
		files["/"+name] = newAsset(name, body)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := files[path.Clean(r.URL.Path)]
		if !ok {
			http.NotFound(w, r)
			return
		}
		a.serve(w, r)
	}), nil
}

func newAsset(name string, body []byte) asset {
	sum := sha256.Sum256(body)
	kind := mime.TypeByExtension(path.Ext(name))
	if path.Ext(name) == ".js" {
		kind = "text/javascript; charset=utf-8" // not left to the machine's MIME table: nosniff is set
	}
	if kind == "" {
		kind = "text/plain; charset=utf-8"
	}
	return asset{
		kind: kind, etag: `"` + hex.EncodeToString(sum[:8]) + `"`, body: body,
		gzipped: sync.OnceValue(func() []byte {
			var buf bytes.Buffer
			z := gzip.NewWriter(&buf)
			z.Write(body) //nolint:errcheck // a bytes.Buffer takes everything
			z.Close()     //nolint:errcheck // likewise
			return buf.Bytes()
		}),
	}
}

func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", a.etag)
	h.Set("Vary", "Accept-Encoding")
	body := a.body
	if len(body) > 1024 && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = a.gzipped()
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
