-- A job that does not end: 1,000 clicks a second, counted by page in windows of one second of event time. What a window of a
-- page has is published once, with the checkpoint after its end.

SET 'execution.runtime-mode' = 'streaming';
SET 'execution.checkpointing.interval' = '300 ms';
SET 'state.checkpoints.dir' = '${dir}/checkpoints';
SET 'state.savepoints.dir' = '${dir}/savepoints';
SET 'parallelism.default' = '${parallelism}';

CREATE TABLE clicks (
  id   BIGINT,
  page INT,
  ts AS CAST(TO_TIMESTAMP_LTZ(1767225600000 + id, 3) AS TIMESTAMP(3)),
  WATERMARK FOR ts AS ts - INTERVAL '3' SECOND
) WITH (
  'connector' = 'datagen',
  'rows-per-second' = '1000',
  'fields.id.kind' = 'sequence',
  'fields.page.min' = '1',
  'fields.page.max' = '3'
);

CREATE TABLE counts (window_start TIMESTAMP(3), page INT, clicks BIGINT)
  WITH ('connector' = 'filesystem', 'path' = '${dir}/counts', 'format' = 'csv');

INSERT INTO counts
SELECT window_start, page, COUNT(*)
FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '1' SECOND))
GROUP BY window_start, window_end, page;
