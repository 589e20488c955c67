package custom

import (
	"embed"
	"strings"
)

//go:embed examples/*.json
var examples embed.FS

// Examples are configurations to begin with, by the service's name: "getui",
// "jpush" and "umeng". Each says where its facts come from and when they were
// read. The values of vars are placeholders, which New refuses.
func Examples() map[string][]byte {
	out := map[string][]byte{}
	files, _ := examples.ReadDir("examples") // it is part of the program
	for _, f := range files {
		b, _ := examples.ReadFile("examples/" + f.Name())
		out[strings.TrimSuffix(f.Name(), ".json")] = b
	}
	return out
}
