package apns

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/providertest"
)

// startLimited starts a fake that allows so many streams on a connection.
func startLimited(t *testing.T, s providertest.Service, streams int) providers.Provider {
	srv := httptest.NewUnstartedServer(s.Accept)
	srv.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: streams}
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	p := s.Open(t, srv.URL, ca)
	t.Cleanup(p.(*Provider).CloseIdleConnections)
	return p
}
