package tidemill

import (
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/config"
	"github.com/tidemill/tidemill/core/connector"
	"github.com/tidemill/tidemill/core/connector/blackhole"
	"github.com/tidemill/tidemill/core/connector/datagen"
	"github.com/tidemill/tidemill/core/connector/filesystem"
	"github.com/tidemill/tidemill/core/connector/kafka"
	"github.com/tidemill/tidemill/core/connector/nexmark"
	"github.com/tidemill/tidemill/core/connector/print"
	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/core/memory"
	"github.com/tidemill/tidemill/core/suggest"
	"github.com/tidemill/tidemill/formats"
	"github.com/tidemill/tidemill/formats/arrowipc"
	"github.com/tidemill/tidemill/formats/csv"
	"github.com/tidemill/tidemill/formats/json"
	"github.com/tidemill/tidemill/formats/parquet"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/hdfs"
	"github.com/tidemill/tidemill/fs/local"
	"github.com/tidemill/tidemill/fs/memfs"
	"github.com/tidemill/tidemill/fs/readahead"
	"github.com/tidemill/tidemill/fs/s3"
)

// Registry is what a program can read and write: connectors by the value of their
// 'connector' option, formats, and file systems by the scheme of their URIs. It is
// filled first and then only read, by anybody.
type Registry struct {
	Formats     *formats.Registry
	FileSystems *fs.Registry

	connectors map[string]connector.Connector
	closers    []io.Closer
}

// Close ends the connections of the built-in file systems. Nothing may use the
// registry any more.
func (r *Registry) Close() error {
	var errs []error
	for _, c := range r.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Builtins returns what comes with the engine: the connectors filesystem, kafka,
// upsert-kafka, datagen, nexmark, blackhole and print; the formats parquet, csv, json and arrow; the file systems file, s3,
// hdfs and mem, the last empty and the registry's own. The settings are those of the
// process, as in Options; nil takes the defaults.
func Builtins(settings map[string]string) (*Registry, error) {
	c, err := config.FromMap(settings, "engine")
	if err != nil {
		return nil, err
	}
	r := &Registry{FileSystems: fs.NewRegistry(), connectors: map[string]connector.Connector{}}
	if err := r.registerFileSystems(c); err != nil {
		return nil, err
	}
	if r.Formats, err = formats.NewRegistry(parquet.Format{}, csv.Format{}, json.Format{}, arrowipc.Format{}); err != nil {
		return nil, err
	}
	for _, c := range []connector.Connector{
		filesystem.New(r.FileSystems, r.Formats), kafka.New(r.Formats), kafka.NewUpsert(r.Formats),
		datagen.Connector{},
		nexmark.Connector{},
		blackhole.Connector{},
		print.New(os.Stdout, os.Stderr),
	} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// registerFileSystems adds the file systems by the schemes of their URIs. None of
// them asks a server before it is used. Together they read ahead into an eighth of
// the worker's memory, which is not in its ledger, and never more than 256 MiB.
func (r *Registry) registerFileSystems(c config.Config) error {
	disk, err := local.New(local.Options{})
	if err != nil {
		return err
	}
	ahead := readahead.NewPool(min(readahead.DefaultLimit, memory.OfProcess(c)/8))
	objects, err := s3.New(s3.Options{
		Ahead:    ahead,
		Endpoint: config.S3Endpoint.Get(c), Region: config.S3Region.Get(c), PathStyle: config.S3PathStyle.Get(c),
		AccessKey: config.S3AccessKey.Get(c), SecretKey: config.S3SecretKey.Get(c),
		InstanceMetadata: config.S3InstanceMetadata.Get(c),
	})
	if err != nil {
		return err
	}
	hadoop := hdfs.New(hdfs.Options{
		Ahead:   ahead,
		ConfDir: config.HadoopConfDir.Get(c), Keytab: config.KerberosKeytab.Get(c), Principal: config.KerberosPrincipal.Get(c),
	})
	r.closers = append(r.closers, hadoop)
	return errors.Join(
		r.FileSystems.Register(fs.DefaultScheme, disk),
		r.FileSystems.Register("mem", memfs.New(memfs.Options{})),
		r.FileSystems.Register("s3", objects),
		r.FileSystems.Register("s3a", objects), // as Hadoop writes it
		r.FileSystems.Register("hdfs", hadoop),
	)
}

// Register adds a connector; a name that is taken is an error.
func (r *Registry) Register(c connector.Connector) error {
	if _, taken := r.connectors[c.Name()]; taken {
		return failure.Errorf(failure.Conflict, "two connectors are called %s", c.Name())
	}
	r.connectors[c.Name()] = c
	return nil
}

// Wrap replaces each connector by what around makes of it; their names stay. Tests use it
// to stand between the engine and its tables.
func (r *Registry) Wrap(around func(connector.Connector) connector.Connector) {
	for name, c := range r.connectors {
		r.connectors[name] = around(c)
	}
}

// Lookup returns the connector of that name, and false if there is none.
func (r *Registry) Lookup(name string) (connector.Connector, bool) {
	c, ok := r.connectors[name]
	return c, ok
}

// Names lists the connectors, sorted.
func (r *Registry) Names() []string { return slices.Sorted(maps.Keys(r.connectors)) }

// Connector is Lookup with an error that helps.
func (r *Registry) Connector(name string) (connector.Connector, error) {
	if c, ok := r.connectors[name]; ok {
		return c, nil
	}
	hint := "known are " + strings.Join(r.Names(), ", ")
	if near := suggest.Closest(name, r.Names()); near != "" {
		hint = "did you mean " + near + "?"
	}
	return nil, failure.Errorf(failure.InvalidSQL, "unknown connector %q: %s", name, hint)
}
