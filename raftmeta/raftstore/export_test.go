package raftstore

import (
	"github.com/hashicorp/raft"

	"github.com/tidemill/tidemill/raftmeta"
)

// StaleGet reads without asking anybody: the bug that the simulation must find.
func (s *Store) StaleGet(b raftmeta.Bucket, key string) (raftmeta.Entry, error) {
	return s.machine.get(b, key)
}

// Pipeline tries to send entries without waiting for the answers to those before.
func (s *Store) Pipeline(to raft.ServerID, at raft.ServerAddress) error {
	_, err := s.transport.AppendEntriesPipeline(to, at)
	return err
}
