package process

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/tidemill/tidemill/core/rpc/network"
)

// Limits of the HTTP server.
const (
	headTimeout   = 10 * time.Second
	bodyTimeout   = 2 * time.Minute // for a request to come whole: a graph of 64 MiB may
	replyTimeout  = 4 * time.Minute // from its head on, for it to be answered
	httpKeepAlive = 2 * time.Minute
	maxHeadBytes  = 64 << 10
)

// pagesServer serves pages to those who end what they begin. Who does not show the token
// stays a stranger of the door.
func pagesServer(o Options, pages http.Handler) *http.Server {
	known := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.Token.MatchesHeader(r.Header.Get("Authorization")) {
			network.Admit(r.Context())
		}
		pages.ServeHTTP(w, r)
	})
	return &http.Server{
		Handler: known, ConnState: network.ConnState, ConnContext: network.ConnContext,
		ReadHeaderTimeout: headTimeout, ReadTimeout: bodyTimeout, WriteTimeout: replyTimeout, IdleTimeout: httpKeepAlive,
		MaxHeaderBytes: maxHeadBytes, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
}
