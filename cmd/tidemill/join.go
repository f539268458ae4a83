package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc/network"
	"github.com/tidemill/tidemill/core/security"
)

// enrollPatience is how long a master may take to answer a process that joins.
const enrollPatience = 30 * time.Second

// enroll gets a role its certificate and token by --join-token, the first time that it
// starts with its data directory, and takes those that are kept there from then on.
func (f *roleFlags) enroll(ctx context.Context, kind security.Role) error {
	if f.joinToken == "" {
		return nil
	}
	if f.token != "" || f.tls != "" {
		return failure.Errorf(failure.Usage, "--join-token gets what --token-file and --tls-dir name: give it, or these")
	}
	dir := cmp.Or(f.dataDir, filepath.Join(home(), kind.String()))
	f.tls, f.token = filepath.Join(dir, tlsDir), filepath.Join(dir, tokenFile)
	if _, err := security.LoadIdentity(f.tls, kind.String()); failure.Of(err) != failure.NotFound {
		return err
	}
	masters, err := addresses(f.join)
	if err != nil {
		return err
	}
	join, err := security.ReadToken(f.joinToken)
	if err != nil {
		return fmt.Errorf("the join token (--join-token FILE): %w", err)
	}
	ctx, stop := context.WithTimeout(ctx, enrollPatience)
	defer stop()
	i, token, err := network.Enroll(ctx, masters, join, nil)
	if err != nil {
		return err
	}
	if err := security.CheckRoles(i.Roles(), kind); err != nil {
		return fmt.Errorf("the join token (--join-token FILE): %w", err)
	}
	if err := token.Save(f.token); err != nil {
		return err
	}
	return i.Save(f.tls, kind.String())
}

// authorityIn is what a master gives certificates with, if its directory has the key.
func authorityIn(dir string, kind security.Role) (*security.CA, error) {
	if kind != security.Master {
		return nil, nil
	}
	ca, err := security.LoadCA(dir)
	if failure.Of(err) == failure.NotFound {
		return nil, nil
	}
	return ca, err
}

// joinToken makes a join token by the authority of a directory.
func joinToken(dir string, names []string, lasts time.Duration) (security.Token, error) {
	ca, err := security.LoadCA(dir)
	if err != nil {
		return security.Token{}, fmt.Errorf("the cluster's authority (--tls-dir DIR): %w", err)
	}
	roles := make([]security.Role, len(names))
	for i, n := range names {
		if roles[i], err = security.ParseRole(n); err != nil {
			return security.Token{}, err
		}
	}
	return ca.JoinToken(roles, time.Now().Add(lasts))
}
