-- People who opened an auction within the 10 s in which they came.
SELECT p.id, p.name, p.started
FROM (
  SELECT id, name, window_start AS started, window_end AS ended
  FROM TABLE(TUMBLE(TABLE person, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND))
  GROUP BY id, name, window_start, window_end
) AS p
JOIN (
  SELECT seller, window_start AS started, window_end AS ended
  FROM TABLE(TUMBLE(TABLE auction, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND))
  GROUP BY seller, window_start, window_end
) AS a ON p.id = a.seller AND p.started = a.started AND p.ended = a.ended
