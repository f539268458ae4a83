package rest

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tidemill/tidemill/core/metric"
	"github.com/tidemill/tidemill/core/rpc"
	"github.com/tidemill/tidemill/core/security"
)

// Options are what a server shows, and to whom.
type Options struct {
	// Cluster is asked for jobs and nodes; nil: the process has its metrics alone.
	Cluster rpc.ClusterClient
	Metrics *metric.Registry // required
	// Token is what requests have to show. Required.
	Token security.Token
	// Hosts are the names, beside localhost and numeric addresses, by which the server may
	// be called.
	Hosts   []string
	Version string
}

// MaxGraphBytes bounds a job graph that is submitted.
const MaxGraphBytes = 64 << 20

// callTimeout bounds a call of the cluster.
const callTimeout = time.Minute

type server struct {
	opts  Options
	begun time.Time
}

// New returns the pages. They may be served concurrently.
func New(o Options) http.Handler {
	s := &server{opts: o, begun: time.Now()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", s.metrics)
	mux.HandleFunc("GET "+healthPath, s.health)
	if o.Cluster != nil {
		s.native(mux)
		s.flink(mux)
	}
	return s.guard(mux)
}

const healthPath = "/api/v1/health"

// guard lets a request in that calls us by our name and shows the token.
func (s *server) guard(next http.Handler) http.Handler {
	hosts := security.NewHosts(s.opts.Hosts...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := hosts.Check(r); err != nil {
			refuse(w, http.StatusForbidden, err.Error())
			return
		}
		if r.URL.Path != healthPath && !s.opts.Token.MatchesHeader(r.Header.Get("Authorization")) {
			refuse(w, http.StatusUnauthorized, "the cluster's token is wanted: Authorization: Bearer TOKEN")
			return
		}
		ctx, stop := context.WithTimeout(r.Context(), callTimeout)
		defer stop()
		r.Body = http.MaxBytesReader(w, r.Body, MaxGraphBytes)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func (s *server) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", metric.ExpositionType)
	_ = s.opts.Metrics.WriteText(w)
}

// health says that the process serves; no token is wanted.
func (s *server) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"status":"ok"}` + "\n"))
}

// native adds the operations of /api/v1.
func (s *server) native(mux *http.ServeMux) {
	c := huma.DefaultConfig("Tidemill", cmp.Or(s.opts.Version, "dev"))
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "/api/v1/openapi", "", "/api/v1/schemas"
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	c.Security = []map[string][]string{{"token": {}}}
	s.operations(humago.New(mux, c))
}
