// Command dies ends at a failpoint, or does not.
package main

import (
	"fmt"
	"os"

	"github.com/tidemill/tidemill/core/failpoint"
)

func main() {
	defer fmt.Println("after")
	fmt.Println("before")
	if err := failpoint.Hit(failpoint.FileCommit); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
