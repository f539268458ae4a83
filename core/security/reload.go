package security

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"os"
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/failure"
)

// source is where an identity came from, so that it is read again when that changes. The
// zero one is nowhere.
type source struct {
	dir  string
	role Role
	// seen is the digest of the files that were read, and failed of those that could not be.
	seen, failed [sha256.Size]byte
	// issued says that the authority in the directory made the certificate for this
	// process alone: it makes another one in time.
	issued bool
}

// OpenIdentity is the identity of a role in a directory: its files, as Save wrote them, or
// else a certificate that the authority whose key is there makes now. Reload follows the
// directory.
func OpenIdentity(dir string, role Role) (*Identity, error) {
	files := source{dir: dir, role: role, seen: digest(dir, role)}
	i, err := LoadIdentity(dir, role.String())
	if failure.Of(err) == failure.NotFound {
		ca, noKey := LoadCA(dir)
		if failure.Of(noKey) == failure.NotFound {
			return nil, err
		}
		if noKey != nil {
			return nil, noKey
		}
		files.issued = true
		i, err = ca.Issue(Grant{Roles: []Role{role}})
	}
	if err != nil {
		return nil, err
	}
	i.files = files
	return i, nil
}

// Reload reads the identity's files again if they have changed, or makes another
// certificate if the directory's authority made this one and two thirds of its time are
// over. With an error, which is told once for each state of the files, the identity is
// what it was. One goroutine calls it.
func (i *Identity) Reload(now time.Time) (changed bool, err error) {
	if i.files.dir == "" {
		return false, nil
	}
	files := digest(i.files.dir, i.files.role)
	if files == i.files.seen && !i.worn(now) || files == i.files.failed {
		return false, nil
	}
	next, err := OpenIdentity(i.files.dir, i.files.role)
	if err != nil {
		i.files.failed = files
		return false, err
	}
	i.held.Store(next.held.Load())
	i.files = next.files
	return true, nil
}

// worn says that a certificate of our own making should be made anew.
func (i *Identity) worn(now time.Time) bool {
	if !i.files.issued {
		return false
	}
	m := i.held.Load()
	life := m.cert.NotAfter.Sub(m.cert.NotBefore)
	return now.After(m.cert.NotAfter.Add(-life / 3))
}

// digest tells apart the states of a role's files.
func digest(dir string, role Role) [sha256.Size]byte {
	h := sha256.New()
	if root, err := os.OpenRoot(dir); err == nil {
		defer func() { _ = root.Close() }()
		for _, name := range []string{caCertFile, caKeyFile, role.String() + ".crt", role.String() + ".key"} {
			data, err := read(root, name, false)
			size := int64(len(data))
			if err != nil {
				size = -1
			}
			_ = binary.Write(h, binary.LittleEndian, size) // a hash takes everything
			_, _ = h.Write(data)
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// Reload reads the authority's files again. With an error it is what it was.
func (ca *CA) Reload() (changed bool, err error) {
	if ca.dir == "" {
		return false, nil
	}
	next, err := LoadCA(ca.dir)
	if err != nil {
		return false, err
	}
	if now := ca.held.Load(); now.key.Equal(next.held.Load().key) && slices.EqualFunc(now.authorities, next.held.Load().authorities, (*x509.Certificate).Equal) {
		return false, nil
	}
	ca.held.Store(next.held.Load())
	return true, nil
}
