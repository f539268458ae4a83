SELECT bidder, COUNT(*) AS bids, MIN("dateTime") AS started, MAX("dateTime") + INTERVAL 10 SECOND AS ended
FROM (
  SELECT bidder, "dateTime", SUM(fresh) OVER (PARTITION BY bidder ORDER BY "dateTime" ROWS UNBOUNDED PRECEDING) AS nth
  FROM (
    SELECT bidder, "dateTime",
      CASE WHEN "dateTime" > LAG("dateTime") OVER (PARTITION BY bidder ORDER BY "dateTime") + INTERVAL 10 SECOND THEN 1 ELSE 0 END AS fresh
    FROM bid
  )
)
GROUP BY bidder, nth
