package verify

import (
	"os"
	"path/filepath"
	"testing"
)

// Files of running statements are damaged, one bit or one byte each; others are not.
func TestDamage(t *testing.T) {
	data := t.TempDir()
	files := map[string]bool{"shuffle-1/shuffle/x/pack-1": true, "worker-1/spill/x/run": true, "worker-1/spill/x/lock": false, "master-1/master/log": false}
	for name := range files {
		whole := filepath.Join(data, name)
		if err := os.MkdirAll(filepath.Dir(whole), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(whole, []byte("12345"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, cut := range []bool{false, true} {
		if n, err := damage(data, cut); err != nil || n != 2 {
			t.Fatalf("%d files, %v", n, err)
		}
	}
	for name, hurt := range files {
		text, err := os.ReadFile(filepath.Join(data, name))
		want := map[bool]string{true: "1224", false: "12345"}[hurt]
		if err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}
