package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// A typing mistake in a key must never be ignored silently: the job would run
// with the default.
func TestUnknownKeyNamesTheNearest(t *testing.T) {
	_, err := Config{}.With("paralelism.default", "2", "job.yaml")
	if err == nil || !strings.Contains(err.Error(), "did you mean parallelism.default?") ||
		!strings.HasPrefix(err.Error(), "job.yaml: ") || failure.Of(err) != failure.Usage {
		t.Fatalf("got %v", err)
	}
}

func TestValues(t *testing.T) {
	c, err := FromMap(map[string]string{
		"parallelism.default": "4", "execution.checkpointing.interval": "500ms", "worker.memory.size": "2 gb",
	}, "test")
	if err != nil {
		t.Fatal(err)
	}
	if Parallelism.Get(c) != 4 || CheckpointInterval.Get(c) != 500*time.Millisecond || Memory.Get(c) != 2<<30 {
		t.Errorf("got %d, %v, %d", Parallelism.Get(c), CheckpointInterval.Get(c), Memory.Get(c))
	}
	if d := c.Without("parallelism.default"); Parallelism.Get(d) != 0 || Parallelism.Get(c) != 4 {
		t.Error("Without must make a new Config")
	}
	if BatchRows.Get(c) != 8192 || len(c.Map()) != 3 {
		t.Error("defaults must not become given values")
	}
}

func TestRefusesWrongValues(t *testing.T) {
	for key, bad := range map[string][]string{
		"parallelism.default":              {"", "x", "-1", "40000", "1.5"},
		"execution.runtime-mode":           {"", "BATCH", "stream"},
		"execution.checkpointing.interval": {"", "1 parsec", "-1 s", "99999999999 d"},
		"worker.memory.size":               {"", "1 pb", "-1", "99999999999 gb"},
		"table.local-time-zone":            {"", "Local", "Mars/Olympus"},
	} {
		for _, v := range bad {
			if _, err := (Config{}).With(key, v, "test"); err == nil {
				t.Errorf("%s = %q was accepted", key, v)
			}
		}
	}
}

func TestEveryOptionIsListedOnceAndDocumented(t *testing.T) {
	if len(byKey) != len(all) {
		t.Error("a key is listed twice")
	}
	for _, o := range all {
		if !strings.HasSuffix(o.Doc, ".") || o.Reload == InvalidReload {
			t.Errorf("%s: doc %q, reload %v", o.Key, o.Doc, o.Reload)
		}
		if err := o.check(o.Default); err != nil {
			t.Errorf("%s: default %q: %v", o.Key, o.Default, err)
		}
	}
}

// A secret is hidden whatever it is printed with.
func TestSecretIsHidden(t *testing.T) {
	encoded, err := json.Marshal(map[string]Secret{"a": "hunter2"})
	shown := string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown += fmt.Sprintf(verb, Secret("hunter2")) + fmt.Sprintf(verb, []Secret{"hunter2"})
	}
	if err != nil || strings.Contains(shown, "hunter2") || strings.Contains(shown, "68756e74657232") || !strings.Contains(shown, hidden) {
		t.Errorf("%v: %s", err, shown)
	}
}
