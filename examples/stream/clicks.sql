-- A live stream: 200,000 clicks a second, counted by page in windows of one second of event time. The stream is planned as
-- unbounded and ends after five seconds only because the generator stops; each window of a page counts every click once.

SET 'execution.runtime-mode' = 'streaming';

CREATE TABLE clicks (
  id   BIGINT,
  page INT,
  ts AS CAST(TO_TIMESTAMP_LTZ(1767225600000 + id / 200, 3) AS TIMESTAMP(3)),
  WATERMARK FOR ts AS ts - INTERVAL '0.2' SECOND
) WITH (
  'connector' = 'datagen',
  'rows-per-second' = '200000',
  'number-of-rows' = '1000000',
  'fields.id.kind' = 'sequence',
  'fields.page.min' = '1',
  'fields.page.max' = '3'
);

SELECT window_start, page, COUNT(*) AS clicks
FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '1' SECOND))
GROUP BY window_start, window_end, page;
