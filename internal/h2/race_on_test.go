//go:build race

package h2

// tortures is how many requests the torture test sends: the race detector makes
// each cost ten times as much.
const tortures = 5000
