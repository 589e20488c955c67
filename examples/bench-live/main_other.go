//go:build !linux

// Command bench-live measures the live connection; it needs Linux.
package main

import "fmt"

func main() { fmt.Println("bench-live needs Linux") }
