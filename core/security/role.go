package security

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/core/failure"
)

// Role is what a process does in the cluster; one process may have several.
type Role uint8

// The roles.
const (
	InvalidRole Role = iota
	Master
	Worker
	Shuffle
	Client
)

var roleNames = [...]string{"invalid", "master", "worker", "shuffle", "client"}

// String is the role's name in commands and certificates.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// ParseRole is the inverse of String; an unknown name is a Usage error.
func ParseRole(name string) (Role, error) {
	if i := slices.Index(roleNames[:], name); i > 0 {
		return Role(i), nil
	}
	return InvalidRole, failure.Errorf(failure.Usage, "role %q is none of %s", name, strings.Join(roleNames[1:], ", "))
}

// RolesOf lists the roles that a certificate gives its holder. Whether to believe it
// is decided by its chain, which crypto/tls has verified before.
func RolesOf(c *x509.Certificate) []Role {
	var out []Role
	for _, u := range c.URIs {
		if u.Scheme != roleScheme || u.Host != roleHost {
			continue
		}
		if r, err := ParseRole(strings.TrimPrefix(u.Path, "/")); err == nil {
			out = append(out, r)
		}
	}
	return out
}

// CheckRole refuses a certificate that gives none of the wanted roles.
func CheckRole(c *x509.Certificate, wanted ...Role) error { return CheckRoles(RolesOf(c), wanted...) }

// CheckRoles is CheckRole of the roles that a certificate gives.
func CheckRoles(has []Role, wanted ...Role) error {
	for _, r := range has {
		if slices.Contains(wanted, r) {
			return nil
		}
	}
	return failure.Errorf(failure.Unauthorized, "the certificate is of role %s, not %s", join(has), join(wanted))
}

// A role stands in a certificate as tidemill://role/NAME among its URIs.
const (
	roleScheme = "tidemill"
	roleHost   = "role"
)

func (r Role) uri() *url.URL {
	return &url.URL{Scheme: roleScheme, Host: roleHost, Path: "/" + r.String()}
}

func join(roles []Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = r.String()
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " or ")
}
