package web

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestNobodySeesAPageWithoutSigningIn(t *testing.T) {
	h := open(t, &fake{lively: true})
	for _, path := range []string{"/", "/?window=7d", "/notifications/a", "/notifications/a/deliveries/b", "/sandbox", "/demo/device", "/demo/chat", "/nowhere"} {
		res, body := h.stranger(t).get(path)
		if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(res.Header.Get("Location"), "/login?next=") {
			t.Errorf("GET %s: %s to %q, want a redirect to /login", path, res.Status, res.Header.Get("Location"))
		}
		if strings.Contains(body, "order-8812") {
			t.Errorf("GET %s shows a stranger what was sent", path)
		}
	}
	for _, path := range []string{"/data/overview", "/data/overview/stream", "/data/overview/funnel.csv"} {
		if res, _ := h.stranger(t).get(path); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("GET %s: %s, want 401", path, res.Status)
		}
	}
}

func TestALoginLinkWorksOnce(t *testing.T) {
	h := open(t, &fake{lively: true})
	link := strings.TrimPrefix(h.link(), h.url)
	v := h.stranger(t)
	res, _ := v.get(link)
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/" {
		t.Fatalf("first use: %s to %q, want a redirect to /", res.Status, res.Header.Get("Location"))
	}
	cookie := res.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
		t.Errorf("cookie %v, want HttpOnly and SameSite=Lax", cookie)
	}
	if res, _ := v.get("/"); res.StatusCode != http.StatusOK {
		t.Errorf("overview after login: %s", res.Status)
	}
	if res, body := h.stranger(t).get(link); res.StatusCode != http.StatusOK || !strings.Contains(body, "This link was used") {
		t.Errorf("second use by another browser: %s, want the form with a reason", res.Status)
	}
	if res, _ := v.get(link); res.Header.Get("Location") != "/" {
		t.Errorf("second use by the same browser: %s, want the overview", res.Status)
	}
}

func TestALinkEndsWithItsLife(t *testing.T) {
	now := time.Unix(1e9, 0)
	links := NewLinks(func() time.Time { return now })
	token := links.Make(Identity{Name: "operator"}, time.Minute)
	now = now.Add(time.Minute)
	if _, err := links.Spend(token); !errors.Is(err, ErrDenied) {
		t.Errorf("Spend after a minute: %v, want ErrDenied", err)
	}
}

func TestLoginByKey(t *testing.T) {
	h := open(t, &fake{lively: true})
	v := h.stranger(t)
	_, page := v.get("/login?next=/sandbox")
	if res, body := v.post("/login", url.Values{"key": {"hk_wrong_s3cret"}, "csrf": {csrfOf(page)}}); res.StatusCode != http.StatusForbidden || strings.Contains(body, "s3cret") {
		t.Errorf("wrong key: %s, want 403 and no echo of the key", res.Status)
	}
	if res, _ := v.post("/login", url.Values{"key": {"hk_admin"}}); res.StatusCode != http.StatusForbidden {
		t.Errorf("login form without CSRF token: %s, want 403", res.Status)
	}
	res, _ := v.post("/login", url.Values{"key": {" hk_admin\n"}, "csrf": {csrfOf(page)}, "next": {"/sandbox"}})
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/sandbox" {
		t.Errorf("right key: %s to %q, want a redirect to /sandbox", res.Status, res.Header.Get("Location"))
	}
	if res, _ := v.get("/?app=bank"); res.StatusCode != http.StatusNotFound {
		t.Errorf("another app with a key of demo: %s, want 404", res.Status)
	}
}

func TestSigningOutEndsTheCookieEverywhere(t *testing.T) {
	h := open(t, &fake{lively: true})
	v := h.operator(t)
	_, page := v.get("/")
	home, err := url.Parse(h.url)
	if err != nil {
		t.Fatal(err)
	}
	stolen := v.http.Jar.Cookies(home)
	if res, _ := v.post("/logout", url.Values{"csrf": {csrfOf(page)}}); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("logout: %s", res.Status)
	}
	thief := h.stranger(t)
	thief.http.Jar.SetCookies(home, stolen)
	if res, _ := thief.get("/"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("overview with the cookie of before: %s, want a redirect", res.Status)
	}
}

func TestAForgedCookieIsNoSession(t *testing.T) {
	now := func() time.Time { return time.Unix(1e9, 0) }
	ours := newSessions([]byte(strings.Repeat("a", 32)), false, now)
	tests := map[string]func(string) string{
		"signed with another key": func(string) string {
			rec := httptest.NewRecorder()
			newSessions([]byte(strings.Repeat("b", 32)), false, now).start(rec, Identity{Kind: "link", Name: "x"})
			return rec.Result().Cookies()[0].Value
		},
		"one letter changed": func(v string) string { return "A" + v[1:] },
		"no signature":       func(v string) string { text, _, _ := strings.Cut(v, "."); return text },
		"empty":              func(string) string { return "" },
	}
	for name, forge := range tests {
		t.Run(name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			ours.start(rec, Identity{Name: "x"})
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.AddCookie(&http.Cookie{Name: cookieName, Value: forge(rec.Result().Cookies()[0].Value)})
			if s := ours.read(r); s != nil {
				t.Errorf("read() = %+v, want no session", s)
			}
		})
	}
}

func TestASessionEnds(t *testing.T) {
	now := time.Unix(1e9, 0)
	ss := newSessions([]byte(strings.Repeat("a", 32)), true, func() time.Time { return now })
	rec := httptest.NewRecorder()
	ss.start(rec, Identity{Name: "x"})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.AddCookie(rec.Result().Cookies()[0])
	if ss.read(r) == nil || !rec.Result().Cookies()[0].Secure {
		t.Fatal("a fresh session does not hold or is not for HTTPS only")
	}
	now = now.Add(sessionLife)
	if ss.read(r) != nil {
		t.Error("the session holds after its life")
	}
}

func TestPathsAfterLoginStayHere(t *testing.T) {
	for given, want := range map[string]string{
		"/sandbox": "/sandbox", "/?window=1h": "/?window=1h", "": "/", "//evil.example": "/", `/\evil.example`: "/",
		"https://evil.example": "/", "/\t/evil.example": "/", "/login?next=/": "/",
	} {
		if got := localPath(given); got != want {
			t.Errorf("localPath(%q) = %q, want %q", given, got, want)
		}
	}
}
