package shuffle

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/tidemill/tidemill/core/failure"
)

const (
	// socketBuffer is what readers of sockets ask for at once.
	socketBuffer = 256 << 10
	// frameHeader is a frame's length, rows and checksum.
	frameHeader = 12
	// mostFrame bounds a frame that a reader accepts.
	mostFrame = 64 << 20
)

// end is what one end of a stream's connection does.
type end func(s int, c net.Conn) error

// pump connects each stream and runs both its ends. The sender's connection is closed
// when it is done.
func pump(ctx context.Context, t transport, streams int, send, receive end) (err error) {
	l, err := t.listen()
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	return together(ctx, streams, func(ctx context.Context, s int) error {
		far, err := new(net.Dialer).DialContext(ctx, l.Addr().Network(), l.Addr().String())
		if err != nil {
			return fmt.Errorf("dial: %w", err)
		}
		near, err := l.Accept() // any stream's: the sender tells which one it is
		if err != nil {
			return errors.Join(fmt.Errorf("accept: %w", err), far.Close())
		}
		return together(ctx, 2, func(ctx context.Context, i int) error {
			if i == 0 {
				return use(ctx, far, func() error { return sendAs(s, far, send) })
			}
			return use(ctx, near, func() error { return receiveAny(near, receive) })
		})
	})
}

// sendAs says first which stream follows: accepted connections are in any order.
func sendAs(s int, c net.Conn, send end) error {
	if _, err := c.Write([]byte{byte(s)}); err != nil {
		return err
	}
	return send(s, c)
}

func receiveAny(c net.Conn, receive end) error {
	var s [1]byte
	if _, err := io.ReadFull(c, s[:]); err != nil {
		return err
	}
	return receive(int(s[0]), c)
}

// use closes c when do is done or the context ends.
func use(ctx context.Context, c net.Conn, do func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	err := do()
	if stop() {
		err = errors.Join(err, c.Close())
	}
	return err
}

// moveCopy sends the frames' bytes; who receives them counts bytes.
func moveCopy(ctx context.Context, p path, l *load) (int64, error) {
	var got atomic.Int64
	send := func(s int, c net.Conn) error {
		for i := range l.each {
			if _, err := c.Write(l.frames[l.at(s, i)]); err != nil {
				return err
			}
		}
		return nil
	}
	if p.hops == 2 {
		kept := make([][][]byte, l.streams)
		if err := pump(ctx, p.transport, l.streams, send, keepBytes(kept)); err != nil {
			return 0, err
		}
		send = func(s int, c net.Conn) error {
			for _, piece := range kept[s] {
				if _, err := c.Write(piece); err != nil {
					return err
				}
			}
			return nil
		}
	}
	err := pump(ctx, p.transport, l.streams, send, func(_ int, c net.Conn) error {
		piece := make([]byte, socketBuffer)
		for {
			n, err := c.Read(piece)
			got.Add(int64(n))
			if err != nil {
				return notEOF(err)
			}
		}
	})
	if err != nil {
		return 0, err
	}
	return l.rowsOf(got.Load()), nil
}

// rowsOf is the number of rows if that many bytes are all frames, else none.
func (l *load) rowsOf(bytes int64) int64 {
	for s := range l.streams {
		for i := range l.each {
			bytes -= int64(len(l.frames[l.at(s, i)]))
		}
	}
	if bytes != 0 {
		return 0
	}
	return int64(l.messages()) * int64(l.rows)
}

// keepBytes has a daemon keep what arrives, in pieces.
func keepBytes(kept [][][]byte) end {
	return func(s int, c net.Conn) error {
		for {
			piece := make([]byte, socketBuffer)
			n, err := io.ReadFull(c, piece)
			kept[s] = append(kept[s], piece[:n])
			if errors.Is(err, io.ErrUnexpectedEOF) || err != nil {
				return notEOF(err)
			}
		}
	}
}

func notEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// frame is an opaque body with its number of rows.
type frame struct {
	rows uint32
	body []byte
}

// moveFrames sends frames; who receives them looks at length and checksum.
func moveFrames(ctx context.Context, p path, l *load) (int64, error) {
	var rows atomic.Int64
	send := func(s int, c net.Conn) error {
		w := &frameWriter{conn: c}
		for i := range l.each {
			if err := w.write(frame{rows: uint32(l.rows), body: l.frames[l.at(s, i)]}); err != nil {
				return err
			}
		}
		return nil
	}
	if p.hops == 2 {
		kept := make([][]frame, l.streams)
		keep := func(s int, c net.Conn) error {
			return readFrames(c, func(n int) []byte { return make([]byte, n) }, func(f frame) { kept[s] = append(kept[s], f) })
		}
		if err := pump(ctx, p.transport, l.streams, send, keep); err != nil {
			return 0, err
		}
		send = func(s int, c net.Conn) error {
			w := &frameWriter{conn: c}
			for _, f := range kept[s] {
				if err := w.write(f); err != nil {
					return err
				}
			}
			return nil
		}
	}
	var bodies sync.Pool
	err := pump(ctx, p.transport, l.streams, send, func(_ int, c net.Conn) error {
		body := func(n int) []byte {
			if b, ok := bodies.Get().(*[]byte); ok && cap(*b) >= n {
				return (*b)[:n]
			}
			return make([]byte, n)
		}
		return readFrames(c, body, func(f frame) {
			rows.Add(int64(f.rows))
			bodies.Put(&f.body)
		})
	})
	return rows.Load(), err
}

// frameWriter writes header and body in one call to the kernel.
type frameWriter struct {
	conn   net.Conn
	header [frameHeader]byte
	parts  [2][]byte
}

func (w *frameWriter) write(f frame) error {
	binary.LittleEndian.PutUint32(w.header[0:], uint32(len(f.body)))
	binary.LittleEndian.PutUint32(w.header[4:], f.rows)
	binary.LittleEndian.PutUint32(w.header[8:], checksum(f.body))
	w.parts = [2][]byte{w.header[:], f.body}
	all := net.Buffers(w.parts[:])
	_, err := all.WriteTo(w.conn)
	return err
}

// readFrames reads to the end of the connection; body gives the memory of each.
func readFrames(c net.Conn, body func(n int) []byte, take func(frame)) error {
	r := bufio.NewReaderSize(c, socketBuffer)
	var header [frameHeader]byte
	for {
		if _, err := io.ReadFull(r, header[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read a frame's header: %w", err)
		}
		n := binary.LittleEndian.Uint32(header[0:])
		if n > mostFrame {
			return failure.Errorf(failure.Internal, "frame of %d bytes, the limit is %d", n, mostFrame)
		}
		f := frame{rows: binary.LittleEndian.Uint32(header[4:]), body: body(int(n))}
		if _, err := io.ReadFull(r, f.body); err != nil {
			return fmt.Errorf("read a frame: %w", err)
		}
		if checksum(f.body) != binary.LittleEndian.Uint32(header[8:]) {
			return failure.Errorf(failure.Internal, "frame of %d bytes has another checksum", n)
		}
		take(f)
	}
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
