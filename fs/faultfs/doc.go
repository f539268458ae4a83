// Package faultfs wraps a file system and makes chosen calls fail, for tests of
// error paths. It counts every call, failed or not, by operation.
//
// A rule says which operation on which paths fails, after how many calls that
// succeed, how many times, and whether before or after the wrapped call took
// effect: a failure after it is the lost reply of a commit that happened.
package faultfs
