package checkpoint

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/core/id"
)

// NewHome names a directory for state of tasks that lies outside of checkpoints: no other
// has the name. It is opened for a task that begins at checkpoint c (0: with nothing). A
// subtask that uses it names it in all that it acknowledges (SubtaskState.Homes), so that
// nobody uses one that was opened before a complete checkpoint and is not named there.
func NewHome(c id.Checkpoint) string {
	var random [8]byte
	_, _ = rand.Read(random[:]) // it does not fail
	return fmt.Sprintf("%d-%x", c, random)
}

// HomeBegan is the checkpoint that NewHome was told; false: it did not make the name.
func HomeBegan(name string) (id.Checkpoint, bool) {
	digits, _, ok := strings.Cut(name, "-")
	c, err := strconv.ParseUint(digits, 10, 64)
	return id.Checkpoint(c), ok && err == nil
}
