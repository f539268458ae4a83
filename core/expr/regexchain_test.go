package expr

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
)

// A chain finds what package regexp finds, in texts of few letters, so that much is nearly
// there, and of bytes that are no UTF-8.
func TestChainFindsWhatRegexpFinds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, pattern := range []string{
		`(&|^)ab=([^&]*)`, `(?:^|&)ab=([^&]+)`, `[&?]ab=([^&]*)`, `ab=`, `ab=([^=]*)`, `^ab`, `(^)ab=[^&]+`, `&ab=([^&]*)`, `aab([^b]*)`, `(b|^)aa([^a]+)`,
	} {
		c, re := newChain(pattern), regexp.MustCompile(pattern)
		if c == nil {
			t.Errorf("%s is no chain", pattern)
			continue
		}
		for range 20_000 {
			s := make([]byte, random.IntN(14))
			for i := range s {
				s[i] = "ab=&?\xff\xc3"[random.IntN(7)]
			}
			want := re.FindSubmatchIndex(s)
			if have := c.find(s); !slices.Equal(have, want) {
				t.Fatalf("%s in %q: %v, want %v", pattern, s, have, want)
			}
		}
	}
	for _, pattern := range []string{
		`(a|b)*`, `(&|^)ab=([^&]*)x`, `(?i)ab=`, `ab=([^&]*?)`, `(&|^)&b=([^&]*)`, `(xy|^)ab`, `[a-z]ab`, `ab=([^&?]*)`, `ab|cd`, `(`, `(ä|^)ab`, ``, `ab$`,
	} {
		if newChain(pattern) != nil {
			t.Errorf("%s is a chain", pattern)
		}
	}
}

func BenchmarkRegexpExtract(b *testing.B) {
	s := []byte("https://www.nexmark.com/abcde/fghij/item.htm?query=1&channel_id=123456789")
	const pattern = `(&|^)channel_id=([^&]*)`
	b.Run("chain", func(b *testing.B) {
		c := newChain(pattern)
		for b.Loop() {
			c.find(s)
		}
	})
	b.Run("regexp", func(b *testing.B) {
		re := regexp.MustCompile(pattern)
		for b.Loop() {
			re.FindSubmatchIndex(s)
		}
	})
}
