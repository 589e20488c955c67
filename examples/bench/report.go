package main

import "github.com/herald-push/herald/examples/figures"

type figure = figures.Figure

// of makes a figure of what the runs measured.
func of(name, unit string, values []float64) figure { return figures.Of(name, unit, values) }
