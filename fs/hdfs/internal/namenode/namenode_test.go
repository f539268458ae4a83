package namenode

import (
	"reflect"
	"testing"

	"github.com/colinmarc/hdfs/v2"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A new version of the library may move what this package reaches for.
func TestLibraryIsAsExpected(t *testing.T) {
	if _, err := connection(&hdfs.Client{}); err != nil {
		t.Error(err)
	}
	for name, holder := range map[string]any{"name": &hdfs.FileWriter{}, "fileId": &hdfs.FileWriter{}, "blockWriter": &hdfs.FileWriter{}} {
		if !reflect.ValueOf(holder).Elem().FieldByName(name).IsValid() {
			t.Errorf("the library's writer has no field %s", name)
		}
	}
	for message, fields := range map[string][]string{
		"Rename2RequestProto": {"src", "dst", "overwriteDest"}, "Rename2ResponseProto": nil,
		"CompleteRequestProto": {"src", "clientName", "last", "fileId"}, "CompleteResponseProto": {"result"},
		"GetBlockLocationsRequestProto": {"src", "offset", "length"}, "GetBlockLocationsResponseProto": {"locations"},
		"LocatedBlocksProto": {"fileLength", "blocks", "ecPolicy", "fileEncryptionInfo"},
		"LocatedBlockProto":  {"b", "offset", "locs", "corrupt", "blockToken"}, "ExtendedBlockProto": {"blockId", "numBytes"},
		"DatanodeInfoProto": {"id"}, "DatanodeIDProto": {"ipAddr", "hostName", "xferPort"},
		"ConcatRequestProto": {"trg", "srcs"}, "ConcatResponseProto": nil,
	} {
		m, err := newMessage(protoreflect.Name(message))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fields {
			if field(m, protoreflect.Name(f)) == nil {
				t.Errorf("%s has no field %s", message, f)
			}
		}
	}
}
