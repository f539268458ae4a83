package namenode

import (
	"errors"
	"reflect"
	"unsafe"

	"github.com/colinmarc/hdfs/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Unfinished is a file that is written: what the namenode must hear to complete it.
// The library asks once, and cannot ask again when the answer is lost.
type Unfinished struct {
	name, client string
	id           uint64
	last         protoreflect.Message // the block that is written
}

// NewUnfinished returns what c is writing with w, which has begun a block.
func NewUnfinished(c *hdfs.Client, w *hdfs.FileWriter) (*Unfinished, error) {
	conn, err := connection(c)
	if err != nil {
		return nil, err
	}
	u := &Unfinished{}
	u.client, _ = member(reflect.ValueOf(conn), "ClientName").(string)
	file := reflect.ValueOf(w)
	u.name, _ = member(file, "name").(string)
	if id, ok := member(file, "fileId").(*uint64); ok && id != nil {
		u.id = *id
	}
	if writer := member(file, "blockWriter"); writer != nil {
		if block, ok := member(reflect.ValueOf(writer), "Block").(proto.Message); ok {
			u.last = sub(block.ProtoReflect(), "b")
		}
	}
	if u.client == "" || u.name == "" || u.last == nil {
		return nil, errors.New("the hdfs library does not keep what it writes where it is expected")
	}
	return u, nil
}

// Closed returns how many bytes the datanodes have in the block, once they have
// said that they have all; 0 before.
func (u *Unfinished) Closed() int64 { return int64(u.last.Get(field(u.last, "numBytes")).Uint()) }

// Complete ends the file, by any client; false means that replicas are missing yet.
// Completing it once more is no error.
func (u *Unfinished) Complete(c *hdfs.Client) (bool, error) {
	response, err := call(c, "complete", "Complete", func(m protoreflect.Message) {
		set(m, "src", protoreflect.ValueOfString(u.name))
		set(m, "clientName", protoreflect.ValueOfString(u.client))
		set(m, "last", protoreflect.ValueOfMessage(u.last))
		set(m, "fileId", protoreflect.ValueOfUint64(u.id))
	})
	if err != nil {
		return false, err
	}
	return response.Get(field(response, "result")).Bool(), nil
}

// member returns a field of the struct behind a pointer, exported or not; nil
// without one.
func member(p reflect.Value, name string) any {
	if p.Kind() != reflect.Pointer || p.IsNil() || p.Elem().Kind() != reflect.Struct {
		return nil
	}
	f := p.Elem().FieldByName(name)
	if !f.IsValid() {
		return nil
	}
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem().Interface()
}
