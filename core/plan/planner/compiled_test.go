package planner_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/tidemill/tidemill/core/plan/planfile"
	"github.com/tidemill/tidemill/fs"
)

// planText shows a compiled plan, or writes another one that differs from it.
func planText(t *testing.T, files *fs.Registry, d *datadriven.TestData) string {
	t.Helper()
	var path, to string
	d.ScanArgs(t, "path", &path)
	fsys, path, err := files.Resolve(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := fs.ReadFile(t.Context(), fsys, path, planfile.MaxBytes)
	if err != nil {
		return err.Error() + "\n"
	}
	if d.Cmd == "show" {
		var b strings.Builder
		for line := range strings.Lines(string(data)) {
			if !strings.Contains(line, `"checksum"`) {
				b.WriteString(line)
			}
		}
		return b.String() + "\n"
	}
	d.ScanArgs(t, "to", &to)
	old, fresh, _ := strings.Cut(d.Input, " => ")
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("there is no %s in %s", old, data)
	}
	data = bytes.ReplaceAll(data, []byte(old), []byte(fresh))
	if d.HasArg("seal") {
		var f map[string]json.RawMessage
		if err := json.Unmarshal(data, &f); err != nil {
			t.Fatal(err)
		}
		var plain bytes.Buffer
		if err := json.Compact(&plain, f["plan"]); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(plain.Bytes())
		f["checksum"] = json.RawMessage(`"` + hex.EncodeToString(sum[:]) + `"`)
		f["plan"] = plain.Bytes()
		var sealed bytes.Buffer
		e := json.NewEncoder(&sealed)
		e.SetEscapeHTML(false)
		if err := e.Encode(f); err != nil {
			t.Fatal(err)
		}
		data = sealed.Bytes()
	}
	if _, to, err = files.Resolve(to); err != nil {
		t.Fatal(err)
	}
	if err := fs.WriteFile(t.Context(), fsys, to, data, fs.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return "ok\n"
}
