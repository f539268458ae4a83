package hdfs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/colinmarc/hdfs/v2"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
	"github.com/tidemill/tidemill/fs/readahead"
)

// Options configures the file system; the zero value is what Hadoop's own tools
// would do on this machine. It is completed at the first use of a path.
type Options struct {
	// ConfDir holds core-site.xml and hdfs-site.xml; empty takes
	// HADOOP_CONF_DIR, then HADOOP_HOME/etc/hadoop, then no configuration.
	ConfDir string
	// User is who acts without Kerberos; empty takes HADOOP_USER_NAME, then the
	// user of this process.
	User string
	// Keytab and Principal (user@REALM) log in to Kerberos; both or none.
	Keytab, Principal string
	// Clients is the most connections to one cluster's namenode; 0 is 8.
	Clients int
	// Limit is how long one call, or one read or write of a connection to a
	// datanode, may take; 0 is 20 s.
	Limit time.Duration
	// Retry is how long a call that fails for the moment is tried again; 0 is 30 s.
	Retry time.Duration
	// Ahead is the memory that files are read ahead into; nil: a pool of its own.
	Ahead *readahead.Pool
	// Dial opens connections; nil uses TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// settings are completed options.
type settings struct {
	Options
	counts      *fs.Counters
	conf        Conf
	login       *login // nil without Kerberos
	protection  string // of data transfer: "", authentication or privacy
	replication int    // 0: the server's
	blockSize   int64  // 0: the server's
}

func (o Options) complete() (settings, error) {
	s := settings{Options: o, counts: new(fs.Counters)}
	if s.ConfDir == "" {
		s.ConfDir = confDir()
	}
	s.conf = Conf{}
	var err error
	if s.ConfDir != "" {
		if s.conf, err = LoadConf(s.ConfDir); err != nil {
			return s, failure.Wrap(failure.Usage, err)
		}
	}
	s.Clients, s.Limit, s.Retry = orDefault(s.Clients, 8), orDefault(s.Limit, 20*time.Second), orDefault(s.Retry, 30*time.Second)
	if s.Ahead == nil {
		s.Ahead = readahead.NewPool(0)
	}
	if s.Dial == nil {
		s.Dial = (&net.Dialer{Timeout: s.Limit}).DialContext
	}
	if s.replication, s.blockSize, err = s.conf.layout(); err != nil {
		return s, failure.Wrap(failure.Usage, err)
	}
	if s.protection, err = s.conf.protection(); err != nil {
		return s, failure.Wrap(failure.Usage, err)
	}
	if s.login, err = newLogin(o.Keytab, o.Principal, s.conf); err != nil || s.login != nil {
		return s, err
	}
	s.User, err = userName(s.User)
	return s, err
}

func orDefault[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}

func userName(given string) (string, error) {
	if name := orDefault(given, os.Getenv("HADOOP_USER_NAME")); name != "" {
		return name, nil
	}
	u, err := user.Current()
	if err != nil {
		return "", failure.Wrap(failure.Usage, fmt.Errorf("who acts in hdfs (set HADOOP_USER_NAME): %w", err))
	}
	return u.Username, nil
}

// layout returns what the configuration says of new files; 0 leaves it to the server.
func (c Conf) layout() (replication int, blockSize int64, err error) {
	if v := c.Get("dfs.replication"); v != "" {
		if replication, err = strconv.Atoi(v); err != nil || replication < 1 {
			return 0, 0, fmt.Errorf("dfs.replication in the hadoop configuration: %q is no count", v)
		}
	}
	v := strings.ToLower(c.Get("dfs.blocksize"))
	if v == "" {
		return replication, 0, nil
	}
	shift := 10 * (strings.IndexByte("kmgt", v[len(v)-1]) + 1)
	blockSize, err = strconv.ParseInt(strings.TrimRight(v, "kmgt"), 10, 64)
	if blockSize <<= shift; err != nil || blockSize < 1 {
		return 0, 0, fmt.Errorf("dfs.blocksize in the hadoop configuration: %q is no size", v)
	}
	return replication, blockSize, nil
}

const aes = "AES/CTR/NoPadding"

var errProtection = errors.New("use authentication, or privacy with dfs.encrypt.data.transfer.cipher.suites " + aes)

// protection chooses the level at which data travels, from those that the
// configuration allows, and refuses by name those whose reads the library breaks:
// integrity, and privacy without AES.
func (c Conf) protection() (string, error) {
	allowed := strings.FieldsFunc(strings.ToLower(c.Get("dfs.data.transfer.protection")), func(r rune) bool { return r == ',' || r == ' ' })
	if strings.EqualFold(c.Get("dfs.encrypt.data.transfer"), "true") {
		allowed = []string{hdfs.DataTransferProtectionPrivacy}
	}
	switch {
	case len(allowed) == 0:
		return "", nil
	case slices.Contains(allowed, hdfs.DataTransferProtectionPrivacy) && c.encrypts():
		return hdfs.DataTransferProtectionPrivacy, nil
	case slices.Contains(allowed, hdfs.DataTransferProtectionAuthentication):
		return hdfs.DataTransferProtectionAuthentication, nil
	}
	return "", fmt.Errorf("data transfer protection %s is not supported: %w", strings.Join(allowed, ","), errProtection)
}

func (c Conf) encrypts() bool { return c.Get("dfs.encrypt.data.transfer.cipher.suites") == aes }
