package process

import (
	"context"
	"log/slog"
	"time"

	"github.com/tidemill/tidemill/core/security"
)

const (
	// reloadEvery is how often a role looks whether its certificates have changed.
	reloadEvery = 5 * time.Second
	// expiryNotice is how long before a certificate ends people are told, once a day.
	expiryNotice = 30 * 24 * time.Hour
	toldEvery    = 24 * time.Hour
)

// watchCertificates has the role's certificate follow its files until the role closes,
// and a master's authority, and tells ahead when the certificate ends.
func (r *role) watchCertificates() {
	i := r.opts.Identity
	r.metrics.GaugeFunc("tidemill_certificate_expiry_timestamp_seconds", "When the role's certificate ends, in Unix time.", func() float64 {
		return float64(i.Expiry().Unix())
	})
	w := &certificates{identity: i, authority: r.opts.Authority, log: r.opts.Log}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.run(ctx)
	}()
	r.closer(func() error {
		stop()
		<-ended
		return nil
	})
}

// certificates are what one goroutine watches.
type certificates struct {
	identity  *security.Identity
	authority *security.CA // nil: the role has none
	log       *slog.Logger
	told      time.Time // when people were told of the end; zero: not yet
	broken    string    // what was wrong with the authority's files
}

func (w *certificates) run(ctx context.Context) {
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	for {
		w.look(time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look reads what has changed, and tells people what they should know.
func (w *certificates) look(now time.Time) {
	changed, err := w.identity.Reload(now)
	if err != nil {
		w.log.Warn("the new certificate is not taken, the one before goes on", "error", err)
	}
	if changed {
		w.log.Info("the certificate was read again", "until", w.identity.Expiry().UTC().Format(time.RFC3339))
		w.told = time.Time{}
	}
	if w.authority != nil {
		w.lookAtAuthority()
	}
	if left := w.identity.Expiry().Sub(now); left < expiryNotice && now.Sub(w.told) >= toldEvery {
		w.told = now
		w.log.Warn("the certificate ends soon: replace it (docs/security.md), no restart is needed", "until", w.identity.Expiry().UTC().Format(time.RFC3339), "left", left.Round(time.Minute))
	}
}

func (w *certificates) lookAtAuthority() {
	text := ""
	changed, err := w.authority.Reload()
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != w.broken {
		w.log.Warn("the authority's files are not taken, what was read before goes on", "error", err)
	}
	w.broken = text
	if changed {
		w.log.Info("the authority was read again", "fingerprint", w.authority.Fingerprint())
	}
}
