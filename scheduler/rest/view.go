package rest

import (
	"cmp"
	"encoding/hex"
	"slices"
	"time"

	"github.com/tidemill/tidemill/core/rpc"
)

// Job is a job as REST and `get` show it.
type Job struct {
	ID           string     `json:"id" doc:"32 hexadecimal digits"`
	Name         string     `json:"name"`
	State        string     `json:"state" doc:"by Flink's names" example:"RUNNING"`
	Over         bool       `json:"over"`
	Submitted    *time.Time `json:"submitted,omitempty"`
	Started      *time.Time `json:"started,omitempty"`
	Ended        *time.Time `json:"ended,omitempty"`
	Seconds      float64    `json:"seconds" doc:"that it has run, up to its end"`
	Cause        *Cause     `json:"cause,omitempty" doc:"why it fails or failed"`
	Restarts     uint32     `json:"restarts"`
	Checkpoints  uint64     `json:"checkpoints"`
	RowsWritten  uint64     `json:"rows_written"`
	BytesWritten uint64     `json:"bytes_written"`
	FilesWritten uint64     `json:"files_written"`
	SplitsDone   uint64     `json:"splits_assigned"`
	SplitsTotal  uint64     `json:"splits_total" doc:"0: not known"`
	Vertices     []Vertex   `json:"vertices,omitempty"`
	Rejected     []Rejected `json:"rejected,omitempty" doc:"records that are no rows of their tables, of each table of which some may be left out"`
	Decisions    []Decision `json:"decisions,omitempty" doc:"what the adaptive scheduler chose, and why"`
	Waits        []Wait     `json:"waits,omitempty" doc:"what its parts wait for now"`
	Failures     []Failure  `json:"failures,omitempty"`
}

// Cause is an error with its class.
type Cause struct {
	Class string `json:"class"`
	Text  string `json:"text"`
}

// Rejected counts the records of a table that are no rows of it.
type Rejected struct {
	Table   string `json:"table"`
	Records uint64 `json:"records"`
}

// Vertex is a vertex of a job.
type Vertex struct {
	ID          uint32            `json:"id"`
	Name        string            `json:"name"`
	Source      bool              `json:"source"`
	Region      uint32            `json:"region"`
	Parallelism uint32            `json:"parallelism" doc:"0: not decided yet"`
	Subtasks    map[string]uint32 `json:"subtasks" doc:"how many are in which state"`
	RowsIn      uint64            `json:"rows_in"`
	RowsOut     uint64            `json:"rows_out"`
	BytesIn     uint64            `json:"bytes_in"`
	Spilled     uint64            `json:"spilled_bytes"`
	LateRows    uint64            `json:"late_rows" doc:"left out because they came after their time was over"`
	FutureRows  uint64            `json:"future_rows" doc:"too far ahead of the clock to advance event time"`
	Rejected    uint64            `json:"rejected_records" doc:"left out because they are no rows of their table"`
	Watermark   *int64            `json:"watermark_millis,omitempty" doc:"the least that subtasks have told their consumers, in Unix time"`
	Attempts    []uint32          `json:"attempts,omitempty" doc:"number of the present attempt, by subtask"`
	Workers     []string          `json:"workers,omitempty" doc:"where it runs, by subtask"`
	Standings   []Standing        `json:"standings,omitempty" doc:"where running subtasks stand"`
}

// Standing is where a running subtask stands.
type Standing struct {
	Subtask    uint32  `json:"subtask"`
	RowsIn     uint64  `json:"rows_in"`
	RowsOut    uint64  `json:"rows_out"`
	LateRows   uint64  `json:"late_rows"`
	FutureRows uint64  `json:"future_rows"`
	Rejected   uint64  `json:"rejected_records"`
	Input      *int64  `json:"input_watermark_millis,omitempty"`
	Output     *int64  `json:"output_watermark_millis,omitempty"`
	EventIdle  bool    `json:"event_idle" doc:"event time of its consumers does not wait for it"`
	Busy       float64 `json:"busy" doc:"part of its time lately, as the following"`
	Idle       float64 `json:"idle"`
	Blocked    float64 `json:"blocked" doc:"its consumers do not take its rows as fast as it makes them"`
	StateBytes int64   `json:"state_memory_bytes"`
	StateAsked uint64  `json:"state_keys_asked" doc:"keys that were looked up where state is on disk, too"`
	StateHits  uint64  `json:"state_keys_hit" doc:"of these, in memory"`
}

// Decision is one of the adaptive scheduler's.
type Decision struct {
	AtMillis int64  `json:"at_millis" doc:"since the job began"`
	Rule     string `json:"rule"`
	Subject  string `json:"subject"`
	Inputs   string `json:"inputs"`
	Effect   string `json:"effect"`
}

// Wait says what a part of a job waits for.
type Wait struct {
	Part        string `json:"part"`
	Reason      string `json:"reason"`
	Owner       string `json:"owner" doc:"of whom it waits for it"`
	SinceMillis int64  `json:"since_millis" doc:"since the job began"`
}

// Failure is one that a job has survived or not.
type Failure struct {
	AtMillis int64    `json:"at_millis" doc:"since the job began"`
	Cause    string   `json:"cause"`
	Regions  []uint32 `json:"regions,omitempty" doc:"that were restarted"`
}

// Node is a process of the cluster.
type Node struct {
	ID          string `json:"id"`
	Role        string `json:"role" enum:"master,worker,shuffle"`
	Address     string `json:"address"`
	Host        string `json:"host"`
	Slots       uint32 `json:"slots"`
	FreeSlots   uint32 `json:"free_slots"`
	MemoryBytes int64  `json:"memory_bytes"`
	MemoryUsed  int64  `json:"memory_used"`
	Leader      bool   `json:"leader"`
	Lost        bool   `json:"lost" doc:"a master that the leading one does not hear of, since heard_millis"`
	Joining     bool   `json:"joining" doc:"a master that does not count for majorities yet: it is catching up"`
	Draining    bool   `json:"draining"`
	Drained     bool   `json:"drained" doc:"nobody needs a shuffle server any more that drains: it ends, or has"`
	// What is left at a server that drains.
	KeptExchanges uint32 `json:"kept_exchanges,omitempty"`
	KeptBytes     int64  `json:"kept_bytes,omitempty"`
	Waits         string `json:"waits,omitempty" doc:"what a server waits for that drains"`
	Full          string `json:"full,omitempty" doc:"why a shuffle server has no room on disk; lanes are placed elsewhere if they can"`
	HeardMillis   int64  `json:"heard_millis" doc:"since it was heard of last"`
}

// LogLine is a line that was logged about a job.
type LogLine struct {
	At    time.Time `json:"at"`
	Level string    `json:"level"`
	Node  string    `json:"node"`
	Text  string    `json:"text"`
}

// JobOf shows a job.
func JobOf(s *rpc.JobStatus) Job {
	j := Job{
		ID: hex.EncodeToString(s.GetJob()), Name: s.GetName(), State: s.GetState(), Over: s.GetOver(),
		Submitted: moment(s.GetSubmitted()), Started: moment(s.GetStarted()), Ended: moment(s.GetEnded()),
		Restarts: s.GetRestarts(), Checkpoints: s.GetCheckpoints(),
		RowsWritten: s.GetRowsWritten(), BytesWritten: s.GetBytesWritten(), FilesWritten: s.GetFilesWritten(),
		SplitsDone: s.GetSplitsAssigned(), SplitsTotal: s.GetSplitsTotal(), Seconds: seconds(s),
	}
	if c := s.GetCause(); c != nil {
		j.Cause = &Cause{Class: classOf(c), Text: c.GetText()}
	}
	for _, v := range s.GetVertices() {
		j.Vertices = append(j.Vertices, Vertex{
			ID: v.GetVertex(), Name: v.GetName(), Source: v.GetSource(), Region: v.GetRegion(), Parallelism: v.GetParallelism(),
			Subtasks: v.GetSubtasks(), RowsIn: v.GetRowsIn(), RowsOut: v.GetRowsOut(), BytesIn: v.GetBytesIn(),
			Spilled: v.GetSpilledBytes(), LateRows: v.GetLateRows(), FutureRows: v.GetFutureRows(), Rejected: v.GetRejectedRecords(), Watermark: WatermarkOf(v),
			Attempts: v.GetAttempts(), Workers: v.GetWorkers(), Standings: standings(v),
		})
		j.reject(v)
	}
	for _, d := range s.GetDecisions() {
		j.Decisions = append(j.Decisions, Decision{AtMillis: d.GetAt(), Rule: d.GetRule(), Subject: d.GetSubject(), Inputs: d.GetInputs(), Effect: d.GetEffect()})
	}
	for _, w := range s.GetWaits() {
		j.Waits = append(j.Waits, Wait{Part: w.GetPart(), Reason: w.GetReason(), Owner: w.GetOwner(), SinceMillis: w.GetSince()})
	}
	for _, f := range s.GetFailures() {
		j.Failures = append(j.Failures, Failure{AtMillis: f.GetAt(), Cause: f.GetCause(), Regions: f.GetRegions()})
	}
	return j
}

// reject adds what a vertex rejects to that of its table.
func (j *Job) reject(v *rpc.VertexStatus) {
	table := v.GetRejectedOf()
	if table == "" {
		return
	}
	i := slices.IndexFunc(j.Rejected, func(r Rejected) bool { return r.Table == table })
	if i < 0 {
		i, j.Rejected = len(j.Rejected), append(j.Rejected, Rejected{Table: table})
	}
	j.Rejected[i].Records += v.GetRejectedRecords()
}

func standings(v *rpc.VertexStatus) (out []Standing) {
	part := func(permille uint32) float64 { return float64(permille) / 1000 }
	for _, p := range v.GetProgress() {
		s := p.GetStanding()
		out = append(out, Standing{
			Subtask: p.GetAttempt().GetSubtask(), RowsIn: p.GetRowsIn(), RowsOut: p.GetRowsOut(), LateRows: p.GetLateRows(), FutureRows: p.GetFutureRows(), Rejected: p.GetRejectedRecords(),
			Input: watermark(s.GetInputWatermark()), Output: watermark(s.GetOutputWatermark()), EventIdle: s.GetEventIdle(),
			Busy: part(busy(s)), Idle: part(s.GetIdlePermille()), Blocked: part(s.GetBlockedPermille()),
			StateBytes: s.GetStateBytes(), StateAsked: s.GetStateAsked(), StateHits: s.GetStateHits(),
		})
	}
	return out
}

// NodesOf shows the processes of a cluster, by role and name.
func NodesOf(r *rpc.NodesReply) []Node {
	out := make([]Node, 0, len(r.GetNodes()))
	for _, n := range r.GetNodes() {
		out = append(out, Node{
			ID: n.GetId(), Role: n.GetRole(), Address: n.GetAddress(), Host: n.GetHost(), Slots: n.GetSlots(), FreeSlots: n.GetFreeSlots(),
			MemoryBytes: n.GetMemoryBytes(), MemoryUsed: n.GetMemoryUsed(), Leader: n.GetLeader(), Lost: n.GetLost(), Joining: n.GetJoining(), Draining: n.GetDraining(),
			Drained: n.GetDrained(), KeptExchanges: n.GetKeptExchanges(), KeptBytes: n.GetKeptBytes(), Waits: n.GetWaits(),
			Full: n.GetFull(), HeardMillis: n.GetHeardMillis(),
		})
	}
	slices.SortFunc(out, func(a, b Node) int { return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.ID, b.ID)) })
	return out
}

// LinesOf shows log lines.
func LinesOf(r *rpc.LogsReply) []LogLine {
	out := make([]LogLine, 0, len(r.GetLines()))
	for _, l := range r.GetLines() {
		out = append(out, LogLine{At: time.UnixMilli(l.GetAt()).UTC(), Level: l.GetLevel(), Node: l.GetNode(), Text: l.GetText()})
	}
	return out
}

func moment(millis int64) *time.Time {
	if millis == 0 {
		return nil
	}
	t := time.UnixMilli(millis).UTC()
	return &t
}

// seconds is how long a job has run.
func seconds(s *rpc.JobStatus) float64 {
	from := cmp.Or(s.GetStarted(), s.GetSubmitted())
	until := s.GetEnded()
	if until == 0 {
		until = time.Now().UnixMilli()
	}
	if from == 0 {
		return 0
	}
	return float64(max(0, until-from)) / 1000
}
