package verify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/protobuf/proto"

	"github.com/tidemill/tidemill"
	"github.com/tidemill/tidemill/core/client"
	"github.com/tidemill/tidemill/core/function"
	"github.com/tidemill/tidemill/core/id"
	"github.com/tidemill/tidemill/core/jobgraph"
	"github.com/tidemill/tidemill/core/rpc/network"
	"github.com/tidemill/tidemill/core/security"
	"github.com/tidemill/tidemill/core/sql/parser"
	"github.com/tidemill/tidemill/scheduler/gateway"
	"github.com/tidemill/tidemill/shuffle/local"
)

// crowd is what all clients share.
type crowd struct {
	masters  []string
	token    security.Token
	trust    security.Trust
	registry *tidemill.Registry
	observer *network.Network // of the harness itself
}

// open reads the credentials of a cluster that runs.
func (c *clients) open(o Options, masters []string) (err error) {
	c.masters, c.jobs = masters, map[id.Job]int{}
	home := filepath.Join(o.Scratch, "home")
	if c.token, err = security.ReadToken(filepath.Join(home, "token")); err != nil {
		return err
	}
	trust, err := security.LoadTrust(filepath.Join(home, "tls"))
	if err != nil {
		return err
	}
	c.trust = trust
	if c.registry, err = tidemill.Builtins(nil); err != nil {
		return err
	}
	c.observer = c.network(nil)
	return nil
}

func (c *clients) close() {
	c.observer.Close()
	_ = c.registry.Close() // nothing of it is in use
}

// callPatience is that of the program's clients (package tidemill).
const callPatience = 20 * time.Second

func (c *clients) network(unanswered func(string)) *network.Network {
	return network.New(network.Options{
		Masters: c.masters, TLS: c.trust.Client(), Token: c.token, CallTimeout: callPatience, Unanswered: unanswered,
	})
}

// submitAll has every job submitted by a client that goes away as soon as it was told
// that the job is accepted.
func (b *burst) submitAll(ctx context.Context) {
	begun := time.Now()
	turns := make(chan struct{}, b.Clients)
	var submitting sync.WaitGroup
	for number := range b.Jobs {
		turns <- struct{}{}
		submitting.Go(func() {
			defer func() { <-turns }()
			start := time.Now()
			jobID, err := b.submit(ctx, number)
			b.mu.Lock()
			defer b.mu.Unlock()
			if err != nil {
				b.refused = append(b.refused, fmt.Sprintf("job %d: %v", number, err))
				return
			}
			b.jobs[jobID] = number
			b.delays = append(b.delays, time.Since(start))
			b.accepted.Add(1)
		})
	}
	submitting.Wait()
	b.took = time.Since(begun)
}

// submit is a client's life: what `tidemill submit` does, in this process.
func (b *burst) submit(ctx context.Context, number int) (jobID id.Job, err error) {
	links := b.network(func(method string) {
		if strings.HasSuffix(method, "/Submit") {
			b.unanswered.Add(1)
		}
	})
	defer links.Close()
	engine := gateway.New(gateway.Options{
		Cluster: links.Cluster(), Shuffle: local.New(local.Options{Alloc: memory.DefaultAllocator}),
		Connectors: b.registry, Functions: function.Builtins(), Prepare: b.measure,
	})
	defer engine.Close()
	session, err := engine.Open(ctx, nil)
	if err != nil {
		return jobID, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	script := b.create() + b.insert(number)
	statements, err := parser.ParseScript(script)
	if err != nil {
		return jobID, err
	}
	for _, statement := range statements {
		var result client.Result
		if result, err = session.Execute(ctx, script, statement); err != nil {
			return jobID, err
		}
		jobID, _ = result.Job()
		if err := result.Close(); err != nil {
			return jobID, err
		}
	}
	return jobID, nil
}

// measure wants graphs to be as large as they should be.
func (b *burst) measure(g *jobgraph.Graph) error {
	size := int64(proto.Size(g))
	if size < graphBytes {
		return fmt.Errorf("the graph has %d bytes, want %d", size, graphBytes)
	}
	for now := b.least.Load(); now == 0 || size < now; now = b.least.Load() {
		if b.least.CompareAndSwap(now, size) {
			break
		}
	}
	for now := b.most.Load(); size > now; now = b.most.Load() {
		if b.most.CompareAndSwap(now, size) {
			break
		}
	}
	return nil
}

func (b *burst) create() string {
	return fmt.Sprintf("CREATE TABLE burst (job BIGINT, had BIGINT) WITH ('connector' = 'filesystem', 'path' = '%s', 'format' = 'csv');\n", b.table)
}

// Each job has so many literals of so many bytes.
const (
	literalBytes = 500
	literals     = graphBytes/literalBytes + 1
)

// insert is a statement whose graph is large, and that no other job has.
func (b *burst) insert(number int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	random := rand.New(rand.NewPCG(b.Seed, uint64(number)+1))
	var text strings.Builder
	fmt.Fprintf(&text, "INSERT INTO burst SELECT %d, COUNT(*) FROM (VALUES ", number)
	for i := range literals {
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString("('")
		for range literalBytes {
			text.WriteByte(letters[random.IntN(len(letters))])
		}
		text.WriteString("')")
	}
	text.WriteString(") AS t (v) WHERE v <> 'no';\n")
	return text.String()
}

// row is what a job leaves.
func (b *burst) row(number int) string { return fmt.Sprintf("%d,%d", number, literals) }
