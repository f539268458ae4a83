// Package security keeps the doors: who a process is, who may speak, what a ticket
// permits.
//
//	CA          a cluster's own certificate authority, in a directory
//	Identity    a role's certificate and key, and the authority it trusts: mTLS
//	token       what a client shows; a secret in a file that only its owner reads
//	Ticket      what a task may do at a shuffle server, signed by the masters' key
//
// Closed by default: a listener beyond loopback without TLS and credentials is
// refused (CheckBind), and the error names both cures. Secrets are compared in
// constant time and never printed: their String is ***.
//
// Tickets are capabilities: whoever shows one may do what it says until it expires.
// A job's key is derived from the cluster's, so a server needs one key and a job's
// tickets are worth nothing for another job.
//
//	version(1) rights(1) job(16) exchange(4 LE, all ones: every one) term(8 LE) expiry(8 LE, Unix seconds) mac(32)
//	mac = HMAC-SHA-256(HMAC-SHA-256(cluster key, "job" job), what precedes it)
package security
