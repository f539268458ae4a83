// Package datatype holds Flink's SQL types and their Arrow layout.
//
// A Type is a logical type: what a column means. Its Arrow type is how a batch
// lays it out. The mapping is a function of the type alone, with one freedom:
// a character or binary column may arrive plain or dictionary-encoded (int32
// indexes), differing from batch to batch, because Parquet pages do.
//
//	SQL                          Arrow
//	BOOLEAN                      bool
//	TINYINT SMALLINT INT BIGINT  int8 int16 int32 int64
//	FLOAT DOUBLE                 float32 float64
//	DECIMAL(p<=18, s)            decimal64(p, s): an int64, scaled
//	DECIMAL(p<=38, s)            decimal128(p, s)
//	CHAR(n) VARCHAR(n) STRING    utf8, or dictionary<int32, utf8>
//	BINARY(n) VARBINARY(n) BYTES binary, or dictionary<int32, binary>
//	DATE                         date32
//	TIME(p)                      time32(ms) p<=3, time64(us) p<=6, time64(ns)
//	TIMESTAMP(p)                 timestamp(ms) p<=3, (us) p<=6, (ns), no zone
//	TIMESTAMP_LTZ(p)             the same with zone "UTC"
//	INTERVAL YEAR TO MONTH       month_interval: int32 months
//	INTERVAL DAY TO SECOND       duration(ms): int64 milliseconds, as in Flink
//	ARRAY<t>                     list<t>
//	MAP<k, v>                    map<k, v>
//	MULTISET<t>                  map<t, int32>
//	ROW<...>                     struct
//	NULL                         null
//
// Types are values and must be treated as immutable. Nullability is part of a
// type; two types are Equal only if it agrees, and Same if only it differs.
package datatype
