// Package compute holds the vectorised kernels that operators and the exchange
// share: hashing of key columns, gathering rows, concatenation, scattering by
// partition, ordering of two rows, constants and decoding of dictionaries.
//
// Kernels read the raw Go slices of Arrow buffers once per call; Arrow is the
// memory layout here, not the library that computes. They never change their
// inputs. Every array that is returned is owned by the caller, who releases it;
// inputs stay the caller's unless a comment says otherwise.
//
// A selection is a list of ascending physical rows, as in core/stream: nil means
// all rows. Gathers also take lists in any order and with repeats.
//
// Dictionaries: a character or binary column may be plain or dictionary-encoded,
// differently in each batch. Hashes and orders are those of the values, so that
// both encodings agree; gathers keep the encoding and share the dictionary.
package compute
