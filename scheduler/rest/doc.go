// Package rest is a cluster over HTTP, for people, scripts and the tools that know
// Flink.
//
//	/api/v1/...                  jobs and nodes; OpenAPI at /api/v1/openapi.json
//	/config, /overview, /jobs/*  the part of Flink's REST interface that tools read
//	/metrics                     the process's instruments, for Prometheus
//
// Errors are problems as in RFC 9457. All but /api/v1/health wants the cluster's token
// (Authorization: Bearer ...). A request whose Host is not one that the server was told
// is refused, and so is one with the Origin of another site: a page in a browser that
// has its own name resolve to this machine gets nothing.
//
// The package knows rpc.ClusterClient alone. A master that does not lead serves the same
// pages by asking the one that does.
//
// Limits: a request's body is at most a job graph's (MaxGraphBytes), its head 64 KiB; a
// call of the cluster takes at most a minute.
package rest
