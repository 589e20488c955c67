package brain

import "math"

// curves are tables of the two functions that a decision needs many times:
// reading one costs a tenth of computing it, and is exact to four digits.
type curves struct {
	sigmoid [steps + 2]float32
	normal  [steps + 2]float32
}

const (
	reach = 12 // beyond it both functions are 0 or 1
	steps = 2 * reach * 64
)

func newCurves() *curves {
	c := &curves{}
	for i := range c.sigmoid {
		x := float64(i)*(2*reach)/steps - reach
		c.sigmoid[i] = float32(1 / (1 + math.Exp(-x)))
		c.normal[i] = float32(math.Erfc(-x/math.Sqrt2) / 2)
	}
	return c
}

// chance turns logits into a probability.
func (c *curves) chance(x float32) float32 { return read(&c.sigmoid, x) }

// below is the probability that a standard normal lies below x.
func (c *curves) below(x float32) float32 { return read(&c.normal, x) }

func read(table *[steps + 2]float32, x float32) float32 {
	at := (min(max(x, -reach), reach) + reach) * (steps / (2 * reach))
	i := int(at)
	part := at - float32(i)
	return table[i] + part*(table[i+1]-table[i])
}

// sqrt is math.Sqrt for float32; the compiler makes one instruction of it.
func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }
