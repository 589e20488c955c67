package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestConfigComesFromFileThenEnvironment(t *testing.T) {
	path := writeConfig(t, `
roles: [api, worker]
redis: { url: redis://file:6379/0 }
selector: { half_life: 6h, explore: 0.3 }
`)
	c, err := loadConfig(path, []string{
		"HERALD_REDIS_URL=redis://environment:6379/1",
		"HERALD_SELECTOR_HALF_LIFE=2h",
		"HERALD_ROLES=api,conn",
		"HERALD_API_SERVICE_HOST=10.0.0.1", // Kubernetes adds such; not ours
		"PATH=/bin",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Redis.URL != "redis://environment:6379/1" {
		t.Errorf("redis.url = %q, want the environment's", c.Redis.URL)
	}
	if c.Selector.HalfLife != 2*time.Hour || c.Selector.Explore != 0.3 {
		t.Errorf("selector = %+v, want half_life from the environment and explore from the file", c.Selector)
	}
	if c.Selector.Window != defaultConfig().Selector.Window {
		t.Errorf("selector.window = %v, want the default", c.Selector.Window)
	}
	if c.does(roleWorker) || !c.does(roleConn) {
		t.Errorf("roles = %v, want the environment's in place of the file's", c.Roles)
	}
}

func TestConfigNamesEveryFaultUnderItsKey(t *testing.T) {
	path := writeConfig(t, `
role: [api]
selector: { half_live: 6h, window: 1s }
log: { level: loud }
egress: snail
roles: [api, cook]
`)
	c, err := loadConfig(path, nil)
	for _, want := range []string{"role: unknown key", "selector.half_live: unknown key"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("loadConfig() = %v, want %q in it", err, want)
		}
	}
	err = c.Validate()
	for _, want := range []string{"selector.window:", "log.level:", "egress:", `roles: "cook"`, "redis.url: missing", "database.url: missing", "sealing:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate() = %v, want %q in it", err, want)
		}
	}
}

func TestDefaultConfigHasNoFaultsOfItsOwn(t *testing.T) {
	c := defaultConfig()
	c.Redis.URL, c.Database.URL, c.Sealing.KeyFile = "redis://localhost", "sqlite:x", "key"
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestMaskURLHidesPasswords(t *testing.T) {
	tests := map[string]string{
		"redis://:s3cret@host:6379/0":       "redis://:***@host:6379/0",
		"postgres://me:p@ss@db/herald":      "postgres://me:***@db/herald",
		"redis://localhost:6379":            "redis://localhost:6379",
		"host=db password=s3cret user=root": "(not a URL)",
	}
	for raw, want := range tests {
		if got := maskURL(raw); got != want {
			t.Errorf("maskURL(%q) = %q, want %q", raw, got, want)
		}
	}
}

func writeConfig(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "herald.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
