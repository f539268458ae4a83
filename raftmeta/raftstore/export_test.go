package raftstore

import "github.com/tidemill/tidemill/raftmeta"

// StaleGet reads without asking anybody: the bug that the simulation must find.
func (s *Store) StaleGet(b raftmeta.Bucket, key string) (raftmeta.Entry, error) {
	return s.machine.get(b, key)
}
