// Command verify kills the processes of real clusters and looks whether anybody
// notices; package bench/verify says how.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/tidemill/tidemill/bench/verify"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	o := verify.Options{Out: os.Stdout}
	flag.StringVar(&o.Binary, "tidemill", "", "the program, built with -tags failpoint")
	flag.StringVar(&o.Program, "ledger", "", "the ledger job (examples/ledger): kill what runs it, instead of batch jobs")
	flag.StringVar(&o.Scratch, "scratch", ".cache/verify", "directory to work in")
	flag.StringVar(&o.Data, "data", "", "directory of TPC-H's tables; empty: they are made")
	flag.Float64Var(&o.Scale, "scale", 0.1, "scale of the data")
	flag.IntVar(&o.Kills, "kills", 20, "processes to kill")
	flag.IntVar(&o.Jobs, "jobs", 0, "jobs of the scenario burst; 0: 1,000")
	flag.IntVar(&o.Clients, "clients", 0, "clients at a time of the scenario burst; 0: 100")
	flag.IntVar(&o.StateMB, "state", 0, "state of the streaming jobs of scenarios, in MB; 0: 64")
	flag.Uint64Var(&o.Seed, "seed", 1, "what fixes statements and faults")
	flag.StringVar(&o.Document, "document", "", "file for the counters, such as docs/reliability.md")
	flag.DurationVar(&o.Patience, "patience", 0, "how long a statement may take; 0: two minutes")
	flag.Func("shape", "masters,workers,shuffles; may be repeated", func(text string) error {
		s, err := shape(text)
		o.Shapes = append(o.Shapes, s)
		return err
	})
	flag.Func("queries", "numbers of TPC-H queries, with commas", func(text string) (err error) {
		o.Queries, err = numbers(text)
		return err
	})
	scenarios := flag.String("scenario", "", "names of scenarios to play, with commas, or all; empty: random kills")
	flag.Parse()
	err := run(ctx, o, *scenarios)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "verify:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o verify.Options, scenarios string) error {
	if o.Program != "" {
		return verify.RunLedger(ctx, o)
	}
	var names []string
	switch scenarios {
	case "":
		_, err := verify.Run(ctx, o)
		return err
	case "all":
	default:
		names = strings.Split(scenarios, ",")
	}
	if done, err := inNamespace(ctx); done || err != nil {
		return err
	}
	return verify.RunScenarios(ctx, o, names)
}

func shape(text string) (verify.Shape, error) {
	n, err := numbers(text)
	if err == nil && len(n) != 3 {
		err = fmt.Errorf("%q: want three numbers", text)
	}
	if err != nil {
		return verify.Shape{}, err
	}
	return verify.Shape{Masters: n[0], Workers: n[1], Shuffles: n[2]}, nil
}

func numbers(text string) (all []int, err error) {
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}
