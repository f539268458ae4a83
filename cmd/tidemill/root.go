package main

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/core/failure"
)

func newRoot(signals *signals) *cobra.Command {
	root := &cobra.Command{
		Use:           "tidemill",
		Short:         "Unified batch and stream processing in SQL",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,

		SuggestionsMinimumDistance: 2,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return failure.Errorf(failure.Usage, "%w; see tidemill %s --help", err, cmd.Name())
	})
	root.AddCommand(newSQL(signals), newRun(), newExplain(), newCheck(), newBench(), newVersion(),
		newUp(), newMaster(), newWorker(), newShuffle(), newSubmit(), newList(), newGet(), newWait(), newCancel(), newSavepoint(), newStop(), newCheckpoints(), newRescale(), newLogs(), newWhy(), newTail(),
		newNodes(), newDrain(), newToken(), newCert())
	for _, c := range root.Commands() {
		c.Args = usage(c.Args)
	}
	return root
}

// usage makes cobra's complaints about arguments ours, so that they have the
// documented exit code.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check == nil {
			check = cobra.ArbitraryArgs
		}
		err := check(cmd, args)
		if err != nil && failure.Of(err) != failure.Usage {
			return failure.Errorf(failure.Usage, "%w; see tidemill %s --help", err, cmd.Name())
		}
		return err
	}
}

// knownCommand refuses what is left where a command's name should be.
func knownCommand(parent *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see " + parent.CommandPath() + " --help"
	if near := parent.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + near[0] + "?"
	}
	return failure.Errorf(failure.Usage, "unknown command %q; %s", args[0], hint)
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "tidemill %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// engineFlags are the flags of every command that plans or runs statements.
type engineFlags struct {
	clusterFlags
	attached bool // never embedded

	settings  []string // -D key=value
	variables []string // -v name=value
	mode      string
}

func (f *engineFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&f.settings, "set", "D", nil, "setting `key=value`, as with SET")
	cmd.Flags().StringArrayVarP(&f.variables, "var", "v", nil, "variable `name=value`, for ${name} in the text")
	cmd.Flags().StringVar(&f.mode, "mode", "auto", "plan as auto, batch or streaming")
	f.clusterFlags.register(cmd)
}

func (f *engineFlags) config() (map[string]string, error) {
	settings, err := pairs("-D", f.settings)
	if err != nil {
		return nil, err
	}
	switch f.mode {
	case "auto":
	case "batch", "streaming":
		settings["execution.runtime-mode"] = f.mode
	default:
		return nil, failure.Errorf(failure.Usage, "--mode %s: want auto, batch or streaming", f.mode)
	}
	return settings, nil
}

// pairs reads name=value arguments.
func pairs(flag string, args []string) (map[string]string, error) {
	out := map[string]string{}
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if !ok || name == "" {
			return nil, failure.Errorf(failure.Usage, "%s %q: want name=value", flag, a)
		}
		out[name] = value
	}
	return out, nil
}
