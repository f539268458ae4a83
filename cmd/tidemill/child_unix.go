//go:build unix

package main

import "syscall"

// apart has a child not get the signals that a terminal sends to us: we end it in turn.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
