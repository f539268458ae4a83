// Package security keeps the doors: who a process is, who may speak, what a ticket
// permits.
//
//	CA          a cluster's own certificate authority, in a directory
//	Identity    a role's certificate and key, and the authority it trusts: mTLS
//	Token       what a client shows; a secret in a file that only its owner reads
//	JoinToken   what a process shows that has no certificate yet
//	Hosts       by which names, and from which pages, browsers may call
//	Ticket      what a task may do at a shuffle server, signed by the masters' key
//
// Closed by default: a listener beyond loopback without TLS and credentials is
// refused (CheckBind), and the error names both cures. Secrets are compared in
// constant time and never printed: their String is ***.
//
// Processes are verified by authority and role, not by address: each certificate has the
// same name (ServerName) and its holder's roles as URIs, tidemill://role/worker. A join
// token carries the authority's fingerprint, by which the master that shows that
// authority is believed:
//
//	tmj_ base64url( version(1) roles(1, bits) expiry(8 LE, Unix seconds) fingerprint(32) mac(32) )
//	mac = HMAC-SHA-256(HMAC-SHA-256(authority's key, "tidemill join"), what precedes it)
//
// Tickets are capabilities: whoever shows one may do what it says until it expires.
// A job's key is derived from the cluster's, so a server needs one key and a job's
// tickets are worth nothing for another job.
//
//	version(1) rights(1) job(16) exchange(4 LE, all ones: every one) term(8 LE) expiry(8 LE, Unix seconds) mac(32)
//	mac = HMAC-SHA-256(HMAC-SHA-256(cluster key, "job" job), what precedes it)
package security
