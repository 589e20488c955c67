package web

import (
	"net/http"
	"net/url"
	"strings"
)

// guard sets the headers that bound what a page may do, and refuses changes
// that another site sends (by Sec-Fetch-Site or Origin), session or not.
func (s *site) guard(next http.Handler) http.Handler {
	policy := contentPolicy(s.WebSocket)
	var sameSite http.CrossOriginProtection
	return sameSite.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		if s.Secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if !strings.HasPrefix(r.URL.Path, "/static/") {
			h.Set("Cache-Control", "no-store")
		}
		next.ServeHTTP(w, r)
	}))
}

// contentPolicy allows our own files only: no inline script, no inline style
// (styles set through the DOM's API, as ECharts does, are not inline), and
// connections to ourselves and to the live connection's origin.
func contentPolicy(webSocket string) string {
	connect := "'self'"
	if u, err := url.Parse(webSocket); err == nil && u.Host != "" {
		connect += " " + u.Scheme + "://" + u.Host
	}
	return strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'",
		"connect-src " + connect, "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
	}, "; ")
}
