package minicluster_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// many is a job whose first stage stores more than the servers' memory takes: 400,000 groups.
const many = `
	CREATE TABLE src (k BIGINT, v BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '400000', 'rows-per-second' = '0',
		'fields.k.kind' = 'sequence', 'fields.k.start' = '0', 'fields.k.end' = '399999', 'fields.v.kind' = 'sequence', 'fields.v.start' = '0', 'fields.v.end' = '399999');
	SELECT SUM(n), SUM(s), COUNT(*) FROM (SELECT k, COUNT(*) AS n, SUM(v) AS s FROM src GROUP BY k) AS t`

const manyAnswer = "400000 79999800000 400000"

// A bit of a stored block turns over on the disk of a server that lives: the lane that it is
// of is written again, and no other one.
func TestDamagedBlock(t *testing.T) {
	spills := t.TempDir()
	n := startNodesWith(t, nil, map[string]string{"worker.memory.size": "64 mb", "io.tmp.dir": spills})
	var damaged error
	n.when(1, func() { damaged = damage(spills) })
	rows, s := n.query(t, many)
	if damaged != nil || rows != manyAnswer || s.GetRestarts() == 0 {
		t.Errorf("%s, %d restarts, %v, %v", rows, s.GetRestarts(), damaged, s.GetFailures())
	}
	again := 0
	for _, a := range attempts(s, 0) {
		if a > 0 {
			again++
		}
	}
	if again != 1 {
		t.Errorf("%d lanes were written again: %v, %v", again, attempts(s, 0), s.GetFailures())
	}
	if causes := s.GetFailures(); len(causes) == 0 || !strings.Contains(causes[0].GetCause(), "lane ") || !strings.Contains(causes[0].GetCause(), "server-") {
		t.Errorf("the cause does not name server and lane: %v", causes)
	}
}

// damage turns a bit over in the midst of one file of blocks.
func damage(dir string) error {
	packs, err := filepath.Glob(filepath.Join(dir, "*", "pack-*"))
	if err != nil {
		return err
	}
	for _, name := range packs {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if len(data) > 1<<16 {
			data[len(data)/2] ^= 1
			return os.WriteFile(name, data, 0o600)
		}
	}
	return errors.New("nothing was spilled")
}
