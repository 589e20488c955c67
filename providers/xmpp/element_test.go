package xmpp

import (
	"strings"
	"testing"
)

// FuzzReader holds that whatever a server sends, reading ends, keeps to its
// bounds and files nothing that was not sealed by us.
func FuzzReader(f *testing.F) {
	const header = `<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='s1'>`
	f.Add(header + `<handshake/> <message type='error' id='n1.0.0' to='a/b.c.d' from='x'><error><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>`)
	f.Add(header + `<message to='a/b' from='x'><received xmlns='urn:xmpp:receipts' id='n1.0.0'/></message></stream:stream>`)
	f.Add(header + `<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>`)
	f.Add(`<!DOCTYPE x [<!ENTITY a "aaaa">]>` + header + `&a;`)
	f.Add(header + strings.Repeat("<a>", 40))
	p := openAt(f, "127.0.0.1:1", "", map[string]any{"tls": false})
	h := hear(p)
	f.Fuzz(func(t *testing.T, sent string) {
		r := newReader(strings.NewReader(sent))
		if _, err := r.open(); err != nil {
			return
		}
		for {
			e, err := r.next()
			if err != nil {
				break
			}
			if depthOf(e) > maxDepth {
				t.Errorf("a stanza of depth %d", depthOf(e))
			}
			p.message(e)
			_ = p.streamError(e).Error()
		}
		h.Lock()
		defer h.Unlock()
		if len(h.receipts) != 0 {
			t.Errorf("receipts %+v", h.receipts)
		}
	})
}

func depthOf(e *element) int {
	deepest := 0
	for _, c := range e.children {
		deepest = max(deepest, depthOf(c))
	}
	return deepest + 1
}
