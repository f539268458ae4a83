package s3

import (
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/readahead"
)

// Options say where S3 is and who asks. The zero value is Amazon's, with the
// credentials and region that the AWS SDK finds in environment and profile.
type Options struct {
	// Endpoint is the URL of another server than Amazon's.
	Endpoint string
	// Region is where the buckets are; empty: what the environment says, else us-east-1.
	Region string
	// PathStyle puts the bucket into the path of URLs and not into the host name.
	PathStyle bool
	// AccessKey and SecretKey are the credentials; empty: the SDK's chain.
	AccessKey string
	SecretKey config.Secret
	// InstanceMetadata lets the chain ask the machine it runs on (link-local
	// addresses) for credentials. Otherwise no such address is connected to.
	InstanceMetadata bool

	// PartBytes is the size of the first parts of an upload and of range requests;
	// 0: 8 MiB. S3 takes no parts below 5 MiB.
	PartBytes int64
	// Attempts is how often a request is tried; 0: 5.
	Attempts int
	// Limit is how long one range may take; 0: a minute. One that is not there by
	// then is asked for again.
	Limit time.Duration
	// RetryDelay is the pause before the second try, which doubles from there to
	// 5 s; 0: 100 ms.
	RetryDelay time.Duration
	// Ahead is the memory that files are read ahead into, and bounds how many large
	// requests there are at the same time; nil: a pool of its own.
	Ahead *readahead.Pool
	// HTTP sends the requests; nil: a client of its own.
	HTTP aws.HTTPClient
}

// Limits that protect memory and servers.
const (
	maxIdleConns  = 64      // kept open for the next requests
	maxParts      = 10_000  // of an upload, by S3
	minPartBytes  = 5 << 20 // of all parts but the last, by S3
	maxRetryDelay = 5 * time.Second
)

func (o Options) complete() (Options, error) {
	if (o.AccessKey == "") != (o.SecretKey == "") {
		return o, failure.Errorf(failure.Usage, "s3: access key and secret key must be given together")
	}
	if o.PartBytes == 0 {
		o.PartBytes = 8 << 20
	}
	if o.PartBytes < minPartBytes {
		return o, failure.Errorf(failure.Usage, "s3: parts of %d bytes are below the limit of %d", o.PartBytes, minPartBytes)
	}
	if o.Attempts == 0 {
		o.Attempts = 5
	}
	if o.Limit == 0 {
		o.Limit = time.Minute
	}
	if o.RetryDelay == 0 {
		o.RetryDelay = 100 * time.Millisecond
	}
	if o.Ahead == nil {
		o.Ahead = readahead.NewPool(0)
	}
	return o, nil
}

// FileSystem is S3 as a file system. It implements fs.FileSystem and
// fs.Recoverer; its files are fs.Prefetchers.
type FileSystem struct {
	opts    Options
	counts  fs.Counters
	buffers chan []byte // of uploaded parts, for the next ones

	mu     sync.Mutex
	client *awss3.Client // nil until the first request
}

var (
	_ fs.FileSystem = (*FileSystem)(nil)
	_ fs.Recoverer  = (*FileSystem)(nil)
	_ fs.Meter      = (*FileSystem)(nil)
	_ fs.InfoOpener = (*FileSystem)(nil)
	_ fs.Prefetcher = (*file)(nil)
)

// New returns the file system without asking anybody anything: credentials are
// looked for at the first request.
func New(o Options) (*FileSystem, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	return &FileSystem{opts: o, buffers: make(chan []byte, 8)}, nil
}

// location is a path taken apart. The key of a bucket's root is empty.
type location struct {
	path, bucket, key string
}

// locate takes a path apart; it must name a bucket.
func locate(p string) (location, error) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(path.Clean("/"+p), "/"), "/")
	if bucket == "" {
		return location{}, failure.Errorf(failure.Usage, "no bucket in the path; write s3://bucket/key")
	}
	return location{path: p, bucket: bucket, key: key}, nil
}

// locateFile takes apart the path of what cannot be a whole bucket.
func locateFile(p string) (location, error) {
	at, err := locate(p)
	if err == nil && at.key == "" {
		err = fmt.Errorf("a bucket: %w", fs.ErrIsDir)
	}
	return at, err
}

// below is the prefix of the keys in the directory at.
func (at location) below() string {
	if at.key == "" {
		return ""
	}
	return at.key + "/"
}

// sibling is an object in the directory of at that List hides.
func (at location) sibling(name string) location {
	dir, base := path.Split(at.key)
	at.key = dir + fs.StagedPrefix + base + "-" + name
	return at
}
