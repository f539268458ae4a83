-- A bid is in five windows.
WITH c AS (
  SELECT auction, COUNT(*) AS num, started
  FROM (
    SELECT auction, time_bucket(INTERVAL 2 SECOND, "dateTime", TIMESTAMP '1970-01-01') - to_seconds(2 * k) AS started
    FROM bid, (SELECT unnest([0, 1, 2, 3, 4]) AS k)
  )
  GROUP BY auction, started
)
SELECT auction, num FROM c QUALIFY num = MAX(num) OVER (PARTITION BY started)
