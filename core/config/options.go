package config

import (
	"maps"
	"math"
	"slices"
)

// The options, in the order of the reference page.
var (
	Parallelism = intOption("parallelism.default", 0, 0, 32768,
		"Subtasks of each vertex of a job; 0 takes the slots there are.", PerJob)
	RuntimeMode = stringOption("execution.runtime-mode", "automatic",
		"Whether a job is planned as batch or streaming; automatic chooses batch when every source is bounded.", PerJob,
		"automatic", "batch", "streaming")
	BatchRows = intOption("execution.batch-rows", 8192, 1, 65536,
		"Most rows in a batch between operators.", PerJob)
	JobName = stringOption("pipeline.name", "",
		"Name of the next job; empty takes one from the statement.", PerJob)
	MaxParallelism = intOption("pipeline.max-parallelism", 1024, 1, 32768,
		"Key groups of a job: the most subtasks a keyed vertex can ever have. Fixed for the job's life.", PerJob)
	LocalTimeZone = zoneOption("table.local-time-zone", "UTC",
		"Time zone of TIMESTAMP_LTZ in casts and printing.", PerJob)

	CheckpointInterval = durationOption("execution.checkpointing.interval", "0",
		"Time between checkpoints of a streaming job; 0 takes none.", PerJob)
	CheckpointTimeout = durationOption("execution.checkpointing.timeout", "10 min",
		"A checkpoint that takes longer is given up.", PerJob)
	UnalignedCheckpoints = boolOption("execution.checkpointing.unaligned.enabled", true,
		"Whether barriers may overtake rows in flight, which then are part of the checkpoint.", PerJob)
	AlignedTimeout = durationOption("execution.checkpointing.aligned-checkpoint-timeout", "5 s",
		"Barriers overtake rows in flight where subtasks have waited for them for so long; 0 at once.", PerJob)
	StateBackend = stringOption("state.backend.type", "hashmap",
		"Where streaming operators keep their state: hashmap in memory; pebble in memory as far as its budget goes and on local disk beyond; tiered as pebble, but beyond memory on any file system, with local disk as a cache. rocksdb is another name for pebble.", PerJob,
		"hashmap", "pebble", "rocksdb", "tiered")
	StateBudget = bytesOption("state.backend.pebble.memory.fixed-per-operator", "0",
		"Memory for the keys that each operator of a subtask keeps at hand if state is on disk or tiered; 0 takes a quarter of what the worker has for a slot.", PerJob)
	TieredDir = stringOption("state.backend.tiered.dir", "",
		"Directory of tiered state, on any file system; empty: below the job's own in state.checkpoints.dir.", PerJob)
	TieredLocal = bytesOption("state.backend.tiered.local-size", "16 gb",
		"Most that a worker keeps of a job's tiered state on local disk; an eighth of it stays free there for others, whatever io.tmp.limit says.", PerJob)
	CheckpointDir = stringOption("state.checkpoints.dir", "",
		"Directory of checkpoints, on any file system.", PerJob)
	CheckpointsRetained = intOption("state.checkpoints.num-retained", 1, 1, 1000,
		"Completed checkpoints that are kept.", PerJob)
	RestorePath = stringOption("execution.state-recovery.path", "",
		"Checkpoint or savepoint that a job starts from; a job's checkpoint directory takes its newest.", PerJob)
	CheckpointRetention = stringOption("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION",
		"What stays of a job's checkpoints when it is over: RETAIN_ON_CANCELLATION all; DELETE_ON_CANCELLATION those of a job that failed; NO_EXTERNALIZED_CHECKPOINTS, Flink's default, none.", PerJob,
		"RETAIN_ON_CANCELLATION", "DELETE_ON_CANCELLATION", "NO_EXTERNALIZED_CHECKPOINTS")
	IgnoreUnclaimedState = boolOption("execution.state-recovery.ignore-unclaimed-state", false,
		"Whether a job starts from a checkpoint or savepoint although it has no place for some of its state, which is left out.", PerJob)
	SavepointDir = stringOption("state.savepoints.dir", "",
		"Directory in which each savepoint gets one of its own, on any file system, unless the request names another.", PerJob)
	IdleTimeout = durationOption("table.exec.source.idle-timeout", "5 s",
		"A source, or a split of one that tells its splits apart, that is silent for so long is left out of watermarks; 0 never.", PerJob)
	FutureLimit = durationOption("table.exec.source.future-limit", "1 d",
		"How far the event time of a row of an unbounded table may be ahead of the clock and still advance the watermark; 0 any time.", PerJob)

	RejectsTable = stringOption("table.exec.source.rejects-table", "",
		"Table that takes the records of tables without an option 'rejects.table' of their own that are no rows of them; empty: such a record fails the job.", PerJob)
	LateRowsTable = stringOption("table.exec.late-rows.table", "",
		"Table that takes the rows that operators of a streaming job leave out because they came after their time was over; empty: they are counted only.", PerJob)
	LateRowsMax = intOption("table.exec.late-rows.max", -1, -1, math.MaxInt32,
		"Most rows that may go to the table of late rows in the life of a job; one more fails it; -1 any number.", PerJob)

	MiniBatch = boolOption("table.exec.mini-batch.enabled", false,
		"Whether group-bys of streaming jobs hold changes back for the allowed latency, to tell those of a key as one.", PerJob)
	MiniBatchLatency = durationOption("table.exec.mini-batch.allow-latency", "0",
		"Longest time that changes are held back if mini-batches are enabled; 0 tells them with each batch.", PerJob)
	MiniBatchSize = intOption("table.exec.mini-batch.size", -1, -1, math.MaxInt32,
		"Accepted and without effect: changes of 65,536 groups are told at once, however long they may be held.", PerJob)
	DistinctSplit = stringOption("table.optimizer.distinct-agg.split.enabled", "false",
		"Whether group-bys of streaming jobs with DISTINCT are computed in two, the first by the values, too, so that a key's rows are spread over all subtasks; automatic where all rows of a time have one key or a few, and that saves work. None is where state expires by time.", PerJob,
		"automatic", "true", "false")
	DistinctBuckets = intOption("table.optimizer.distinct-agg.split.bucket-num", 1024, 1, math.MaxInt32,
		"Accepted and without effect: values are spread each by itself, not by buckets.", PerJob)
	DisabledRules = stringOption("table.optimizer.disabled-rules", "",
		"Names of the optimizer's rules that statements are planned without, separated by ;: to find out what one does, or to plan as an earlier version did.", PerJob)
	ForceRecompile = boolOption("table.plan.force-recompile", false,
		"Whether COMPILE PLAN replaces a file that exists; with IF NOT EXISTS it never does.", PerJob)
	StateTTL = durationOption("table.exec.state.ttl", "0",
		"Time after which streaming operators forget keys that nothing has come for; 0 never. What comes later for such a key counts as the first.", PerJob)
	MaxPartialMatches = intOption("table.exec.match.max-partial-matches", 10_000, 1, math.MaxInt32,
		"Partial matches of MATCH_RECOGNIZE that a partition may have at a time; one with more fails the job.", PerJob)
	ResultMode = stringOption("sql-client.execution.result-mode", "table",
		"What a streaming query over inputs that end gives: table its rows, changelog the changes that lead to them.", PerJob,
		"table", "changelog")

	SchedulerMode = stringOption("scheduler-mode", "",
		"What a streaming job does with slots beyond those that it asks for: reactive takes all that there are, whatever parallelism.default is.", PerJob,
		"", "reactive")
	RescaleCooldown = durationOption("jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling", "30 s",
		"After it has started or restarted a streaming job does not grow for so long; who asks for another parallelism need not wait.", PerJob)
	RescaleSettle = durationOption("jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout", "1 s",
		"How long slots must have been free before a streaming job grows into them.", PerJob)
	RescaleIncrease = intOption("jobmanager.adaptive-scheduler.min-parallelism-increase", 1, 1, 32768,
		"How many more subtasks there must be room for before a streaming job grows.", PerJob)
	RescaleFailures = intOption("jobmanager.adaptive-scheduler.rescale-trigger.max-checkpoint-failures", 2, 1, 1000,
		"Checkpoints that may fail before a rescaling is given up; the job goes on as it is.", PerJob)
	RescaleStandbySize = bytesOption("jobmanager.adaptive-scheduler.rescale.standby-min-size", "16 mb",
		"A streaming job with so much keyed state in memory restores it where it will be before it stops to be rescaled, and then only what has changed meanwhile; workers hold both for that time, if they have room.", PerJob)

	RestartStrategy = stringOption("restart-strategy.type", "automatic",
		"What happens when a job fails: none, fixed-delay, failure-rate or exponential-delay, which automatic is in a cluster; in one process it is none.", PerJob,
		"automatic", "none", "fixed-delay", "failure-rate", "exponential-delay")
	RestartAttempts = intOption("restart-strategy.fixed-delay.attempts", 3, 0, 1<<30,
		"Restarts before a job fails for good.", PerJob)
	RestartDelay = durationOption("restart-strategy.fixed-delay.delay", "1 s",
		"Pause before a restart.", PerJob)
	FailureRateMost = intOption("restart-strategy.failure-rate.max-failures-per-interval", 1, 1, 10_000,
		"Failures within the interval that a job survives.", PerJob)
	FailureRateInterval = durationOption("restart-strategy.failure-rate.failure-rate-interval", "1 min",
		"Interval in which failures are counted.", PerJob)
	FailureRateDelay = durationOption("restart-strategy.failure-rate.delay", "1 s",
		"Pause before a restart.", PerJob)
	BackoffInitial = durationOption("restart-strategy.exponential-delay.initial-backoff", "200 ms",
		"First pause before a restart.", PerJob)
	BackoffMost = durationOption("restart-strategy.exponential-delay.max-backoff", "1 min",
		"Longest pause before a restart.", PerJob)
	BackoffMultiplier = floatOption("restart-strategy.exponential-delay.backoff-multiplier", 1.5, 1, 1000,
		"How many times longer each pause is than the one before.", PerJob)
	BackoffReset = durationOption("restart-strategy.exponential-delay.reset-backoff-threshold", "10 min",
		"Time without a failure after which pauses begin anew with the first.", PerJob)
	BackoffAttempts = intOption("restart-strategy.exponential-delay.attempts-before-reset-backoff", 100, 0, 1<<30,
		"Restarts before a job fails for good, unless pauses have begun anew; 0 sets no limit.", PerJob)

	ExchangeFlush = durationOption("exchange.flush", "5 ms",
		"Longest time that a row waits in an exchange's writer for more.", PerJob)
	ExchangeBudget = bytesOption("exchange.partition-budget", "4 mb",
		"Bytes that a pipelined partition holds for its reader.", PerJob)
	ExchangeReplay = stringOption("exchange.streaming-retention", "none",
		"Retention of streaming edges of jobs with checkpoints: checkpoint keeps what came since the latest one, so that a failed task is restored without those it reads from; none keeps nothing.", PerJob,
		"checkpoint", "none")
	ExchangeRetention = stringOption("exchange.batch-retention", "automatic",
		"Retention of batch edges: automatic keeps them only where the plan needs it; job keeps all.", PerJob,
		"automatic", "job")
	BroadcastLimit = bytesOption("table.optimizer.join.broadcast-threshold", "10 mb",
		"A join input estimated to be smaller is broadcast; up to four times as much where that moves less.", PerJob)
	RuntimeFilter = boolOption("table.optimizer.runtime-filter.enabled", true,
		"Whether scans drop rows whose keys a join turns out not to have.", PerJob)

	OperatorTime = boolOption("metrics.operator-time", false,
		"Whether tasks measure the time of each operator, as EXPLAIN ANALYZE has them do.", PerJob)

	Memory = bytesOption("worker.memory.size", "0",
		"Memory of a worker, all in all; 0 takes seven tenths of the machine's or container's.", PerProcess)
	Slots = intOption("worker.slots", 0, 0, 4096,
		"Slots of a worker; 0 takes the number of cores.", PerProcess)
	ReplayMemory = bytesOption("exchange.replay-memory", "128 mb",
		"Most bytes that streaming exchanges of a worker keep to be read again after a failure, a quarter of them for one partition, and no more than a sixteenth of its memory.", PerProcess)
	SpillDir = stringOption("io.tmp.dir", "",
		"Directory for data that does not fit memory; empty takes the system's.", PerProcess)
	SpillLimit = bytesOption("io.tmp.limit", "64 gb",
		"Most bytes a process writes there.", PerProcess)
	StateDir = stringOption("state.backend.local-dir", "",
		"Directory for state on disk; empty: below io.tmp.dir.", PerProcess)
	RemoteDir = stringOption("shuffle.remote.dir", "",
		"Directory, on any file system, for stored exchange data that the local disk has no room for; empty: there is none.", PerProcess)
	RemoteAfter = floatOption("shuffle.remote.after", 0.8, 0.01, 1,
		"Share of io.tmp.limit from which sealed exchange data is moved there.", PerProcess)
	RemoteSegment = bytesOption("shuffle.remote.min-segment", "64 mb",
		"Least that is moved there of an exchange at once; what is sealed of smaller ones stays on disk.", PerProcess)

	S3Endpoint = stringOption("s3.endpoint", "",
		"URL of an S3 server; empty takes Amazon's, or AWS_ENDPOINT_URL.", PerProcess)
	S3Region = stringOption("s3.region", "",
		"Region of the buckets; empty takes what environment or profile say, else us-east-1.", PerProcess)
	S3PathStyle = boolOption("s3.path.style.access", false,
		"Whether the bucket stands in the path of URLs instead of the host name.", PerProcess)
	S3AccessKey = stringOption("s3.access-key", "",
		"Access key of S3; empty asks the chain of the AWS SDK: environment, profile, web identity.", PerProcess)
	S3SecretKey = secretOption("s3.secret-key",
		"Secret key of S3; shown as ***.", PerProcess)
	S3InstanceMetadata = boolOption("s3.instance-metadata", false,
		"Whether credentials of S3 may come from the metadata service of the machine or container.", PerProcess)

	HadoopConfDir = stringOption("env.hadoop.conf.dir", "",
		"Directory of core-site.xml and hdfs-site.xml; empty takes HADOOP_CONF_DIR, then HADOOP_HOME/etc/hadoop.", PerProcess)
	KerberosKeytab = stringOption("security.kerberos.login.keytab", "",
		"Keytab file that logs in to Kerberos, for HDFS.", PerProcess)
	KerberosPrincipal = stringOption("security.kerberos.login.principal", "",
		"Who logs in with the keytab: user@REALM.", PerProcess)
)

var all = []Info{
	Parallelism.info, RuntimeMode.info, BatchRows.info, JobName.info, MaxParallelism.info, LocalTimeZone.info,
	CheckpointInterval.info, CheckpointTimeout.info, UnalignedCheckpoints.info, AlignedTimeout.info, StateBackend.info, StateBudget.info, TieredDir.info, TieredLocal.info, CheckpointDir.info, CheckpointsRetained.info, RestorePath.info,
	CheckpointRetention.info, IgnoreUnclaimedState.info, SavepointDir.info,
	IdleTimeout.info, FutureLimit.info, RejectsTable.info, LateRowsTable.info, LateRowsMax.info, MiniBatch.info, MiniBatchLatency.info, MiniBatchSize.info, DistinctSplit.info, DistinctBuckets.info, DisabledRules.info, ForceRecompile.info, StateTTL.info, MaxPartialMatches.info, ResultMode.info,
	SchedulerMode.info, RescaleCooldown.info, RescaleSettle.info, RescaleIncrease.info, RescaleFailures.info, RescaleStandbySize.info,
	RestartStrategy.info, RestartAttempts.info, RestartDelay.info,
	FailureRateMost.info, FailureRateInterval.info, FailureRateDelay.info, BackoffInitial.info, BackoffMost.info,
	BackoffMultiplier.info, BackoffReset.info, BackoffAttempts.info,
	ExchangeFlush.info, ExchangeBudget.info, ExchangeReplay.info, ExchangeRetention.info, BroadcastLimit.info, RuntimeFilter.info,
	OperatorTime.info,
	Memory.info, Slots.info, ReplayMemory.info, SpillDir.info, SpillLimit.info, StateDir.info, RemoteDir.info, RemoteAfter.info, RemoteSegment.info,
	S3Endpoint.info, S3Region.info, S3PathStyle.info, S3AccessKey.info, S3SecretKey.info, S3InstanceMetadata.info,
	HadoopConfDir.info, KerberosKeytab.info, KerberosPrincipal.info,
}

var byKey = func() map[string]Info {
	m := make(map[string]Info, len(all))
	for _, i := range all {
		m[i.Key] = i
	}
	return m
}()

// All lists every option in the order of the reference page.
func All() []Info { return slices.Clone(all) }

// Keys lists every key in alphabetical order.
func Keys() []string { return slices.Sorted(maps.Keys(byKey)) }
