package wire

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

// Preface begins a bare stream, on a port that speaks other things too: no TLS and no
// HTTP begins so. Its last byte is the version of all that follows.
const Preface = "tidemil\x01"

// maxShown bounds what a caller shows.
const maxShown = 1 << 10

// Greet begins a bare stream on a connection that was dialed:
//
//	Preface | TLS, if there is a config, around | length (2) | ^length (2) | what is shown | frames
//
// It returns the connection that the frames travel on. The context bounds the handshake;
// for all else the connection needs a deadline.
func Greet(ctx context.Context, c net.Conn, config *tls.Config, shown string) (net.Conn, error) {
	if len(shown) > maxShown {
		return nil, fmt.Errorf("%d bytes are shown, the limit is %d", len(shown), maxShown)
	}
	le := binary.LittleEndian
	hello := le.AppendUint16(le.AppendUint16(nil, uint16(len(shown))), ^uint16(len(shown)))
	hello = append(hello, shown...)
	if config == nil {
		_, err := c.Write(append([]byte(Preface), hello...))
		return c, err
	}
	if _, err := io.WriteString(c, Preface); err != nil {
		return nil, err
	}
	secure := tls.Client(c, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	_, err := secure.Write(hello)
	return secure, err
}

// Welcome is the other side of Greet, once the preface was read. The state is nil without
// TLS.
func Welcome(ctx context.Context, c net.Conn, config *tls.Config) (_ net.Conn, state *tls.ConnectionState, shown string, err error) {
	if config != nil {
		secure := tls.Server(c, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, nil, "", err
		}
		s := secure.ConnectionState()
		c, state = secure, &s
	}
	var length [4]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return nil, nil, "", err
	}
	n := binary.LittleEndian.Uint16(length[:])
	if n > maxShown || n != ^binary.LittleEndian.Uint16(length[2:]) {
		return nil, nil, "", fmt.Errorf("%w: no greeting follows the preface", ErrMalformed)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(c, text); err != nil {
		return nil, nil, "", err
	}
	return c, state, string(text), nil
}
