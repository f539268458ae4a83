package hdfs

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/colinmarc/hdfs/v2"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/fs"
)

// wrap is fs.Wrap for what the library returns: a Java exception becomes the
// error of package fs that means the same, and what another attempt may cure is
// transient.
func wrap(op, path string, err error) error {
	if err == nil {
		return nil
	}
	if transient(err) {
		return failure.Wrap(failure.Transient, fs.Wrap(op, path, translate(err)))
	}
	return fs.Wrap(op, path, translate(err))
}

// exception returns the simple class name of the Java exception in err, or "".
func exception(err error) (name string, remote hdfs.Error) {
	if !errors.As(err, &remote) {
		return "", nil
	}
	class := remote.Exception()
	return class[strings.LastIndexAny(class, ".$")+1:], remote
}

func translate(err error) error {
	name, remote := exception(err)
	switch name {
	case "":
		return err
	case "FileNotFoundException", "ParentNotDirectoryException":
		return fs.ErrNotExist
	case "FileAlreadyExistsException", "AlreadyBeingCreatedException":
		return fs.ErrExist
	case "AccessControlException":
		return fs.ErrPermission
	case "InvalidPathException":
		return fs.ErrInvalid
	}
	text, _, _ := strings.Cut(remote.Message(), "\n") // the rest is the server's stack
	return fmt.Errorf("%w: %s", err, text)
}

// transient reports whether the same call may succeed later or at another node.
func transient(err error) bool {
	if class := failure.Of(err); class == failure.Usage || class == failure.Unauthorized {
		return false
	}
	switch name, _ := exception(err); name {
	case "":
		return broken(err) || failure.Of(err) == failure.Transient
	case "StandbyException", "RetriableException", "SafeModeException", "ServerNotReadyException", "RpcServerException":
		return true
	}
	return false
}

// broken reports whether err means that the client's connection is of no more use.
func broken(err error) bool {
	var network net.Error
	return unreachable(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.As(err, &network)
}

// unreachable reports whether the library found no namenode, which it tells only
// in words.
func unreachable(err error) bool {
	return err != nil && strings.Contains(err.Error(), "no available namenodes")
}
