//go:build !race

package h2

// tortures is how many requests the torture test sends.
const tortures = 50_000
