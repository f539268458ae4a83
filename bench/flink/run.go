package flink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// open opens a session of the gateway.
func (c *Cluster) open(ctx context.Context) error {
	var opened struct {
		Handle string `json:"sessionHandle"`
	}
	properties := map[string]any{"properties": map[string]string{"execution.runtime-mode": "streaming"}}
	if err := c.gateway.post(ctx, "/v1/sessions", properties, &opened); err != nil {
		return err
	}
	c.session = "/v1/sessions/" + opened.Handle
	return nil
}

// Version is that of the distribution.
func (c *Cluster) Version(ctx context.Context) (string, error) {
	var overview struct {
		Version string `json:"flink-version"`
	}
	err := c.jobs.get(ctx, "/overview", &overview)
	return overview.Version, err
}

// pollPause is how often Flink is asked how far something is.
const pollPause = 20 * time.Millisecond

// Run runs a statement, and waits for the end of its job if it makes one. It returns how
// long the job took by the clock of its JobManager; zero without a job. A job that runs
// longer than Options.Limit is cancelled, which is an error.
func (c *Cluster) Run(ctx context.Context, statement string) (time.Duration, error) {
	var begun struct {
		Handle string `json:"operationHandle"`
	}
	if err := c.gateway.post(ctx, c.session+"/statements", map[string]any{"statement": statement}, &begun); err != nil {
		return 0, err
	}
	job, err := c.result(ctx, c.session+"/operations/"+begun.Handle)
	if err != nil || job == "" {
		return 0, err
	}
	for {
		at, err := c.status(ctx, job)
		switch {
		case err != nil:
			return 0, err
		case at.State == "FINISHED":
			return at.took(), nil
		case at.over():
			return 0, c.cause(ctx, job, at.State)
		case c.o.Limit > 0 && at.took() > c.o.Limit:
			return 0, errors.Join(fmt.Errorf("not done after %v", c.o.Limit), c.cancel(ctx, job))
		}
		if err := pause(ctx); err != nil {
			return 0, err
		}
	}
}

// status is how far a job is.
type status struct {
	State  string `json:"state"`
	Millis int64  `json:"duration"`
}

func (s status) took() time.Duration { return time.Duration(s.Millis) * time.Millisecond }

func (s status) over() bool {
	return s.State == "FINISHED" || s.State == "FAILED" || s.State == "CANCELED"
}

func (c *Cluster) status(ctx context.Context, job string) (s status, err error) {
	err = c.jobs.get(ctx, "/jobs/"+job, &s)
	return s, err
}

// cancel cancels a job and waits until it is over, which it may have been before.
func (c *Cluster) cancel(ctx context.Context, job string) error {
	if err := c.jobs.call(ctx, http.MethodPatch, "/jobs/"+job+"?mode=cancel", nil, nil); err != nil {
		return fmt.Errorf("cancel it: %w", err)
	}
	for {
		if at, err := c.status(ctx, job); err != nil || at.over() {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context) error {
	select {
	case <-time.After(pollPause):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// result waits until a statement has been carried out and returns its job, if any.
func (c *Cluster) result(ctx context.Context, operation string) (job string, err error) {
	for {
		var r struct {
			Type string `json:"resultType"`
			Job  string `json:"jobID"`
		}
		if err := c.gateway.get(ctx, operation+"/result/0?rowFormat=JSON", &r); err != nil {
			return "", err
		}
		if r.Type != "NOT_READY" {
			return r.Job, nil
		}
		if err := pause(ctx); err != nil {
			return "", err
		}
	}
}

// cause is why a job did not finish.
func (c *Cluster) cause(ctx context.Context, job, state string) error {
	var history struct {
		History struct {
			Entries []struct {
				Stack string `json:"stacktrace"`
			} `json:"entries"`
		} `json:"exceptionHistory"`
	}
	if err := c.jobs.get(ctx, "/jobs/"+job+"/exceptions", &history); err != nil {
		return fmt.Errorf("job is %s: %w", state, err)
	}
	if len(history.History.Entries) == 0 {
		return fmt.Errorf("job is %s", state)
	}
	return fmt.Errorf("job is %s: %s", state, innermost(history.History.Entries[0].Stack))
}

// innermost is the message of the innermost cause in a stack of Java.
func innermost(stack string) string {
	message := ""
	for line := range strings.Lines(stack) {
		line = strings.TrimSpace(line)
		if cause, ok := strings.CutPrefix(line, "Caused by: "); ok || message == "" && line != "" {
			message = cause
		}
	}
	return message
}

// rest is a server that answers in JSON.
type rest struct {
	base   string
	client *http.Client
}

func newREST(port int) rest {
	// No proxy: it is this machine.
	return rest{base: fmt.Sprintf("http://127.0.0.1:%d", port), client: &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}}
}

func (r rest) get(ctx context.Context, path string, into any) error {
	return r.call(ctx, http.MethodGet, path, nil, into)
}

func (r rest) post(ctx context.Context, path string, body, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return r.call(ctx, http.MethodPost, path, data, into)
}

// mostAnswer bounds an answer.
const mostAnswer = 16 << 20

func (r rest) call(ctx context.Context, method, path string, body []byte, into any) (err error) {
	q, err := http.NewRequestWithContext(ctx, method, r.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/json")
	a, err := r.client.Do(q)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Body.Close()) }()
	data, err := io.ReadAll(io.LimitReader(a.Body, mostAnswer))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if a.StatusCode >= 300 {
		return answered(a.StatusCode, data)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// answered is the error that a server has sent.
func answered(code int, data []byte) error {
	var failed struct {
		Errors []string `json:"errors"`
	}
	if err := json.Unmarshal(data, &failed); err != nil || len(failed.Errors) == 0 {
		return fmt.Errorf("HTTP status %d", code)
	}
	return errors.New(innermost(failed.Errors[len(failed.Errors)-1]))
}
