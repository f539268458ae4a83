"""Makes the files of other writers that TestPageIndexOfOthers and TestBloomFilter read.

usage: pip install pyarrow duckdb && python indexed.py   (in this directory)

Both hold 6,000 rows: n ascending with gaps (multiples of 3), null in every 50th row of m; s and k repeat
values that lie between other values' bounds, so that only bloom filters can tell that one is missing.
indexed_arrow.parquet has a page index and pages of about 500 rows, of version 2, in two row groups, and a
list beside; indexed_duckdb.parquet has bloom filters, in three row groups.
"""
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

rows = range(6000)
table = pa.table({
    "n": pa.array([3 * i for i in rows], pa.int64()),
    "m": pa.array([None if i % 50 == 7 else i // 10 for i in rows], pa.int32()),
    "s": pa.array([f"name {(i * 7) % 100 * 2:03d}" for i in rows], pa.string()),
    "k": pa.array([(i // 2000) * 1000 + (i * 11) % 100 * 2 for i in rows], pa.int64()),
    "l": pa.array([[i, i + 1][: i % 3] for i in rows], pa.list_(pa.int32())),
})
pq.write_table(table, "indexed_arrow.parquet", row_group_size=3000, data_page_version="2.0", write_batch_size=100,
               data_page_size=2000, write_page_index=True, use_dictionary=["s"], compression="snappy")
flat = table.drop_columns(["l"])
duckdb.sql("COPY (SELECT * FROM flat ORDER BY n) TO 'indexed_duckdb.parquet' (FORMAT parquet, ROW_GROUP_SIZE 2048)")
