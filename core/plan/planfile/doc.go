// Package planfile is the file that COMPILE PLAN writes and EXECUTE PLAN reads: a job graph
// that outlives the planner that made it, with the uids that its state is found by.
//
//	{
//	  "format": 1,               what follows, see Version
//	  "tidemill": "1.2.3",       who wrote it, for people
//	  "checksum": "9f86d0...",   SHA-256 of plan, in hexadecimal, without white space
//	  "plan": {
//	    "tables": [...],         what the graph reads and writes, as it was
//	    "graph": {...}           jobgraph.Graph as protojson
//	  }
//	}
//
// Of a table there is what a plan depends on: its columns, event time, keys, whether it ends.
// Its other options are not there, nor are the settings of the session: both may hold secrets
// and may change; who executes a plan takes those of his catalog and session. The graph's
// sources and sinks name the tables.
//
// A file is to be read, not edited: the checksum refuses what was changed but for white space.
// The package does no I/O.
package planfile
