package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/herald-push/herald/providers/sandbox"
)

// sandboxCmd plays the vendors for a Herald that runs elsewhere, or for anybody
// else's client.
type sandboxCmd struct {
	Host    string         `default:"127.0.0.1" help:"Where to listen. Its keys are no secret to whoever reaches it."`
	Control int            `default:"8089" help:"Port of the control API; 0 takes any."`
	Port    map[string]int `mapsep:"," help:"Ports of vendors, such as apns=2197,fcm=8443. Default: any free one, the same again where --dir remembers it."`
	Dir     string         `type:"path" help:"Folder that keeps keys and ports, so that credentials outlive a restart."`
	CAFile  string         `name:"ca-file" type:"path" help:"Where to write the certificate that clients must trust. Default: ca.pem in --dir, or else in a new temporary folder."`
	JSON    bool           `name:"json" help:"Print addresses and credentials as JSON."`
}

// Help is the long help.
func (sandboxCmd) Help() string {
	return `Plays APNs, FCM, text messages, Huawei, Honor, Xiaomi, OPPO, vivo, Meizu, Web Push, JPush, a short message
service centre (SMPP) and an XMPP server on this machine, for Herald or any other client. Example:

  herald sandbox --port apns=2197 --ca-file ca.pem
  curl --cacert ca.pem https://127.0.0.1:2197/3/device/x       what Apple says to that
  curl -H 'Content-Type: application/json' http://127.0.0.1:8089/sandbox/apns/faults \
       -d '{"rules":[{"skip":2,"times":3,"do":{"code":"TooManyRequests","retry_after_s":9}}]}'
  curl http://127.0.0.1:8089/sandbox/apns/requests             what came, and what was answered

docs/sandbox.md tells the rest.`
}

func (s *sandboxCmd) Run(ctx context.Context, std streams) error {
	ports := map[string]int{"control": s.Control}
	for vendor, port := range s.Port {
		if !slices.Contains(sandbox.Vendors[:], vendor) {
			return fmt.Errorf("--port: no vendor is named %q; there are %s", vendor, strings.Join(sandbox.Vendors[:], ", "))
		}
		ports[vendor] = port
	}
	box, err := sandbox.New(sandbox.Config{
		Host: s.Host, Dir: s.Dir, Ports: ports, Log: slog.New(slog.NewTextHandler(std.err, nil)),
	})
	if err != nil {
		return err
	}
	ca, forget, err := s.writeCA(box.CA())
	if err != nil {
		return err
	}
	defer forget()
	if err := s.show(std.out, box, ca); err != nil {
		return err
	}
	return box.Run(ctx)
}

// writeCA writes the certificate and returns its path; forget removes it if it
// has no place of its own.
func (s *sandboxCmd) writeCA(pem string) (path string, forget func(), err error) {
	forget = func() {}
	switch {
	case s.CAFile != "":
		path = s.CAFile
	case s.Dir != "":
		path = filepath.Join(s.Dir, "ca.pem")
	default:
		dir, err := os.MkdirTemp("", "herald-sandbox-")
		if err != nil {
			return "", forget, err
		}
		forget = func() { _ = os.RemoveAll(dir) }
		path = filepath.Join(dir, "ca.pem")
	}
	if err := os.WriteFile(path, []byte(pem), 0o644); err != nil { //nolint:gosec // a certificate is for everybody
		forget()
		return "", func() {}, err
	}
	return path, forget, nil
}

// sandboxVendor is one vendor in the output of --json.
type sandboxVendor struct {
	URL         string          `json:"url"`
	Credentials json.RawMessage `json:"credentials"`
}

func (s *sandboxCmd) show(w io.Writer, box *sandbox.Sandbox, ca string) error {
	if s.JSON {
		all := map[string]sandboxVendor{}
		for _, name := range sandbox.Vendors {
			all[name] = sandboxVendor{box.URL(name), box.Credentials(name)}
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"control": box.ControlURL(), "ca_file": ca, "vendors": all})
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range sandbox.Vendors {
		fmt.Fprintf(t, "%s\t%s\t%s\n", name, box.URL(name), brief(box.Credentials(name)))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, `
certificate to trust  %[2]s
whole credentials     herald sandbox --json, or curl %[1]s/control/credentials/apns
what came             curl %[1]s/sandbox/apns/requests
faults                POST %[1]s/sandbox/{vendor}/faults; settings: %[1]s/control/vendors
`, box.ControlURL(), ca)
	return err
}

// brief is the short values of credentials, without what every vendor has and
// what fills a screen.
func brief(credentials json.RawMessage) string {
	var fields map[string]any
	if json.Unmarshal(credentials, &fields) != nil {
		return ""
	}
	if account, ok := fields["service_account"].(map[string]any); ok { // Google's
		fields["project_id"], fields["client_email"] = account["project_id"], account["client_email"]
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		switch value := fields[name].(type) {
		case string:
			if name != "endpoint" && len(value) <= 48 && value != "" {
				words = append(words, name+"="+value)
			}
		case float64:
			words = append(words, fmt.Sprintf("%s=%v", name, value))
		}
	}
	return strings.Join(words, " ")
}
