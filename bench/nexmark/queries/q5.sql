-- Auctions with the most bids in the last 10 s, every 2 s.
SELECT b.auction, b.num
FROM (
  SELECT auction, COUNT(*) AS num, window_start AS started, window_end AS ended
  FROM TABLE(HOP(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
  GROUP BY auction, window_start, window_end
) AS b
JOIN (
  SELECT MAX(num) AS most, started, ended
  FROM (
    SELECT COUNT(*) AS num, window_start AS started, window_end AS ended
    FROM TABLE(HOP(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
    GROUP BY auction, window_start, window_end
  ) AS c
  GROUP BY started, ended
) AS m ON b.started = m.started AND b.ended = m.ended AND b.num >= m.most
