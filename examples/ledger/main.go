// Command ledger is the ledger job (core/datastream/ledger) as a program of its own.
//
//	go run ./examples/ledger                runs it here and checks its books
//	ledger worker --join HOST:PORT          a worker of a cluster that can run it
//	ledger submit --cluster HOST:PORT       starts it there
//	ledger check                            checks the books
//
// LEDGER_DIR, LEDGER_TRANSFERS and LEDGER_RATE say where the books are, how many transfers
// each of eight splits has, and how many of them come a second. All processes of a cluster
// must be given the same.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/datastream"
	"github.com/tidemill/tidemill/core/datastream/ledger"
)

func main() {
	o, err := options()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
	verb := ""
	if len(os.Args) > 1 {
		verb = os.Args[1]
	}
	if verb != "check" {
		tidemill.Main(func(env *datastream.Env) error {
			env.Configure(datastream.Options{Name: "ledger", Parallelism: 4})
			ledger.Build(env, o)
			return nil
		})
	}
	if verb == "" || verb == "check" {
		check(o)
	}
}

func check(o ledger.Options) {
	report, err := ledger.Check(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	fmt.Println(report)
	if !report.Right() {
		os.Exit(1)
	}
}

// options are what the environment says.
func options() (o ledger.Options, err error) {
	if o.Dir = os.Getenv("LEDGER_DIR"); o.Dir == "" {
		o.Dir = filepath.Join("demo-data", "ledger")
		if len(os.Args) < 2 { // what an earlier run has left is not of this one
			if err := os.RemoveAll(o.Dir); err != nil {
				return o, err
			}
		}
	}
	if text := os.Getenv("LEDGER_TRANSFERS"); text != "" {
		if o.Transfers, err = strconv.ParseInt(text, 10, 64); err != nil {
			return o, fmt.Errorf("LEDGER_TRANSFERS: %w", err)
		}
	}
	if text := os.Getenv("LEDGER_RATE"); text != "" {
		if o.Rate, err = strconv.Atoi(text); err != nil {
			return o, fmt.Errorf("LEDGER_RATE: %w", err)
		}
	}
	return o, nil
}
