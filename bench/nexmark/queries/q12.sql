-- Bids of each bidder in every 10 s of the clock.
SELECT bidder, COUNT(*) AS bids, window_start AS started, window_end AS ended
FROM TABLE(TUMBLE(TABLE bid_now, DESCRIPTOR(p_time), INTERVAL '10' SECOND))
GROUP BY bidder, window_start, window_end
