package namenode

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/colinmarc/hdfs/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Block is a piece of a file and where its replicas are.
type Block struct {
	Offset, Length int64  // in the file
	Name           string // as the servers' logs have it
	ID, Token      []byte // what a datanode wants to see, encoded
	Corrupt        bool   // all replicas are
	// Nodes are the addresses of datanodes with a replica, the nearest first.
	Nodes []string
}

// Locations returns the blocks of the first length bytes of a file in order, and
// how long the file is. Names of datanodes are taken when byName, else their IP
// addresses. A file whose bytes are not those of its blocks is an error.
func Locations(c *hdfs.Client, path string, length int64, byName bool) (blocks []Block, size int64, err error) {
	response, err := call(c, "getBlockLocations", "GetBlockLocations", func(m protoreflect.Message) {
		set(m, "src", protoreflect.ValueOfString(path))
		set(m, "offset", protoreflect.ValueOfUint64(0))
		set(m, "length", protoreflect.ValueOfUint64(uint64(length)))
	})
	if err != nil {
		return nil, 0, err
	}
	all := sub(response, "locations")
	switch {
	case all.Has(field(all, "ecPolicy")):
		return nil, 0, errors.New("the file is erasure-coded, which is not supported")
	case all.Has(field(all, "fileEncryptionInfo")):
		return nil, 0, errors.New("the file is in an encryption zone, which is not supported")
	}
	list := all.Get(field(all, "blocks")).List()
	for i := range list.Len() {
		b, err := newBlock(list.Get(i).Message(), byName)
		if err != nil {
			return nil, 0, err
		}
		blocks = append(blocks, b)
	}
	return blocks, int64(all.Get(field(all, "fileLength")).Uint()), nil
}

func newBlock(m protoreflect.Message, byName bool) (Block, error) {
	id := sub(m, "b")
	b := Block{
		Offset: int64(m.Get(field(m, "offset")).Uint()), Length: int64(id.Get(field(id, "numBytes")).Uint()),
		Name: fmt.Sprintf("blk_%d", id.Get(field(id, "blockId")).Uint()), Corrupt: m.Get(field(m, "corrupt")).Bool(),
	}
	var err error
	if b.ID, err = proto.Marshal(id.Interface()); err != nil {
		return b, fmt.Errorf("encode block: %w", err)
	}
	if b.Token, err = proto.Marshal(sub(m, "blockToken").Interface()); err != nil {
		return b, fmt.Errorf("encode block token: %w", err)
	}
	host := protoreflect.Name("ipAddr")
	if byName {
		host = "hostName"
	}
	nodes := m.Get(field(m, "locs")).List()
	for i := range nodes.Len() {
		node := sub(nodes.Get(i).Message(), "id")
		port := strconv.FormatUint(node.Get(field(node, "xferPort")).Uint(), 10)
		b.Nodes = append(b.Nodes, net.JoinHostPort(node.Get(field(node, host)).String(), port))
	}
	return b, nil
}

func sub(m protoreflect.Message, name protoreflect.Name) protoreflect.Message {
	return m.Get(field(m, name)).Message()
}
