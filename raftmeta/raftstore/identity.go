package raftstore

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/hashicorp/raft"

	"github.com/tidemill/tidemill/core/failure"
	"github.com/tidemill/tidemill/raftmeta"
)

// A master whose disk was lost has forgotten its votes and what it acknowledged, so it
// must not count as the one that it was. Therefore Raft knows a master by its id and the
// life of its storage, and where it is by its address and both:
//
//	server id  master-2#5f03c9ae
//	address    host:port#master-2#5f03c9ae
//
// A connection says whom it wants (network.go): nobody reaches another life by the
// address of an earlier one.
const separator = "#"

// maxIdentity bounds a server id, whose length is one byte on the wire.
const maxIdentity = 200

var identityKey = []byte("tidemill-identity")

// identify returns the server id that storage was given by its first start, which it
// makes if storage is fresh.
func identify(storage Storage, name string, fresh bool) (raft.ServerID, error) {
	if name == "" || strings.Contains(name, separator) || len(name) > maxIdentity-20 {
		return "", failure.Errorf(failure.Usage, "master id %.64q: want 1 to %d bytes without %s", name, maxIdentity-20, separator)
	}
	known, err := storage.Log.Get(identityKey)
	if err != nil && err.Error() != "not found" { // Raft's contract of a stable store
		return "", fmt.Errorf("read the master's identity: %w", err)
	}
	if len(known) > 0 {
		if id := raft.ServerID(known); nameOf(id) != name {
			return "", failure.Errorf(failure.Usage, "the metadata belong to master %q, not to %q", nameOf(id), name)
		}
		return raft.ServerID(known), nil
	}
	if !fresh {
		return "", fmt.Errorf("%w: the log has no identity", raftmeta.ErrCorrupt)
	}
	var life [4]byte
	_, _ = rand.Read(life[:]) // it never fails: the program ends first
	id := name + separator + hex.EncodeToString(life[:])
	if err := storage.Log.Set(identityKey, []byte(id)); err != nil {
		return "", fmt.Errorf("write the master's identity: %w", err)
	}
	return raft.ServerID(id), nil
}

// nameOf takes the life off.
func nameOf(id raft.ServerID) string {
	name, _, _ := strings.Cut(string(id), separator)
	return name
}

func raftAddress(address string, id raft.ServerID) raft.ServerAddress {
	return raft.ServerAddress(address + separator + string(id))
}

// splitAddress is the reverse of raftAddress; an address without an id has none.
func splitAddress(a raft.ServerAddress) (address string, id raft.ServerID) {
	life := strings.LastIndex(string(a), separator)
	if life < 0 {
		return string(a), ""
	}
	name := strings.LastIndex(string(a[:life]), separator)
	if name < 0 {
		return string(a), ""
	}
	return string(a[:name]), raft.ServerID(a[name+1:])
}
