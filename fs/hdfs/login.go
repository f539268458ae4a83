package hdfs

import (
	"fmt"
	"os"
	"strings"

	krb "github.com/jcmturner/gokrb5/v8/client"
	krbconf "github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/keytab"

	"github.com/tidemill/tidemill/core/failure"
)

// login is a Kerberos login; the library renews its ticket until it is destroyed.
type login struct {
	client  *krb.Client
	service string // the namenode's principal without its realm
}

// newLogin logs in from a keytab, or returns nil when none is given and the
// configuration asks for none.
func newLogin(keytabFile, principal string, conf Conf) (*login, error) {
	wanted := strings.EqualFold(conf.Get("hadoop.security.authentication"), "kerberos")
	if keytabFile == "" && principal == "" {
		if wanted {
			return nil, failure.Errorf(failure.Usage, "the hadoop configuration asks for kerberos: set security.kerberos.login.keytab and security.kerberos.login.principal")
		}
		return nil, nil
	}
	name, realm, ok := strings.Cut(principal, "@")
	if !ok || name == "" || realm == "" || keytabFile == "" {
		return nil, failure.Errorf(failure.Usage, "kerberos login needs a keytab and a principal such as user@REALM, got %q and %q", keytabFile, principal)
	}
	service, _, _ := strings.Cut(orDefault(conf.Get("dfs.namenode.kerberos.principal"), "nn/_HOST"), "@")
	file := orDefault(os.Getenv("KRB5_CONFIG"), "/etc/krb5.conf")
	settings, err := krbconf.Load(file)
	if err != nil {
		return nil, failure.Wrap(failure.Usage, fmt.Errorf("kerberos configuration %s: %w", file, err))
	}
	keys, err := keytab.Load(keytabFile)
	if err != nil {
		return nil, failure.Wrap(failure.Usage, fmt.Errorf("kerberos keytab %s: %w", keytabFile, err))
	}
	client := krb.NewWithKeytab(name, realm, keys, settings, krb.DisablePAFXFAST(true))
	if err := client.Login(); err != nil {
		return nil, failure.Wrap(failure.Unauthorized, fmt.Errorf("kerberos login of %s: %w", principal, err))
	}
	return &login{client: client, service: service}, nil
}

func (l *login) close() {
	if l != nil {
		l.client.Destroy()
	}
}
