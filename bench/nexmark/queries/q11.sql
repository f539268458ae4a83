-- Bids of each session of a bidder, which ends after 10 s without one.
SELECT bidder, COUNT(*) AS bids, window_start AS started, window_end AS ended
FROM TABLE(SESSION(TABLE bid PARTITION BY bidder, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND))
GROUP BY bidder, window_start, window_end
