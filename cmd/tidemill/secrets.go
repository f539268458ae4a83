package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/security"
)

func newToken() *cobra.Command {
	var (
		show  bool
		join  []string
		lasts time.Duration
		tls   string
	)
	cmd := &cobra.Command{
		Use:   "token [FILE]",
		Short: "Make a token that clients show, in a file that its owner alone reads",
		Long: `Make a token in FILE, or in the home directory's, unless there is one, and print where it is.
Masters, workers, shuffle servers and clients of one cluster have the same one.

With --join make a join token instead, by the authority in --tls-dir, and write it to FILE: a process of
those roles that is started with --join-token FILE gets its certificate and the cluster's token from a
master that has the authority's key. It opens nothing else, and expires.`,
		Example: `  tidemill token
  tidemill token --join worker --for 10m worker.join`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := filepath.Join(home(), tokenFile)
			if len(args) == 1 {
				path = args[0]
			}
			obtain := security.EnsureToken
			if len(join) > 0 {
				if len(args) == 0 {
					return failure.Errorf(failure.Usage, "where to write the join token is missing: tidemill token --join ROLE FILE")
				}
				obtain = func(path string) (security.Token, error) {
					t, err := joinToken(cmp.Or(tls, filepath.Join(home(), tlsDir)), join, lasts)
					if err != nil {
						return t, err
					}
					return t, t.Save(path)
				}
			}
			t, err := obtain(path)
			if err != nil {
				return err
			}
			if show {
				path = t.Reveal()
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), path)
			return err
		},
	}
	cmd.Flags().BoolVar(&show, "show", false, "print the token itself")
	cmd.Flags().StringSliceVar(&join, "join", nil, "make a join token for `roles`: master, worker, shuffle or client")
	cmd.Flags().DurationVar(&lasts, "for", time.Hour, "`time` for which a join token is good")
	cmd.Flags().StringVar(&tls, "tls-dir", os.Getenv(tlsVariable), "`directory` of the authority that makes join tokens; empty takes the home directory's")
	return cmd
}

func newCert() *cobra.Command {
	var (
		roles []string
		hosts []string
		out   string
		name  string
	)
	cmd := &cobra.Command{
		Use:   "cert [DIR]",
		Short: "Make a cluster's certificate authority, and certificates of roles",
		Long: `Make a certificate authority in DIR, or in the home directory's, unless there is one. With --role
make a certificate of it, and write it with its key and the authority's certificate to --out: this is
what a process of that role is given as --tls-dir. Clients need ca.crt alone. Who has ca.key can make
processes of the cluster: keep it where none runs.`,
		Example: `  tidemill cert ca
  tidemill cert ca --role worker --host worker-1.example --out worker-1-tls`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := filepath.Join(home(), tlsDir)
			if len(args) == 1 {
				dir = args[0]
			}
			ca, err := security.EnsureCA(dir)
			if err != nil {
				return err
			}
			if len(roles) == 0 {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", dir, ca.Fingerprint())
				return err
			}
			g := security.Grant{Hosts: hosts}
			for _, text := range roles {
				r, err := security.ParseRole(text)
				if err != nil {
					return err
				}
				g.Roles = append(g.Roles, r)
			}
			i, err := ca.Issue(g)
			if err != nil {
				return err
			}
			out = cmp.Or(out, dir)
			if err := i.Save(out, cmp.Or(name, roles[0])); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), out)
			return err
		},
	}
	cmd.Flags().StringSliceVar(&roles, "role", nil, "make a certificate of this `role`: master, worker, shuffle or client")
	cmd.Flags().StringSliceVar(&hosts, "host", nil, "`names` and IP addresses by which other programs verify the process")
	cmd.Flags().StringVar(&out, "out", "", "`directory` to write the certificate to; empty takes the authority's")
	cmd.Flags().StringVar(&name, "name", "", "`name` of the files; empty takes the role's")
	return cmd
}
