package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/sql/ast"
)

func newExplain() *cobra.Command {
	var flags engineFlags
	var file string
	cmd := &cobra.Command{
		Use:     "explain [STATEMENTS]",
		Short:   "Print the plan of each query and INSERT, running none",
		Example: `  tidemill explain -f report.sql`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return flags.with(cmd.Context(), func(session client.Session, variables map[string]string, p printing) error {
				s, err := readScript(strings.Join(args, ""), file, os.Stdin, variables)
				if err != nil {
					return err
				}
				for _, statement := range s.statements {
					if !planned(statement) {
						// DDL and SET make the names and settings that later statements use.
						if err := session.Check(cmd.Context(), s.text, statement); err != nil {
							return s.place(err)
						}
						continue
					}
					text, err := session.Explain(cmd.Context(), s.text, statement)
					if err != nil {
						return s.place(err)
					}
					fmt.Fprintln(p.out, strings.TrimRight(text, "\n"))
				}
				return nil
			})
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVarP(&file, "file", "f", "", "read statements from a `file`, - for standard input")
	return cmd
}

func newCheck() *cobra.Command {
	var flags engineFlags
	cmd := &cobra.Command{
		Use:   "check FILE...",
		Short: "Parse, bind and plan scripts, running nothing",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var first error
			for _, file := range args {
				if err := flags.check(cmd, file); err != nil {
					printError(os.Stderr, err)
					if first == nil {
						first = err
					}
				}
			}
			if first != nil {
				return &shownError{first}
			}
			return nil
		},
	}
	flags.register(cmd)
	return cmd
}

func (f *engineFlags) check(cmd *cobra.Command, file string) error {
	return f.with(cmd.Context(), func(session client.Session, variables map[string]string, p printing) error {
		s, err := readScript("", file, os.Stdin, variables)
		if err != nil {
			return err
		}
		for _, statement := range s.statements {
			if err := session.Check(cmd.Context(), s.text, statement); err != nil {
				return s.place(err)
			}
		}
		fmt.Fprintf(p.out, "%s: ok, %d statements\n", file, len(s.statements))
		return nil
	})
}

// planned reports whether a statement has a plan to show.
func planned(s ast.Statement) bool {
	switch s := s.(type) {
	case ast.Query, *ast.Insert, *ast.StatementSet, *ast.Update, *ast.Delete, *ast.CompilePlan, *ast.ExecutePlan:
		return true
	case *ast.Execute:
		return planned(s.Statement)
	case *ast.Explain:
		return true
	case *ast.CreateTable:
		return s.Query != nil
	default:
		return false
	}
}
