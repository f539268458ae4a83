package wire

import (
	"runtime"
	"testing"

	"google.golang.org/grpc/mem"
)

// What gRPC drops without a word comes back, and what it gives back is released once.
func TestLoan(t *testing.T) {
	freed := make(chan struct{})
	send := func() mem.BufferSlice {
		large := [][]byte{make([]byte, copyBelow), {1}, make([]byte, 2*copyBelow)}
		m := &Message{Header: Header{Kind: KindData}, payload: newPayload(nil, []byte{1}, large, func() { freed <- struct{}{} })}
		out := m.marshal()
		m.Release()
		return out
	}
	if out := send(); out.Len() < 3*copyBelow {
		t.Fatalf("%d bytes", out.Len())
	}
	runtime.GC() // the slice above is out of reach
	<-freed
	out := send()
	runtime.GC()
	select {
	case <-freed:
		t.Error("freed while it is to be sent")
	default:
	}
	go out.Free()
	<-freed
	runtime.GC()
	select {
	case <-freed:
		t.Error("freed twice")
	default:
	}
}
