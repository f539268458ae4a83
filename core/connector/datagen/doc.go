// Package datagen is the connector of generated rows, bounded or not.
//
// Row n of a table is a pure function of n and the options (times near the
// clock apart): any parallelism, a
// restart or a rescale gives the same rows, so that results can be checked in
// closed form. Each split is one residue class of n, so the rows of all splits
// together are 0, 1, 2, ... without gaps.
//
// A rate bounds the rows per second of all subtasks together: row n is due n/rate
// seconds after its reader started, so a restart goes on at the same pace instead
// of catching up.
//
// Options, as in Flink:
//
//	rows-per-second      default 10000; 0 as fast as can be
//	number-of-rows       makes the source bounded
//	fields.f.kind        random (default) or sequence
//	fields.f.start .end  of a sequence; it starts anew after its end
//	fields.f.min .max    of a random number, inclusive
//	fields.f.length      of a random text, default 100
//	fields.f.max-past    of a random time, before the reader's clock
//	fields.f.null-rate   share of nulls, default 0
//	fields.f.var-len     whether a random text has any length up to length
package datagen
