package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mill is a cluster of real processes that a test has started by up.
type mill struct {
	t      *testing.T
	dir    string // of its data
	work   string // where commands run
	cmd    *exec.Cmd
	stderr bytes.Buffer
}

// newMill starts a cluster and ends it with the test.
func newMill(t *testing.T, args ...string) *mill {
	t.Helper()
	m := &mill{t: t, dir: filepath.Join(t.TempDir(), "data"), work: t.TempDir()}
	m.start(args...)
	return m
}

func (m *mill) start(args ...string) {
	m.t.Helper()
	// It lives as long as the test and is interrupted by end: killed, it would leave its processes at work.
	m.cmd = commandContext(context.WithoutCancel(m.t.Context()), m.t, m.work, append([]string{"up", "--data-dir", m.dir, "--http", "127.0.0.1:0"}, args...)...)
	m.cmd.Stderr = &m.stderr
	stdout, err := m.cmd.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { m.end() })
	lines := bufio.NewScanner(stdout)
	for range 4 {
		if !lines.Scan() {
			m.t.Fatalf("up has ended: %v\n%s", m.cmd.Wait(), m.stderr.String())
		}
	}
}

// end interrupts up, and returns its exit code.
func (m *mill) end() int {
	if m.cmd.ProcessState == nil {
		_ = m.cmd.Process.Signal(syscall.SIGINT)
		_ = m.cmd.Wait()
	}
	return m.cmd.ProcessState.ExitCode()
}

// run runs a command against the cluster.
func (m *mill) run(args ...string) outcome {
	m.t.Helper()
	return finished(m.t, m.command(args...))
}

func (m *mill) command(args ...string) *exec.Cmd {
	m.t.Helper()
	cmd := command(m.t, m.work, args...)
	cmd.Env = append(cmd.Env, "TIDEMILL_CLUSTER="+m.dir)
	return cmd
}

func finished(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	return outcome{code: exitStatus(t, cmd, err), stdout: stdout.String(), stderr: stderr.String()}
}

// member is what a role has written about itself.
func (m *mill) member(name string) (a struct {
	Address, HTTP, Name string
	PID                 int
},
) {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.dir, name, "address.json"))
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return a
}

const script = generator + `CREATE TABLE o (id BIGINT, k INT) WITH ('connector' = 'filesystem', 'path' = '%s', 'format' = 'csv');
	INSERT INTO o SELECT id, k FROM g WHERE id < 1000;`

// One cluster, and what a user does with it: statements as with the embedded engine,
// jobs that are submitted, listed, waited for and cancelled, each exit code as documented.
func TestCluster(t *testing.T) {
	m := newMill(t)
	t.Run("statements", m.statements)
	t.Run("jobs", m.jobs)
	t.Run("aside", m.aside)
	t.Run("interrupt", m.interrupt)
	t.Run("reader goes", m.readerGoes)
	t.Run("rest", m.rest)
	t.Run("credentials", m.credentials)
	t.Run("in use", func(t *testing.T) {
		if o := tidemill(t, m.work, "up", "--data-dir", m.dir); o.code != 5 || !strings.Contains(o.stderr, "in use by another process") {
			t.Errorf("a second up: exit code %d\n%s", o.code, o.stderr)
		}
	})
	master := m.member("master")
	if code := m.end(); code != 130 {
		t.Errorf("up ended with %d\n%s", code, m.stderr.String())
	}
	if err := syscall.Kill(master.PID, 0); err == nil {
		t.Error("the master lives on")
	}
	if o := m.run("list"); o.code != 4 || !strings.Contains(o.stderr, "tidemill up") {
		t.Errorf("list without a cluster: exit code %d\n%s", o.code, o.stderr)
	}
}

func (m *mill) statements(t *testing.T) {
	put(t, m.work, "job.sql", fmt.Sprintf(script, "o"))
	o := m.run("run", "job.sql", "--progress", "json")
	all := lines(o.stderr)
	if o.code != 0 || !strings.Contains(all[len(all)-1], `"state":"FINISHED"`) || !strings.Contains(all[len(all)-1], `"rows_out":1000`) {
		t.Fatalf("run: exit code %d\n%s", o.code, o.stderr)
	}
	// The table's directory is relative: it is the client's, wherever workers run.
	for _, c := range []struct{ sql, want string }{
		{"SELECT count(*) FROM 'o/*'", "1000"},
		{"SELECT 1", "1"},
		{generator + "SELECT count(DISTINCT k) FROM g", "3"},
		{generator + "SELECT id FROM g ORDER BY id DESC LIMIT 1", "4999"},
		{generator + "SELECT count(*) FROM g a JOIN g b ON a.id = b.id WHERE b.id < 10", "10"},
	} {
		if o := m.run("sql", "-o", "csv", c.sql); o.code != 0 || lines(o.stdout)[1] != c.want {
			t.Errorf("%s: exit code %d\n%s%s", c.sql, o.code, o.stdout, o.stderr)
		}
	}
	// So is that of a table that is looked up; the client's own tables stay as they were declared.
	cmd := m.command("sql", "-o", "csv", generator+`CREATE TABLE side (id BIGINT, k INT) WITH ('connector' = 'filesystem', 'path' = '.', 'format' = 'csv');
		CREATE VIEW now AS SELECT id, PROCTIME() AS p FROM g WHERE id = 7;
		SELECT s.id * 100 FROM now AS n JOIN side FOR SYSTEM_TIME AS OF n.p AS s ON n.id = s.id;
		SELECT count(*) FROM side;
		SHOW CREATE TABLE side`)
	cmd.Dir = filepath.Join(m.work, "o")
	if o := finished(t, cmd); o.code != 0 || !strings.Contains(o.stdout, "700") || !strings.Contains(o.stdout, "'path' = '.'") {
		t.Errorf("a lookup: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if o := m.run("sql", "EXPLAIN ANALYZE "+"SELECT 1"); o.code != 0 || !strings.Contains(o.stdout, "actual rows 1") {
		t.Errorf("EXPLAIN ANALYZE: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if o := m.run("sql", "SELECT x FROM nowhere"); o.code != 3 || !strings.Contains(o.stderr, "SQL-2001") {
		t.Errorf("a wrong statement: exit code %d\n%s", o.code, o.stderr)
	}
	if o := m.run("sql", generator+"SELECT CAST('x' || CAST(id AS STRING) AS INT) FROM g"); o.code != 1 || o.stdout != "" {
		t.Errorf("a failing query: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
}

func (m *mill) jobs(t *testing.T) {
	put(t, m.work, "good.sql", fmt.Sprintf(script, "good"))
	put(t, m.work, "bad.sql", generator+"CREATE TABLE b (n INT) WITH ('connector' = 'blackhole'); INSERT INTO b SELECT CAST('x' || CAST(id AS STRING) AS INT) FROM g;")
	put(t, m.work, "long.sql", endless+"CREATE TABLE b (id BIGINT) WITH ('connector' = 'blackhole'); INSERT INTO b SELECT id FROM g;")
	put(t, m.work, "query.sql", "SELECT 1;")
	submit := func(file string) string {
		t.Helper()
		o := m.run("submit", file)
		if o.code != 0 || len(lines(o.stdout)) != 1 {
			t.Fatalf("submit %s: exit code %d\n%s%s", file, o.code, o.stdout, o.stderr)
		}
		return lines(o.stdout)[0]
	}
	good, bad, long := submit("good.sql"), submit("bad.sql"), submit("long.sql")
	for _, c := range []struct {
		args string
		code int
		out  string // in standard output
		err  string // in standard error
	}{
		{"wait " + good, 0, "FINISHED", ""},
		{"wait " + bad, 1, "", "INT"},
		{"why " + bad, 0, "FAILED because: ", ""},
		{"wait --timeout 50ms " + long, 124, "", "not over after 50ms"},
		{"get " + good, 0, "1000 rows", ""},
		{"get -o json " + good, 0, `"state": "FINISHED"`, ""},
		{"list", 0, long, ""},
		{"list --running -o json", 0, `"state": "RUNNING"`, ""},
		{"why " + good, 0, "FINISHED", ""},
		{"logs " + bad, 0, "", ""},
		{"cancel -w " + long, 0, "", ""},
		{"wait " + long, 1, "", "cancelled"},
		{"cancel " + good, 0, "", ""},
		{"nodes", 0, "leads", ""},
		{"get " + strings.Repeat("0", 32), 4, "", "does not exist"},
		{"wait 12", 4, "", "32 hex digits"},
		{"logs 12", 4, "", "32 hex digits"},
		{"list -o yaml", 2, "", "want table or json"},
		{"drain nobody", 4, "", "nobody"},
		{"submit query.sql", 2, "", "nobody to read"},
		{"submit none.sql", 4, "", "none.sql"},
	} {
		o := m.run(strings.Fields(c.args)...)
		if o.code != c.code || !strings.Contains(o.stdout, c.out) || !strings.Contains(o.stderr, c.err) {
			t.Errorf("tidemill %s: exit code %d, want %d with %q and %q\n%s%s", c.args, o.code, c.code, c.out, c.err, o.stdout, o.stderr)
		}
	}
}

// A query that never ends is cancelled by the signal that ends its client.
func (m *mill) interrupt(t *testing.T) {
	cmd := m.command("sql", "-o", "csv", endless+"SELECT id FROM g")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	rows := bufio.NewScanner(stdout)
	for range 3 {
		if !rows.Scan() {
			t.Fatal("no rows")
		}
	}
	sent := time.Now()
	_ = cmd.Process.Signal(syscall.SIGINT)
	for rows.Scan() {
		continue
	}
	if code := exitStatus(t, cmd, cmd.Wait()); code != 130 {
		t.Errorf("exit code %d", code)
	}
	t.Logf("ended %v after the signal", time.Since(sent).Round(time.Millisecond))
	if o := m.run("list", "--running", "-o", "json"); strings.TrimSpace(o.stdout) != "[]" {
		t.Errorf("jobs that run still: %s", o.stdout)
	}
}

// Whoever reads the rows goes away, as head(1) does: the query ends, too.
func (m *mill) readerGoes(t *testing.T) {
	cmd := m.command("sql", "-o", "csv", endless+"SELECT id FROM g")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if !bufio.NewScanner(stdout).Scan() {
		t.Fatal("no rows")
	}
	if err := stdout.Close(); err != nil {
		t.Fatal(err)
	}
	if code := exitStatus(t, cmd, cmd.Wait()); code != 141 || stderr.Len() > 0 {
		t.Errorf("exit code %d\n%s", code, stderr.String())
	}
	if o := m.run("list", "--running", "-o", "json"); strings.TrimSpace(o.stdout) != "[]" {
		t.Errorf("jobs that run still: %s", o.stdout)
	}
}

// The pages of each role, with the token and without.
func (m *mill) rest(t *testing.T) {
	token, err := os.ReadFile(filepath.Join(m.dir, "token"))
	if err != nil {
		t.Fatal(err)
	}
	get := func(url, bearer string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if bearer != "" {
			r.Header.Set("Authorization", "Bearer "+bearer)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var text bytes.Buffer
		_, _ = text.ReadFrom(answer.Body)
		return answer.StatusCode, text.String()
	}
	master := m.member("master").HTTP
	for url, want := range map[string]string{
		master + "/api/v1/jobs":                 `"state":"FINISHED"`,
		master + "/api/v1/nodes":                `"role":"shuffle"`,
		master + "/api/v1/openapi.json":         `"openapi":"3.1.0"`,
		master + "/overview":                    `"taskmanagers":2`,
		master + "/metrics":                     `tidemill_process_uptime_seconds{role="master"}`,
		master + "/metrics?workers":             `tidemill_cluster_workers{role="master"} 2`,
		master + "/metrics?jobs":                `tidemill_jobs{role="master",state="running"} 0`,
		m.member("worker-1").HTTP + "/metrics":  `tidemill_process_uptime_seconds{role="worker"}`,
		m.member("shuffle").HTTP + "/metrics":   `tidemill_process_uptime_seconds{role="shuffle"}`,
		m.member("worker-2").HTTP + "/overview": "404",
	} {
		if code, text := get(url, strings.TrimSpace(string(token))); !strings.Contains(text, want) {
			t.Errorf("%s: %d, want %s\n%s", url, code, want, text)
		}
		if code, _ := get(url, ""); code != 401 {
			t.Errorf("%s without a token: %d", url, code)
		}
	}
}

// Who has a wrong token or a foreign certificate comes to know so.
func (m *mill) credentials(t *testing.T) {
	other := t.TempDir()
	if o := tidemill(t, other, "token", other+"/token"); o.code != 0 {
		t.Fatal(o.stderr)
	}
	if o := tidemill(t, other, "cert", other+"/tls"); o.code != 0 {
		t.Fatal(o.stderr)
	}
	master := m.member("master").Address
	own := []string{"--token-file", m.dir + "/token", "--tls-dir", m.dir + "/tls"}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"list", "--cluster", master, own[0], own[1], own[2], own[3]}, 0, ""},
		{[]string{"list", "--cluster", master, "--token-file", other + "/token", own[2], own[3]}, 6, "the token is not this cluster's"},
		{[]string{"list", "--cluster", master, own[0], own[1], "--tls-dir", other + "/tls"}, 6, "certificate"},
		{[]string{"sql", "--cluster", master, "--token-file", other + "/token", own[2], own[3], "SELECT 1"}, 6, "the token is not this cluster's"},
		{[]string{"list", "--cluster", master, "--token-file", other + "/none", own[2], own[3]}, 4, "--token-file"},
		{[]string{"list", "--cluster", "nonsense"}, 2, "HOST:PORT"},
		{[]string{"worker", "--join", master, "--data-dir", other + "/w", "--tls-dir", other + "/tls", "--token-file", other + "/token"}, 6, "certificate"},
	} {
		if o := tidemill(t, m.work, c.args...); o.code != c.code || !strings.Contains(o.stderr, c.want) {
			t.Errorf("%v: exit code %d, want %d with %q\n%s", c.args, o.code, c.code, c.want, o.stderr)
		}
	}
}

// What would let strangers in does not start, and says what is missing.
func TestOpenDoorsAreRefused(t *testing.T) {
	home := t.TempDir()
	if o := tidemill(t, home, "token", home+"/token"); o.code != 0 || strings.TrimSpace(o.stdout) != home+"/token" {
		t.Fatalf("token: %d %s%s", o.code, o.stdout, o.stderr)
	}
	if o := tidemill(t, home, "cert", home+"/tls", "--role", "master", "--host", "127.0.0.1"); o.code != 0 {
		t.Fatalf("cert: %d %s", o.code, o.stderr)
	}
	info, err := os.Stat(home + "/token")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's mode: %v, %v", info.Mode(), err)
	}
	for _, c := range []struct {
		args string
		code int
		want []string
	}{
		{"master --listen 0.0.0.0:0", 2, []string{"TLS and a token", "--tls-dir", "--token-file", "127.0.0.1"}},
		{"master --listen :0 --token-file token", 2, []string{"has not TLS"}},
		{"master --listen [::]:0 --tls-dir tls", 2, []string{"has not a token"}},
		{"worker --join 127.0.0.1:1 --listen 0.0.0.0:0", 2, []string{"TLS and a token"}},
		{"shuffle --join 127.0.0.1:1 --http 0.0.0.0:0 ", 2, []string{"0.0.0.0:0", "TLS and a token"}},
		{"worker", 2, []string{"--join"}},
		{"master --listen nonsense", 2, []string{"HOST:PORT"}},
		{"master -D parallelism.defaul=1", 2, []string{"did you mean parallelism.default?"}},
		{"master --log loud", 2, []string{"debug, info"}},
		{"worker --join 127.0.0.1:1 --token-file none", 4, []string{"none"}},
		{"up --workers 0", 2, []string{"at least one"}},
		{"list", 4, []string{"tidemill up"}},
	} {
		cmd := command(t, home, append(strings.Fields(c.args), map[bool][]string{true: {"--data-dir", home + "/data"}}[!strings.HasPrefix(c.args, "list")]...)...)
		cmd.Env = append(cmd.Env, "TIDEMILL_HOME="+home+"/home")
		o := finished(t, cmd)
		for _, want := range c.want {
			if o.code != c.code || !strings.Contains(o.stderr, want) {
				t.Errorf("tidemill %s: exit code %d, want %d with %q\n%s", c.args, o.code, c.code, want, o.stderr)
			}
		}
	}
	if err := os.Chmod(home+"/token", 0o644); err != nil {
		t.Fatal(err)
	}
	if o := tidemill(t, home, "master", "--token-file", "token", "--tls-dir", "tls", "--data-dir", "data"); o.code != 6 || !strings.Contains(o.stderr, "chmod 600") {
		t.Errorf("an open secret: exit code %d\n%s", o.code, o.stderr)
	}
}

// Everything in one process.
func TestClusterInProcess(t *testing.T) {
	m := newMill(t, "--in-process", "--workers", "1")
	if o := m.run("sql", "-o", "csv", generator+"SELECT count(*) FROM g"); o.code != 0 || lines(o.stdout)[1] != "5000" {
		t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if code := m.end(); code != 130 {
		t.Errorf("up ended with %d\n%s", code, m.stderr.String())
	}
}

// A worker that is killed under a query costs that query, at most, and says so clearly;
// up starts it again, and the next query finds it.
func TestClusterWorkerIsKilled(t *testing.T) {
	m := newMill(t)
	cmd := m.command("sql", "-o", "csv", "-D", "parallelism.default=2", endless+"SELECT id FROM g")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	rows := bufio.NewScanner(stdout)
	if header := rows.Scan(); !header || !rows.Scan() {
		t.Fatalf("no rows\n%s", stderr.String())
	}
	killed := m.member("worker-1")
	if err := syscall.Kill(killed.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for rows.Scan() {
		continue
	}
	code := exitStatus(t, cmd, cmd.Wait())
	if code != 75 && code != 1 || !regexp.MustCompile(`worker|unreachable|lost|gone`).MatchString(stderr.String()) {
		t.Errorf("exit code %d\n%s", code, stderr.String())
	}
	o := m.run("sql", "-o", "csv", "-D", "parallelism.default=2", generator+"SELECT count(*) FROM g")
	if o.code != 0 || lines(o.stdout)[1] != "5000" {
		t.Errorf("afterwards: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
}

// A worker that is killed under an INSERT costs time: the job begins again on the workers
// that there are, and publishes each row once.
func TestClusterWorkerIsKilledUnderAnInsert(t *testing.T) {
	m := newMill(t)
	put(t, m.work, "job.sql", slow)
	o := m.run("submit", "job.sql")
	if o.code != 0 {
		t.Fatalf("submit: exit code %d\n%s", o.code, o.stderr)
	}
	job := lines(o.stdout)[0]
	if o := m.run("wait", "--timeout", "200ms", job); o.code != 124 {
		t.Fatalf("the job, of ten seconds, is over too soon: exit code %d\n%s", o.code, o.stderr)
	}
	if err := syscall.Kill(m.member("worker-1").PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if o := m.run("wait", job); o.code != 0 {
		t.Errorf("wait: exit code %d\n%s%s", o.code, o.stderr, m.run("get", job).stdout)
	}
	if o := m.run("sql", "-o", "csv", "SELECT count(*), count(DISTINCT id) FROM 'o/*.parquet'"); o.code != 0 || lines(o.stdout)[1] != "100000,100000" {
		t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
}

// The master is killed and started again: jobs that it knew are known still.
func TestClusterMasterIsKilled(t *testing.T) {
	m := newMill(t)
	put(t, m.work, "job.sql", fmt.Sprintf(script, "o"))
	o := m.run("submit", "job.sql")
	if o.code != 0 {
		t.Fatalf("submit: %s", o.stderr)
	}
	job := lines(o.stdout)[0]
	if err := syscall.Kill(m.member("master").PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if o := m.run("wait", job); o.code != 0 {
		t.Errorf("wait: exit code %d\n%s\n%s", o.code, o.stderr, m.stderr.String())
	}
	if o := m.run("sql", "-o", "csv", "SELECT count(*) FROM 'o/*'"); o.code != 0 || lines(o.stdout)[1] != "1000" {
		t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
}
