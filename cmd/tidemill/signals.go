package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// signals turns SIGINT and SIGTERM into ended contexts: that of the statement
// which runs at the prompt, otherwise that of the process. A signal that finds
// the process's ended already ends the process at once, whatever it is doing;
// one right behind the first is its echo: timeout(1) and shells signal a process
// and its group.
type signals struct {
	arrived    chan os.Signal
	done, gone chan struct{}

	mu        sync.Mutex
	process   context.CancelFunc
	statement context.CancelFunc // nil: none runs, or it was interrupted already
	ended     syscall.Signal     // the signal that ended the process's context
	since     time.Time
}

// echo is how soon a signal may follow the first and still mean the same.
const echo = 200 * time.Millisecond

// interrupts returns a context that ends with the first signal; close gives
// signals back their usual meaning.
func interrupts(parent context.Context) (context.Context, *signals) {
	ctx, cancel := context.WithCancel(parent)
	s := &signals{arrived: make(chan os.Signal, 2), done: make(chan struct{}), gone: make(chan struct{}), process: cancel}
	signal.Notify(s.arrived, os.Interrupt, syscall.SIGTERM)
	go s.watch()
	return ctx, s
}

func (s *signals) watch() {
	defer close(s.gone)
	for {
		select {
		case got := <-s.arrived:
			number, _ := got.(syscall.Signal)
			s.take(number)
		case <-s.done:
			return
		}
	}
}

func (s *signals) take(number syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended != 0 && time.Since(s.since) < echo:
	case s.ended != 0:
		os.Exit(128 + int(number))
	case s.statement != nil && number == syscall.SIGINT:
		s.statement()
		s.statement = nil
	default:
		s.ended, s.since = number, time.Now()
		s.process()
	}
}

// forStatement returns the context of one statement at the prompt, which SIGINT
// ends instead of the process's.
func (s *signals) forStatement(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statement = cancel
	return ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.statement = nil
		cancel()
	}
}

// first is the signal that ended the process's context, 0 for none.
func (s *signals) first() syscall.Signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

func (s *signals) close() {
	signal.Stop(s.arrived)
	close(s.done)
	<-s.gone
	s.process()
}
