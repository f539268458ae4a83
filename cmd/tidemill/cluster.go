package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/rpc/network"
	"github.com/tidemill/tidemill/core/security"
)

// Environment variables by which commands find a cluster.
const (
	homeVariable    = "TIDEMILL_HOME"
	clusterVariable = "TIDEMILL_CLUSTER"
	tokenVariable   = "TIDEMILL_TOKEN"
	fileVariable    = "TIDEMILL_TOKEN_FILE"
	tlsVariable     = "TIDEMILL_TLS_DIR"
)

// Names in the data directory of up, and in the home directory.
const (
	contextFile = "cluster.json"
	tokenFile   = "token"
	tlsDir      = "tls"
)

// home is where up keeps its data, and where credentials are looked for, unless flags
// say otherwise.
func home() string {
	if dir := os.Getenv(homeVariable); dir != "" {
		return dir
	}
	dir, err := os.UserHomeDir()
	if err != nil {
		return ".tidemill"
	}
	return filepath.Join(dir, ".tidemill")
}

// callPatience is how long masters that do not answer are asked again.
const callPatience = 20 * time.Second

// clusterContext is what up leaves in its data directory for commands.
type clusterContext struct {
	Masters []string `json:"masters"`
	HTTP    string   `json:"http,omitempty"`
}

func (c clusterContext) write(dir string) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	staged := filepath.Join(dir, contextFile+".new")
	if err := os.WriteFile(staged, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(staged, filepath.Join(dir, contextFile))
}

func readContext(dir string) (c clusterContext, err error) {
	text, err := os.ReadFile(filepath.Join(dir, contextFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, failure.Errorf(failure.NotFound, "no cluster runs from %s: start one with tidemill up, or name one with --cluster ADDRESS", dir)
	case err != nil:
		return c, failure.Wrap(failure.Usage, err)
	}
	if err := json.Unmarshal(text, &c); err != nil || len(c.Masters) == 0 {
		return c, failure.Errorf(failure.Usage, "%s names no masters", filepath.Join(dir, contextFile))
	}
	return c, nil
}

// clusterFlags say which cluster a command is for.
type clusterFlags struct {
	cluster string
	token   string
	tls     string
}

func (f *clusterFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.cluster, "cluster", os.Getenv(clusterVariable), "`address`es of a cluster's masters, or the data directory of up; "+clusterVariable)
	f.registerCredentials(cmd)
}

func (f *clusterFlags) registerCredentials(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.token, "token-file", os.Getenv(fileVariable), "`file` with the cluster's token; "+fileVariable)
	cmd.Flags().StringVar(&f.tls, "tls-dir", os.Getenv(tlsVariable), "`directory` with the cluster's certificate; "+tlsVariable)
}

// access is a cluster and what it wants to see.
type access struct {
	masters []string
	http    string // URL of its REST pages; empty: not known
	token   security.Token
	tls     *tls.Config
}

// find looks the cluster up.
func (f *clusterFlags) find() (a access, err error) {
	dir := home()
	where := f.cluster
	if where != "" {
		if info, err := os.Stat(where); err == nil && info.IsDir() {
			dir, where = where, ""
		}
	}
	if where == "" {
		c, err := readContext(dir)
		if err != nil {
			return a, err
		}
		a.masters, a.http = c.Masters, c.HTTP
	} else if a.masters, err = addresses(where); err != nil {
		return a, err
	}
	if a.token, err = f.readToken(dir); err != nil {
		return a, err
	}
	trust, err := security.LoadTrust(cmp.Or(f.tls, filepath.Join(dir, tlsDir)))
	if err != nil {
		return a, fmt.Errorf("the cluster's certificate (--tls-dir DIR): %w", err)
	}
	a.tls = trust.Client()
	return a, nil
}

// readToken takes the token from a flag's file, the environment or a directory.
func (f *clusterFlags) readToken(dir string) (security.Token, error) {
	if text := os.Getenv(tokenVariable); f.token == "" && text != "" {
		return security.ParseToken(text)
	}
	t, err := security.ReadToken(cmp.Or(f.token, filepath.Join(dir, tokenFile)))
	if err != nil {
		return t, fmt.Errorf("the cluster's token (--token-file FILE): %w", err)
	}
	return t, nil
}

// addresses reads HOST:PORT,HOST:PORT.
func addresses(text string) ([]string, error) {
	out := strings.Split(text, ",")
	for i, a := range out {
		out[i] = strings.TrimSpace(a)
		if at := strings.LastIndexByte(out[i], ':'); at < 0 || at == len(out[i])-1 {
			return nil, failure.Errorf(failure.Usage, "%q is no address: want HOST:PORT, or the data directory of up", a)
		}
	}
	return out, nil
}

// with calls a cluster for the time of one function.
func (f *clusterFlags) with(ctx context.Context, use func(context.Context, rpc.ClusterClient) error) error {
	a, err := f.find()
	if err != nil {
		return err
	}
	n := network.New(a.network())
	defer n.Close()
	return use(ctx, n.Cluster())
}

func (a access) network() network.Options {
	return network.Options{Masters: a.masters, TLS: a.tls, Token: a.token, CallTimeout: callPatience, Version: version}
}
