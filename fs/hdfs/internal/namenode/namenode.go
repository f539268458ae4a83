package namenode

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/colinmarc/hdfs/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Rename moves from to a name where nothing is; the namenode decides, in one
// step, and says FileAlreadyExistsException when something is there.
func Rename(c *hdfs.Client, from, to string) error {
	_, err := call(c, "rename2", "Rename2", func(m protoreflect.Message) {
		set(m, "src", protoreflect.ValueOfString(from))
		set(m, "dst", protoreflect.ValueOfString(to))
		set(m, "overwriteDest", protoreflect.ValueOfBool(false))
	})
	return err
}

// Concat appends the files parts to the file target and removes their names, in
// one step. All are closed, not empty and in one directory.
func Concat(c *hdfs.Client, target string, parts []string) error {
	_, err := call(c, "concat", "Concat", func(m protoreflect.Message) {
		set(m, "trg", protoreflect.ValueOfString(target))
		list := m.Mutable(field(m, "srcs")).List()
		for _, p := range parts {
			list.Append(protoreflect.ValueOfString(p))
		}
	})
	return err
}

func call(c *hdfs.Client, method string, message protoreflect.Name, fill func(protoreflect.Message)) (response protoreflect.Message, err error) {
	conn, err := connection(c)
	if err != nil {
		return nil, err
	}
	request, err := newMessage(message + "RequestProto")
	if err != nil {
		return nil, err
	}
	if response, err = newMessage(message + "ResponseProto"); err != nil {
		return nil, err
	}
	fill(request)
	return response, conn.Execute(method, request.Interface(), response.Interface())
}

// executor is the library's connection to the namenodes; it may be called by
// any goroutine.
type executor interface {
	Execute(method string, request, response proto.Message) error
}

func connection(c *hdfs.Client) (executor, error) {
	if conn, ok := member(reflect.ValueOf(c), "namenode").(executor); ok {
		return conn, nil
	}
	return nil, errors.New("the hdfs library does not keep its connection where it is expected")
}

func newMessage(name protoreflect.Name) (protoreflect.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName("hadoop.hdfs").Append(name))
	if err != nil {
		return nil, fmt.Errorf("message of the hdfs library: %w", err)
	}
	return t.New(), nil
}

func field(m protoreflect.Message, name protoreflect.Name) protoreflect.FieldDescriptor {
	return m.Descriptor().Fields().ByName(name)
}

func set(m protoreflect.Message, name protoreflect.Name, v protoreflect.Value) {
	m.Set(field(m, name), v)
}
