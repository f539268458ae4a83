package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/stream"
)

// properties are the client's options, under properties.
type properties struct {
	brokers    []string
	group      string
	client     string
	dirty      bool   // isolation.level is read_uncommitted
	reset      string // auto.offset.reset: earliest, latest, none
	fetchBytes int32
	fetchWait  time.Duration
	txnTimeout time.Duration
	delivery   time.Duration
	linger     time.Duration
	codec      kgo.CompressionCodec
	security   string
	mechanism  string
	user, pass string
	authority  string // PEM file with the brokers' authority
}

// Limits of clients.
const (
	defaultFetchBytes = 8 << 20
	maxFetchBytes     = 1 << 30
	// sendBytes is what a writer's client holds that is not acknowledged.
	sendBytes  = 16 << 20
	askTimeout = 20 * time.Second // of one question, with all its tries
)

// properties takes what the client understands; the rest is unknown.
func (p *parser) properties() properties {
	const in = "properties."
	out := properties{
		group: p.text(in+"group.id", ""), client: p.text(in+"client.id", "tidemill"),
		dirty:      p.choice(in+"isolation.level", "read_committed", "read_committed", "read_uncommitted") == "read_uncommitted",
		reset:      p.choice(in+"auto.offset.reset", "none", "none", "earliest", "latest"),
		fetchBytes: int32(p.Integer(in+"fetch.max.bytes", defaultFetchBytes, 1<<10, maxFetchBytes)),
		fetchWait:  p.millis(in+"fetch.max.wait.ms", 500*time.Millisecond),
		txnTimeout: p.millis(in+"transaction.timeout.ms", 15*time.Minute),
		delivery:   p.millis(in+"delivery.timeout.ms", 2*time.Minute),
		linger:     p.millis(in+"linger.ms", 5*time.Millisecond),
		security:   p.choice(in+"security.protocol", "PLAINTEXT", "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
		mechanism:  p.choice(in+"sasl.mechanism", "PLAIN", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
		authority:  p.text(in+"ssl.truststore.location", ""),
	}
	p.choice(in+"acks", "all", "all", "-1")
	for _, b := range strings.Split(p.text(in+"bootstrap.servers", ""), ",") {
		if b = strings.TrimSpace(b); b != "" {
			out.brokers = append(out.brokers, b)
		}
	}
	if len(out.brokers) == 0 {
		p.Fail("option 'properties.bootstrap.servers' is missing")
	}
	switch p.choice(in+"compression.type", "none", "none", "gzip", "snappy", "lz4", "zstd") {
	case "gzip":
		out.codec = kgo.GzipCompression()
	case "snappy":
		out.codec = kgo.SnappyCompression()
	case "lz4":
		out.codec = kgo.Lz4Compression()
	case "zstd":
		out.codec = kgo.ZstdCompression()
	default:
		out.codec = kgo.NoCompression()
	}
	if jaas, ok := p.Take(in + "sasl.jaas.config"); ok {
		out.user, out.pass = jaasValue(jaas, "username"), jaasValue(jaas, "password")
		if out.user == "" {
			p.Fail("option 'properties.sasl.jaas.config': there is no username=\"...\"")
		}
	} else if strings.HasPrefix(out.security, "SASL") {
		p.Fail("option 'properties.sasl.jaas.config' is missing: 'properties.security.protocol' is '%s'", out.security)
	}
	return out
}

func jaasValue(jaas, key string) string {
	m := regexp.MustCompile(`\b` + key + `\s*=\s*["']([^"']*)["']`).FindStringSubmatch(jaas)
	if m == nil {
		return ""
	}
	return m[1]
}

func (p *parser) millis(key string, def time.Duration) time.Duration {
	return time.Duration(p.Integer(key, def.Milliseconds(), 0, 1<<31-1)) * time.Millisecond
}

// common are the options of every client.
func (p *properties) common() ([]kgo.Opt, error) {
	opts := []kgo.Opt{
		kgo.SeedBrokers(p.brokers...), kgo.ClientID(p.client), kgo.RetryTimeout(askTimeout), kgo.DialTimeout(5 * time.Second),
		kgo.MetadataMinAge(250 * time.Millisecond), kgo.DisableClientMetrics(),
	}
	if strings.HasSuffix(p.security, "SSL") {
		c, err := p.tls()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(c))
	}
	if strings.HasPrefix(p.security, "SASL") {
		auth := scram.Auth{User: p.user, Pass: p.pass}
		switch p.mechanism {
		case "SCRAM-SHA-256":
			opts = append(opts, kgo.SASL(auth.AsSha256Mechanism()))
		case "SCRAM-SHA-512":
			opts = append(opts, kgo.SASL(auth.AsSha512Mechanism()))
		default:
			opts = append(opts, kgo.SASL(plain.Auth{User: p.user, Pass: p.pass}.AsMechanism()))
		}
	}
	return opts, nil
}

func (p *properties) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if p.authority == "" {
		return c, nil
	}
	text, err := os.ReadFile(p.authority)
	if err != nil {
		return nil, failure.Errorf(failure.Usage, "option 'properties.ssl.truststore.location': %w", err)
	}
	if block, _ := pem.Decode(text); block == nil {
		return nil, failure.Errorf(failure.Usage, "option 'properties.ssl.truststore.location': %s is not PEM", p.authority)
	}
	c.RootCAs = x509.NewCertPool()
	c.RootCAs.AppendCertsFromPEM(text)
	return c, nil
}

// connect makes a client; it asks nobody yet.
func (p *properties) connect(more ...kgo.Opt) (*kgo.Client, error) {
	opts, err := p.common()
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(opts, more...)...)
	if err != nil {
		return nil, failure.Errorf(failure.Usage, "kafka client of %s: %w", strings.Join(p.brokers, ", "), err)
	}
	return client, nil
}

// asked classifies the error of a question to brokers.
func asked(doing string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", doing, err)
	if broker, ok := errors.AsType[*kerr.Error](err); ok && !broker.Retriable {
		return failure.Wrap(failure.Fatal, err)
	}
	return failure.Wrap(failure.Transient, err)
}

// away notes since when no broker can be reached. Clients' goroutines tell it.
type away struct {
	since atomic.Int64 // Unix nanoseconds; 0: one answers
	now   func() time.Time
}

var (
	_ kgo.HookBrokerConnect = (*away)(nil)
	_ kgo.HookBrokerRead    = (*away)(nil)
)

// OnBrokerRead implements kgo.HookBrokerRead: another broker may be away.
func (a *away) OnBrokerRead(_ kgo.BrokerMetadata, _ int16, _ int, _, _ time.Duration, err error) {
	if err == nil {
		a.since.Store(0)
	}
}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (a *away) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err == nil {
		a.since.Store(0)
		return
	}
	a.since.CompareAndSwap(0, a.now().UnixNano())
}

// check fails once brokers have been away for too long.
func (a *away) check(brokers []string) error {
	since := a.since.Load()
	if since == 0 {
		return nil
	}
	if d := a.now().Sub(time.Unix(0, since)); d > patience {
		return failure.Errorf(failure.Transient, "no broker of %s can be reached for %v", strings.Join(brokers, ", "), d.Round(time.Second))
	}
	return nil
}

// ledger is an account, or none.
type ledger struct {
	account stream.Account
	held    int64
}

func (l *ledger) grow(n int64) error {
	if l.account == nil {
		return nil
	}
	if err := l.account.Grow(n); err != nil {
		return err
	}
	l.held += n
	return nil
}

func (l *ledger) shrink(n int64) {
	if l.account != nil {
		l.account.Shrink(n)
		l.held -= n
	}
}

// within bounds a question.
func within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, askTimeout)
}
