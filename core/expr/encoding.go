package expr

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/core/datatype"
	"github.com/tidemill/tidemill/core/failure"
)

// encodingFunction finds the kernels that write text or bytes in another form.
func encodingFunction(x *Call) kernel {
	if f := digest(x.Function); f != nil {
		return textKernel(func(b, s []byte) []byte { return hex.AppendEncode(b, f(s)) })
	}
	switch x.Function {
	case "TO_BASE64":
		return textKernel(func(b, s []byte) []byte { return base64.StdEncoding.AppendEncode(b, s) })
	case "FROM_BASE64":
		return textOf(fromBase64)
	case "HEX":
		if x.Args[0].Type().IsInteger() {
			return textOf(func(b []byte, a *arguments, r int32) ([]byte, bool) {
				return append(b, strings.ToUpper(strconv.FormatUint(uint64(a.n(0, r)), 16))...), true
			})
		}
		return textKernel(func(b, s []byte) []byte { return append(b, strings.ToUpper(hex.EncodeToString(s))...) })
	case "UNHEX":
		return textOf(unhex)
	case "BIN":
		return textOf(func(b []byte, a *arguments, r int32) ([]byte, bool) {
			return strconv.AppendUint(b, uint64(a.n(0, r)), 2), true
		})
	case "ENCODE", "DECODE":
		return textOf(charset)
	case "PARSE_URL":
		return textOf(parseURL)
	case "TYPEOF":
		return constantText(x.Args[0].Type())
	default:
		return nil
	}
}

func digest(name string) func(s []byte) []byte {
	switch name {
	case "MD5":
		return func(s []byte) []byte { h := md5.Sum(s); return h[:] }
	case "SHA1":
		return func(s []byte) []byte { h := sha1.Sum(s); return h[:] }
	case "SHA224":
		return func(s []byte) []byte { h := sha256.Sum224(s); return h[:] }
	case "SHA256":
		return func(s []byte) []byte { h := sha256.Sum256(s); return h[:] }
	case "SHA384":
		return func(s []byte) []byte { h := sha512.Sum384(s); return h[:] }
	case "SHA512":
		return func(s []byte) []byte { h := sha512.Sum512(s); return h[:] }
	default:
		return nil
	}
}

// sha2Kernel is SHA2: the digest of so many bits.
func sha2Kernel(k *call) error {
	a, out := k.arguments(), k.textOut()
	for _, r := range k.rows() {
		if !out.begin(r) {
			break
		}
		bits := a.n(1, r)
		if bits != 224 && bits != 256 && bits != 384 && bits != 512 {
			return failure.Errorf(failure.UserCode, "SHA2: a digest of %d bits; there are 224, 256, 384 and 512", bits)
		}
		out.data = hex.AppendEncode(out.data, digest("SHA"+strconv.FormatInt(bits, 10))(a.s(0, r)))
	}
	return out.end()
}

func fromBase64(b []byte, a *arguments, r int32) ([]byte, bool) {
	out, err := base64.StdEncoding.AppendDecode(b, a.s(0, r))
	if err != nil {
		return b, false
	}
	return out, true
}

func unhex(b []byte, a *arguments, r int32) ([]byte, bool) {
	s := a.s(0, r)
	if len(s)%2 != 0 {
		s = append([]byte("0"), s...)
	}
	out, err := hex.AppendDecode(b, s)
	if err != nil {
		return b, false
	}
	return out, true
}

// charset is ENCODE and DECODE: the engine's text is UTF-8, of which US-ASCII is
// a part. Other character sets give null.
func charset(b []byte, a *arguments, r int32) ([]byte, bool) {
	switch strings.ToUpper(string(a.s(1, r))) {
	case "UTF-8", "UTF8", "US-ASCII":
		return append(b, a.s(0, r)...), true
	default:
		return b, false
	}
}

// parseURL is PARSE_URL: a part of a URL, or one parameter of its query.
func parseURL(b []byte, a *arguments, r int32) ([]byte, bool) {
	u, err := url.Parse(string(a.s(0, r)))
	if err != nil {
		return b, false
	}
	part := map[string]string{
		"HOST": u.Hostname(), "PATH": u.EscapedPath(), "QUERY": u.RawQuery, "REF": u.Fragment, "PROTOCOL": u.Scheme,
		"FILE": u.RequestURI(), "AUTHORITY": u.Host, "USERINFO": u.User.String(),
	}[string(a.s(1, r))]
	if a.count() > 2 {
		if string(a.s(1, r)) != "QUERY" {
			return b, false
		}
		part = u.Query().Get(string(a.s(2, r)))
	}
	return append(b, part...), part != ""
}

func constantText(t datatype.Type) kernel {
	return textOf(func(b []byte, _ *arguments, _ int32) ([]byte, bool) { return append(b, t.String()...), true })
}

// uuidKernel makes random UUIDs of version 4.
func uuidKernel(random *rand.Rand) kernel {
	return textOf(func(b []byte, _ *arguments, _ int32) ([]byte, bool) {
		var id [16]byte
		for i := range id {
			id[i] = byte(random.Uint32())
		}
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
		for i, part := range [][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
			if i > 0 {
				b = append(b, '-')
			}
			b = hex.AppendEncode(b, part)
		}
		return b, true
	})
}
