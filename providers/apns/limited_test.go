package apns

import (
	"encoding/pem"
	"net/http/httptest"
	"testing"

	"golang.org/x/net/http2"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/providertest"
)

// startLimited starts a fake that allows so many streams on a connection.
func startLimited(t *testing.T, s providertest.Service, streams uint32) providers.Provider {
	srv := httptest.NewUnstartedServer(s.Accept)
	if err := http2.ConfigureServer(srv.Config, &http2.Server{MaxConcurrentStreams: streams}); err != nil {
		t.Fatal(err)
	}
	srv.TLS = srv.Config.TLSConfig
	srv.StartTLS()
	t.Cleanup(srv.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	p := s.Open(t, srv.URL, ca)
	t.Cleanup(p.(*Provider).CloseIdleConnections)
	return p
}
