// Package joblog keeps the newest log lines about each job, so that `logs JOB` finds
// them in the process that wrote them.
//
//	slog --> Handler --> the program's handler
//	             \-----> Ring: lines by job
//
// A line is about a job if it has an attribute "job", of its own or of its logger: an
// id.Job, or the text of one. Others pass by.
//
// A Ring is bounded in jobs, in lines of a job, and in bytes of a job: the oldest lines
// go first, and the job that was silent longest.
package joblog
