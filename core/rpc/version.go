package rpc

// WireVersion is that of the messages between processes, MAJOR.MINOR. Programs of
// another major one do not understand each other: the masters refuse them when they
// register. A minor one adds what the other side may ignore.
const WireVersion = "1.0"
