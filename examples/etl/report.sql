-- The nightly job: read the trips of four weeks, join them with the zones, aggregate by day and borough, and replace the
-- partitions of the report that have new rows. Run twice, it leaves the same rows.
-- Variables: ${dir}, the demo's data; ${examples}, this repository's examples.

CREATE TABLE trips (
  trip       BIGINT,
  picked_up  TIMESTAMP(3),
  zone       INT,
  passengers INT,
  distance   DOUBLE,
  fare       DECIMAL(9, 2),
  tip        DECIMAL(9, 2),
  `day`      DATE
) PARTITIONED BY (`day`) WITH (
  'connector' = 'filesystem',
  'path' = '${dir}/trips',
  'format' = 'parquet'
);

CREATE TABLE zones (
  zone    INT,
  borough STRING,
  name    STRING
) WITH (
  'connector' = 'filesystem',
  'path' = '${examples}/etl/zones.csv',
  'format' = 'csv'
);

CREATE TABLE daily_revenue (
  `day`    DATE,
  trips    BIGINT,
  revenue  DECIMAL(38, 2),
  tips     DECIMAL(38, 2),
  distance DOUBLE,
  borough  STRING
) PARTITIONED BY (borough) WITH (
  'connector' = 'filesystem',
  'path' = '${dir}/daily_revenue',
  'format' = 'parquet'
);

INSERT OVERWRITE daily_revenue
SELECT
  t.`day`,
  COUNT(*),
  SUM(t.fare),
  SUM(t.tip),
  AVG(t.distance),
  z.borough
FROM trips AS t
JOIN zones AS z ON t.zone = z.zone
WHERE t.passengers > 0
  AND t.`day` BETWEEN DATE '2026-01-04' AND DATE '2026-01-31'
GROUP BY t.`day`, z.borough;
