package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// insideVariable tells a process that it is in the namespace already.
const insideVariable = "TIDEMILL_VERIFY_NAMESPACE"

// inNamespace runs this program again in a user namespace of its own, in which it may
// mount small disks without being root. It returns false where that is not needed, or
// the machine does not allow it.
func inNamespace(ctx context.Context) (bool, error) {
	self, err := os.Executable()
	if os.Geteuid() == 0 || os.Getenv(insideVariable) != "" || err != nil {
		return false, err
	}
	cmd := exec.CommandContext(ctx, self, os.Args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideVariable+"=yes")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return false, nil // not allowed here
	}
	return true, err
}
