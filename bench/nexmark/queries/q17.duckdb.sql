-- Bids of each auction and day.
SELECT auction, strftime("dateTime", '%Y-%m-%d') AS d,
  COUNT(*) AS total,
  COUNT(*) FILTER (WHERE price < 10000) AS low,
  COUNT(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS middle,
  COUNT(*) FILTER (WHERE price >= 1000000) AS high,
  MIN(price) AS least, MAX(price) AS most, SUM(price) // COUNT(*) AS average, SUM(price) AS paid
FROM bid
GROUP BY auction, strftime("dateTime", '%Y-%m-%d')
