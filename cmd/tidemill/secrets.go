package main

import (
	"cmp"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/core/security"
)

func newToken() *cobra.Command {
	var show bool
	cmd := &cobra.Command{
		Use:   "token [FILE]",
		Short: "Make a token that clients show, in a file that its owner alone reads",
		Long: `Make a token in FILE, or in the home directory's, unless there is one, and print where it is.
Masters, workers, shuffle servers and clients of one cluster have the same one.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := filepath.Join(home(), tokenFile)
			if len(args) == 1 {
				path = args[0]
			}
			t, err := security.EnsureToken(path)
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
