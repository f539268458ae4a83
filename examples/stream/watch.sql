-- A live query: 10,000 clicks a second, each a millisecond of event time after the one before, counted by page in windows of one
-- second. Nothing but LIMIT ends it; at the prompt, leave that out and press Ctrl-C.

SET 'execution.runtime-mode' = 'streaming';

CREATE TABLE clicks (
  id   BIGINT,
  page INT,
  ts AS CAST(TO_TIMESTAMP_LTZ(1767225600000 + id, 3) AS TIMESTAMP(3)),
  WATERMARK FOR ts AS ts - INTERVAL '3' SECOND
) WITH (
  'connector' = 'datagen',
  'rows-per-second' = '10000',
  'fields.id.kind' = 'sequence',
  'fields.page.min' = '1',
  'fields.page.max' = '3'
);

SELECT window_start, page, COUNT(*) AS clicks
FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '1' SECOND))
GROUP BY window_start, window_end, page
LIMIT 6;
