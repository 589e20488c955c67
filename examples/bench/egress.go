package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// egressCase is one benchmark of the way out to a vendor and the line of it that
// the table shows, with the stock one of the same run beside it.
type egressCase struct {
	room, bench   string // package and benchmark, without the variant
	variant, unit string
	name, peer    string
	beside        string // the peer's variant; "" is "stock"
}

var egressCases = []egressCase{
	{"apns", "Egress", "own", "cpu-µs/op", "APNs request through apns2, processor, client alone", "apns2 on its own transport", ""},
	{"apns", "Egress", "own", "allocs/op", "  allocations of it", "apns2 on its own transport", ""},
	{"apns", "Egress", "provider", "cpu-µs/op", "APNs attempt, all that Herald does", "apns2 on its own transport", ""},
	{"apns", "ThousandStreams", "own", "req/s", "APNs, 1,000 under way on one connection, vendor 50 ms", "apns2 on its own transport", ""},
	{"apns", "ThousandStreams", "own", "cpu-µs/op", "  processor of one", "apns2 on its own transport", ""},
	{"apns", "ThousandStreams", "own", "allocs/op", "  allocations of one", "apns2 on its own transport", ""},
	{"fcm", "Egress", "own", "cpu-µs/op", "FCM request through Firebase's SDK, processor, client alone", "Firebase as it comes", ""},
	{"fcm", "Egress", "own", "allocs/op", "  allocations of it", "Firebase as it comes", ""},
	{"fcm", "Egress", "own", "cpu-µs/op", "  beside the SDK without Google's telemetry", "Firebase on Go's transport", "plain"},
	{"fcm", "Egress", "provider", "cpu-µs/op", "FCM attempt, all that Herald does", "Firebase as it comes", ""},
}

// egress runs the providers' own benchmarks, which have the vendor in another
// process, so that what is told is the client's alone.
func (o options) egress(ctx context.Context) ([]figure, error) {
	results := map[string][]float64{} // "apns Egress/own cpu-µs/op" → runs
	for _, room := range []string{"apns", "fcm"} {
		fmt.Fprintf(os.Stderr, "  the way out to %s, %d runs\n", room, o.runs)
		cmd := exec.CommandContext(ctx, "go", "test", "./providers/"+room, "-run", "^$",
			"-bench", "Egress|ThousandStreams", "-benchtime", "50000x", "-count", strconv.Itoa(o.runs))
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("benchmarks of %s: %w\n%s", room, err, out)
		}
		readBenchmarks(room, out, results)
	}
	var figures []figure
	for _, c := range egressCases {
		key := c.room + " " + c.bench + "/%s " + c.unit
		values, stock := results[fmt.Sprintf(key, c.variant)], results[fmt.Sprintf(key, cmp.Or(c.beside, "stock"))]
		if len(values) == 0 || len(stock) == 0 {
			return nil, fmt.Errorf("benchmarks of %s do not tell %s of %s", c.room, c.unit, c.bench)
		}
		unit := strings.TrimPrefix(strings.TrimSuffix(c.unit, "/op"), "cpu-")
		figures = append(figures, of(c.name, unit, values).Against(c.peer, of("", "", stock).Value))
	}
	return figures, nil
}

// readBenchmarks takes the lines of `go test -bench` apart: a name, a count, then
// values with their units.
func readBenchmarks(room string, out []byte, results map[string][]float64) {
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(words[0], "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i > 0 { // behind it is GOMAXPROCS
			name = name[:i]
		}
		for i := 2; i+1 < len(words); i += 2 {
			if v, err := strconv.ParseFloat(words[i], 64); err == nil {
				key := room + " " + name + " " + words[i+1]
				results[key] = append(results[key], v)
			}
		}
	}
}
