package process

import (
	"slices"
	"testing"
)

// Parts that the linker has written to before they became read-only stay.
func TestWhatIsTrimmed(t *testing.T) {
	const maps = `00400000-00402000 r--p 00000000 fe:00 1 /bin/x
Size:                  8 kB
Anonymous:             0 kB
00402000-02412000 r-xp 00002000 fe:00 1 /bin/x
Anonymous:             0 kB
03a4a000-03a4b000 r--p 0364a000 fe:00 1 /bin/x
Anonymous:             4 kB
03a4b000-03b00000 rw-p 0364b000 fe:00 1 /bin/x
Anonymous:             0 kB
7f0000000000-7f0000001000 r--p 00000000 fe:00 2 /lib/y
Anonymous:             0 kB
7f0000001000-7f0000002000 r--p 00000000 00:00 0
Anonymous:             0 kB
`
	if have := unwritten(maps, "/bin/x"); !slices.Equal(have, []stretch{{0x400000, 0x402000}, {0x402000, 0x2412000}}) {
		t.Errorf("%x", have)
	}
}
