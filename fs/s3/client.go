package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

// Stats implements fs.Meter.
func (f *FileSystem) Stats() fs.Stats { return f.counts.Stats() }

// countingClient counts what passes.
type countingClient struct {
	aws.HTTPClient
	counts *fs.Counters
}

func (c countingClient) Do(r *http.Request) (*http.Response, error) {
	c.counts.Requests.Add(1)
	if try := r.Header.Get("Amz-Sdk-Request"); try != "" && !strings.HasPrefix(try, "attempt=1;") {
		c.counts.Retries.Add(1)
	}
	c.counts.BytesWritten.Add(uint64(max(r.ContentLength, 0)))
	resp, err := c.HTTPClient.Do(r)
	if err != nil || unserved(resp.StatusCode) {
		c.counts.Errors.Add(1)
	}
	if err != nil {
		return resp, err
	}
	resp.Body = &countingBody{ReadCloser: resp.Body, counts: c.counts}
	return resp, nil
}

// unserved reports a status that is neither a success nor an answer to the question
// whether something is there or has changed.
func unserved(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		return false
	}
	return status >= http.StatusMultipleChoices
}

type countingBody struct {
	io.ReadCloser
	counts *fs.Counters
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.counts.BytesRead.Add(uint64(n))
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, context.Canceled) {
		b.counts.Errors.Add(1)
	}
	return n, err
}

// api returns the client, made by the first call that finds credentials.
func (f *FileSystem) api(ctx context.Context) (*awss3.Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.client != nil {
		return f.client, nil
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, f.settings()...)
	if err != nil {
		return nil, failure.Errorf(failure.Usage, "s3: read the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return nil, failure.Errorf(failure.Usage,
			"s3: no credentials: set s3.access-key and s3.secret-key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile: %w", err)
	}
	f.client = awss3.NewFromConfig(cfg, func(o *awss3.Options) {
		if f.opts.HTTP != nil {
			o.HTTPClient = f.opts.HTTP
		}
		o.HTTPClient = countingClient{HTTPClient: o.HTTPClient, counts: &f.counts}
		o.UsePathStyle = f.opts.PathStyle
		if f.opts.Endpoint != "" {
			o.BaseEndpoint = aws.String(f.opts.Endpoint)
		}
		// Ranges have no checksum of their own, and formats check what they read.
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.DisableLogOutputChecksumValidationSkipped = true
	})
	return f.client, nil
}

func (f *FileSystem) settings() []func(*awsconfig.LoadOptions) error {
	state := imds.ClientDisabled
	if f.opts.InstanceMetadata {
		state = imds.ClientEnabled
	}
	settings := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithEC2IMDSClientEnableState(state),
		awsconfig.WithHTTPClient(newHTTPClient(f.opts.InstanceMetadata)), // AWS_CA_BUNDLE may be added to it
		awsconfig.WithRetryer(f.retryer()),
	}
	if f.opts.Region != "" {
		settings = append(settings, awsconfig.WithRegion(f.opts.Region))
	}
	if f.opts.AccessKey != "" {
		static := credentials.NewStaticCredentialsProvider(f.opts.AccessKey, f.opts.SecretKey.Reveal(), "")
		settings = append(settings, awsconfig.WithCredentialsProvider(static))
	}
	return settings
}

// retryer makes one retryer that all requests share: it is their budget of
// tries, which successes fill up again.
func (f *FileSystem) retryer() func() aws.Retryer {
	shared := retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = f.opts.Attempts
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
			return f.delay(attempt), nil
		})
	})
	return func() aws.Retryer { return shared }
}

// delay is the pause after that many tries, half of it by chance.
func (f *FileSystem) delay(attempt int) time.Duration {
	d := min(f.opts.RetryDelay<<min(max(attempt-1, 0), 16), maxRetryDelay)
	return d/2 + rand.N(d/2+1)
}

// pause waits before another try.
func (f *FileSystem) pause(ctx context.Context, attempt int) error {
	timer := time.NewTimer(f.delay(attempt))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func newHTTPClient(linkLocal bool) aws.HTTPClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = maxIdleConns
		t.MaxIdleConns = 2 * maxIdleConns
		t.IdleConnTimeout = 60 * time.Second
		t.ResponseHeaderTimeout = 60 * time.Second
		t.ReadBufferSize = 64 << 10
		t.WriteBufferSize = 64 << 10
	}).WithDialerOptions(func(d *net.Dialer) {
		d.Timeout = 10 * time.Second
		if !linkLocal {
			d.Control = refuseLinkLocal
		}
	})
}

// refuseLinkLocal keeps a program from talking to the metadata service of the
// machine it runs on, whoever names its address: a redirect, a profile, DNS.
func refuseLinkLocal(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %s: %w", address, err)
	}
	ip := to.Addr().Unmap()
	if ip.IsLinkLocalUnicast() || netip.MustParsePrefix("fd00:ec2::/32").Contains(ip) {
		return failure.Errorf(failure.Usage, "%s is a link-local address; s3.instance-metadata allows it", ip)
	}
	return nil
}
