// Package client is what programs and the command line use of an engine,
// embedded or remote: sessions that run statements, and the jobs they start.
//
// A Session keeps a catalog, a current database and settings. Execute runs one
// statement and returns a Result at once: rows to read (a query's, or a
// SHOW's), a job to wait for, both, or neither. A query's rows come as they are
// made; reading none of them holds the job back, closing the result cancels it.
package client
