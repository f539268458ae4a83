//go:build !unix

package main

import "syscall"

// apart has nothing to do here.
func apart() *syscall.SysProcAttr { return nil }
