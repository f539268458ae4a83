// Package metric measures: counters, gauges and histograms, and the registry through which they are read.
//
// An owner (a task, a worker, the shuffle service) opens a [Scope] with the labels that name it, creates its
// instruments once, keeps them in fields and updates them per batch or per event:
//
//	scope := registry.Scope(metric.L("job", job.String()), metric.L("subtask", "3"))
//	defer scope.Close()
//	rows := scope.Counter("tidemill_task_rows_in_total", "Rows that the task has read.")
//	...
//	rows.Add(uint64(batch.Rows()))
//
// Who reads (the Prometheus page, REST, the adaptive scheduler's snapshot) walks [Registry.All].
//
// What holds:
//
//   - An update is lock-free, allocates nothing and never waits for a reader.
//   - Labels are fixed when the instrument is created; no lookup by name or label stands on a hot path.
//   - One name has one kind, unit and help everywhere. The same name with the same labels is the same
//     instrument, whoever asks; it is dropped when the last scope that asked is closed.
//   - The number of series is limited ([Options]). Instruments beyond the limit count, but are not shown;
//     [Registry.Hidden] tells how many there are. So labels that multiply cost sight, not memory.
//   - A nil *Scope is valid: its instruments work and nobody sees them.
//
// Names are Prometheus names in base units: `tidemill_<what>_<unit>`, counters with `_total`. A histogram
// of time is recorded in nanoseconds and shown in seconds ([Unit]).
//
// A histogram is log-linear, as HdrHistogram is: values below 32 have a bucket each, above that every
// power of two is cut into 32 equal buckets, so a quantile is off by at most 1.6 percent at any
// magnitude. Powers of two that nobody has recorded take no memory:
//
//	value     0..31   32..63   64..127   128..255  ...
//	octave      0        1        2         3
//	width       1        1        2         4
//
// Locks: a scope's lock is taken before the registry's; no callback runs under either.
package metric
