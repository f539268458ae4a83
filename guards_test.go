package tidemill_test

import (
	"slices"
	"strings"
	"testing"
)

// The guards are only worth their time if they see a fault: each case builds a small house with one fault
// and expects the complaint, or a correct house and expects none.

func TestFloorGuard(t *testing.T) {
	cases := []struct {
		name, floors string
		graph        importGraph
		want         []string // a part of each complaint, in order
	}{
		{
			name:   "own floor and lower ones are fine",
			floors: "1 a vocabulary\n2 b contract\n2 c contract",
			graph:  importGraph{"a": nil, "b": {"a", "c"}, "c": {"a"}},
		},
		{
			name:   "upwards",
			floors: "1 a vocabulary\n2 b contract",
			graph:  importGraph{"a": {"b"}, "b": nil},
			want:   []string{"a (floor 1) imports b (floor 2)"},
		},
		{
			name:   "all faults are told, not only the first",
			floors: "1 a vocabulary\n# remark\n\n2 gone was here",
			graph:  importGraph{"a": nil, "b": nil, "c": nil},
			want:   []string{"b is a package without a floor", "c is a package without a floor", "gone, a floor without a package"},
		},
		{
			name:   "internal packages live with their parent",
			floors: "1 a vocabulary\n2 b contract",
			graph:  importGraph{"a": {"a/internal/x"}, "a/internal/x": {"b"}, "b": nil},
			want:   []string{"a/internal/x (floor 1) imports b (floor 2)"},
		},
		{
			name:   "a conformance suite stands one floor above",
			floors: "2 fs contract\n3 fs/local part",
			graph:  importGraph{"fs": nil, "fs/fstest": {"fs", "fs/local"}, "fs/local": {"fs"}},
		},
		{
			name:   "a line that contradicts the rule",
			floors: "2 fs contract\n2 fs/fstest suite",
			graph:  importGraph{"fs": nil, "fs/fstest": {"fs"}},
			want:   []string{"its place makes that 3"},
		},
		{
			name:   "a broken table",
			floors: "1 a\n9 b too high\n1 c twice\n1 c twice",
			graph:  importGraph{"c": nil},
			want:   []string{"floors.txt:1", "floors.txt:2", "c has two lines"},
		},
		{
			name:   "the root has a floor once it exists",
			floors: "7 . front door\n1 a vocabulary",
			graph:  importGraph{".": {"a"}, "a": {"."}},
			want:   []string{"a (floor 1) imports . (floor 7)"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			floors, problems := parseFloors(c.floors)
			expectProblems(t, append(problems, checkFloors(c.graph, floors)...), c.want)
		})
	}
}

func TestWallGuard(t *testing.T) {
	cases := []struct {
		name  string
		graph importGraph
		want  []string
	}{
		{
			name:  "directly",
			graph: importGraph{"fs/local": {"core/stream"}},
			want:  []string{"fs/local -> core/stream"},
		},
		{
			name:  "through others",
			graph: importGraph{"core/worker": {"x"}, "x": {"y"}, "y": {"core/sql/ast"}},
			want:  []string{"core/worker -> x -> y -> core/sql/ast"},
		},
		{
			name:  "the contract of connectors is no connector",
			graph: importGraph{"scheduler/jobmaster": {"core/connector", "core/connector/connectortest"}},
		},
		{
			name:  "a master keeps out of connectors",
			graph: importGraph{"scheduler/jobmaster": {"core/connector/kafka"}},
			want:  []string{"scheduler/jobmaster -> core/connector/kafka"},
		},
		{
			name: "the gateway's planning may know them",
			graph: importGraph{
				"scheduler": {"scheduler/gateway"}, "scheduler/gateway": {"core/plan/physical"},
				"core/plan/physical": {"core/connector/kafka"},
			},
		},
		{
			name:  "the gateway itself may not",
			graph: importGraph{"scheduler": {"scheduler/gateway"}, "scheduler/gateway": {"core/connector/kafka"}},
			want:  []string{"scheduler/gateway -> core/connector/kafka"},
		},
		{
			name:  "nor may a master by way of planning",
			graph: importGraph{"scheduler/jobmaster": {"core/plan"}, "core/plan": {"core/connector/kafka"}},
			want:  []string{"scheduler/jobmaster -> core/plan -> core/connector/kafka"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { expectProblems(t, checkWalls(c.graph, walls), c.want) })
	}
}

func TestHouseGuard(t *testing.T) {
	const doc = "// Package p is documented.\npackage p\n"
	cases := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{name: "fine", files: map[string]string{"core/p/doc.go": doc, "core/p/p.go": "package p\n\nfunc f() {}\n"}},
		{name: "no doc.go", files: map[string]string{"core/p/p.go": doc}, want: []string{"core/p has no doc.go"}},
		{name: "an empty doc.go", files: map[string]string{"core/p/doc.go": "package p\n"}, want: []string{"core/p has no doc.go"}},
		{name: "commands need none", files: map[string]string{"cmd/p/main.go": "package main\n\nfunc init() {}\n"}},
		{name: "internal packages need none", files: map[string]string{"core/internal/p/p.go": "package p\n"}},
		{name: "test packages need none", files: map[string]string{"core/p/p_test.go": "package p\n"}},
		{name: "init", files: map[string]string{"core/p/doc.go": doc + "func init() {}\n"}, want: []string{"core/p/doc.go:3:1: init function"}},
		{name: "long file", files: map[string]string{"core/p/doc.go": doc + strings.Repeat("\n", 800)}, want: []string{"the limit is 800"}},
		{name: "long function", files: map[string]string{"core/p/doc.go": doc + "func f() {" + strings.Repeat("\n", 80) + "}\n"}, want: []string{"f has 81 lines"}},
		{name: "long test", files: map[string]string{"core/p/p_test.go": "package p\nfunc f() {" + strings.Repeat("\n", 900) + "}\n"}},
		{
			name: "long generated code",
			files: map[string]string{"core/p/p.pb.go": "// Code generated by x. DO NOT EDIT.\npackage p\nfunc f() {" +
				strings.Repeat("\n", 900) + "}\n"},
		},
		{name: "generated without header", files: map[string]string{"core/p/doc.go": doc, "core/p/p.pb.go": "package p\n"}, want: []string{"core/p/p.pb.go is named like"}},
		{
			name:  "sleep on the real clock",
			files: map[string]string{"core/p/p_test.go": "package p\nimport \"time\"\nfunc f() { time.Sleep(1) }\n"},
			want:  []string{"core/p/p_test.go:3:12: sleep on the real clock"},
		},
		{
			name:  "sleep in fake time",
			files: map[string]string{"core/p/p_test.go": "package p\nimport (\n\"testing/synctest\"\n\"time\"\n)\nfunc f() { time.Sleep(1) }\n"},
		},
		{name: "vague name", files: map[string]string{"core/stringutil/doc.go": "// Package p.\npackage stringutil\n"}, want: []string{"says nothing"}},
		{name: "not vague", files: map[string]string{"core/database/doc.go": "// Package p.\npackage database\n"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			small := &tree{}
			byPath := map[string]*goPackage{}
			for name, content := range c.files {
				small.addGo(byPath, name, []byte(content))
			}
			var problems []string
			for _, p := range small.packages {
				problems = append(problems, checkPackage(p)...)
			}
			expectProblems(t, append(problems, small.broken...), c.want)
		})
	}
}

func TestTextGuard(t *testing.T) {
	const promise = "TO" + "DO"
	cases := []struct{ name, line, want string }{
		{"x.md", "see `docs/work/main.md` and https://host/home/x", ""},
		{"x.md", "see /ho" + "me/someone/x", "absolute path"},
		{"x.sh", "cp '/ro" + "ot/x' .", "absolute path"},
		{"x.go", "// " + promise + ": later", "or leave it out"},
		{"x.go", "// " + promise + "(someone) later", "or leave it out"},
		{"x.go", "// " + promise + "(someone, #12): later", ""},
	}
	for _, c := range cases {
		var want []string
		if c.want != "" {
			want = append(want, c.want)
		}
		expectProblems(t, checkText(c.name, []byte(c.line+"\n")), want)
	}
}

// TestTreeIsSeen shows that the guards look at this repository and not at an empty one.
func TestTreeIsSeen(t *testing.T) {
	read := theTree(t)
	if len(read.packages) == 0 || !slices.ContainsFunc(read.packages, func(p *goPackage) bool { return p.path == "core/id" }) {
		t.Errorf("the walk saw %d packages and missed core/id", len(read.packages))
	}
	if _, seen := read.texts["Makefile"]; !seen {
		t.Error("the walk missed Makefile")
	}
}

func expectProblems(t *testing.T, have, want []string) {
	t.Helper()
	if len(have) != len(want) {
		t.Errorf("want %d complaints, have %d: %q", len(want), len(have), have)
		return
	}
	for i := range want {
		if !strings.Contains(have[i], want[i]) {
			t.Errorf("complaint %d: want %q in it, have %q", i, want[i], have[i])
		}
	}
}
