-- Three million taxi trips as Parquet, partitioned by day. Row n is a pure function of n, so every run writes the same
-- rows. ${dir} is the directory of the demo's data: `tidemill run -v dir=... generate.sql`.

CREATE TABLE generator (
  id         BIGINT,
  zone       INT,
  passengers INT,
  metres     INT,
  fare_cents INT,
  tip_cents  INT
) WITH (
  'connector' = 'datagen',
  'number-of-rows' = '3000000',
  'rows-per-second' = '0',
  'fields.id.kind' = 'sequence',
  'fields.zone.min' = '1',
  'fields.zone.max' = '265',
  'fields.passengers.min' = '0',
  'fields.passengers.max' = '6',
  'fields.metres.min' = '400',
  'fields.metres.max' = '30000',
  'fields.fare_cents.min' = '300',
  'fields.fare_cents.max' = '9000',
  'fields.tip_cents.min' = '0',
  'fields.tip_cents.max' = '1500'
);

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

-- One trip a second, from the first of January on: 34 full days and a part of the next.
INSERT OVERWRITE trips
SELECT
  id,
  TIMESTAMPADD(SECOND, CAST(id AS INT), TIMESTAMP '2026-01-01 00:00:00'),
  zone,
  passengers,
  metres / 1000.0,
  CAST(fare_cents AS DECIMAL(9, 2)) / 100,
  CAST(tip_cents AS DECIMAL(9, 2)) / 100,
  CAST(TIMESTAMPADD(SECOND, CAST(id AS INT), TIMESTAMP '2026-01-01 00:00:00') AS DATE)
FROM generator;
