package tidemill_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/tidemill/tidemill"

// goFile is one parsed Go file of the repository.
type goFile struct {
	path  string // from the repository's root, with slashes
	set   *token.FileSet
	file  *ast.File
	lines int
}

func (f *goFile) isTest() bool      { return strings.HasSuffix(f.path, "_test.go") }
func (f *goFile) isGenerated() bool { return ast.IsGenerated(f.file) }

// goPackage is the Go files of one directory; its path is "." for the root.
type goPackage struct {
	path  string
	files []*goFile
}

// name is the package's name, "" where it consists of tests only.
func (p *goPackage) name() string {
	for _, f := range p.files {
		if !f.isTest() {
			return f.file.Name.Name
		}
	}
	return ""
}

// imports lists the packages of this repository that the package's own code, tests aside, imports.
func (p *goPackage) imports() []string {
	var all []string
	for _, f := range p.files {
		if f.isTest() {
			continue
		}
		for _, spec := range f.file.Imports {
			target, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue // go build reports it
			}
			if target == module {
				all = append(all, ".")
			} else if rel, ok := strings.CutPrefix(target, module+"/"); ok {
				all = append(all, rel)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// tree is the repository as the guards in this package see it. It is read from the files themselves and
// not through `go list`: files behind every build tag count, the packages need not compile, and because
// the test opens each file, `go test` does not answer from its cache after one of them has changed.
type tree struct {
	packages []*goPackage
	texts    map[string][]byte // every text file that people write, by path
	broken   []string          // files that do not parse
}

var readTree = sync.OnceValues(func() (*tree, error) {
	t := &tree{texts: map[string][]byte{}}
	byPath := map[string]*goPackage{}
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil // removed while we walk
			}
			return err
		}
		if entry.IsDir() {
			return enter(name)
		}
		if !entry.Type().IsRegular() || !isText(name) {
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		t.texts[filepath.ToSlash(name)] = content
		if path.Ext(name) == ".go" && !strings.Contains(filepath.ToSlash(name), "testdata/") {
			t.addGo(byPath, filepath.ToSlash(name), content)
		}
		return nil
	})
	return t, err
})

// enter tells WalkDir to stay out of hidden, built and foreign directories.
func enter(dir string) error {
	if dir == "." {
		return nil
	}
	base := filepath.Base(dir)
	switch {
	case base == ".ci":
		return nil
	case strings.HasPrefix(base, "."), base == "node_modules", dir == "bin", dir == "demo-data":
		return filepath.SkipDir
	}
	return nil
}

func isText(name string) bool {
	switch filepath.Ext(name) {
	case ".go", ".md", ".sh", ".sql", ".slt", ".proto", ".yml", ".yaml", ".txt", ".mod", ".py":
		return true
	}
	return filepath.Base(name) == "Makefile" || filepath.Dir(name) == ".ci"
}

func (t *tree) addGo(byPath map[string]*goPackage, name string, content []byte) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.broken = append(t.broken, err.Error())
		return
	}
	dir := path.Dir(name)
	p := byPath[dir]
	if p == nil {
		p = &goPackage{path: dir}
		byPath[dir] = p
		t.packages = append(t.packages, p)
	}
	p.files = append(p.files, &goFile{path: name, set: set, file: file, lines: set.File(file.Pos()).LineCount()})
}

// theTree reads the repository once for all guards and reports what does not parse.
func theTree(t *testing.T) *tree {
	t.Helper()
	read, err := readTree()
	if err != nil {
		t.Fatalf("read the source tree: %v", err)
	}
	for _, problem := range read.broken {
		t.Errorf("does not parse: %s", problem)
	}
	return read
}
