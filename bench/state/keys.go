package state

import (
	"math"
	"math/rand/v2"
)

// keys draws keys from [0, n).
type keys struct {
	r    *rand.Rand
	n    int64
	zipf bool

	theta, alpha, zeta, eta float64
}

// newKeys draws evenly, or by Zipf's law with exponent theta (Gray et al., "Quickly
// generating billion-record synthetic databases").
func newKeys(n int64, theta float64, seed uint64) *keys {
	k := &keys{r: rand.New(rand.NewPCG(seed, 11)), n: n, zipf: theta > 0, theta: theta}
	if !k.zipf {
		return k
	}
	for i := int64(1); i <= n; i++ {
		k.zeta += math.Pow(1/float64(i), theta)
	}
	k.alpha = 1 / (1 - theta)
	k.eta = (1 - math.Pow(2/float64(n), 1-theta)) / (1 - (1+math.Pow(0.5, theta))/k.zeta)
	return k
}

// next is a key. Those that are drawn often are spread over all keys.
func (k *keys) next() int64 {
	if !k.zipf {
		return k.r.Int64N(k.n)
	}
	u := k.r.Float64()
	uz, rank := u*k.zeta, int64(0)
	switch {
	case uz < 1:
	case uz < 1+math.Pow(0.5, k.theta):
		rank = 1
	default:
		rank = min(int64(float64(k.n)*math.Pow(k.eta*u-k.eta+1, k.alpha)), k.n-1)
	}
	return int64(uint64(rank) * 0x9e3779b97f4a7c15 % uint64(k.n))
}
