-- Bids of each auction and day.
SELECT auction, DATE_FORMAT(`dateTime`, 'yyyy-MM-dd') AS d,
  COUNT(*) AS total,
  COUNT(*) FILTER (WHERE price < 10000) AS low,
  COUNT(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS middle,
  COUNT(*) FILTER (WHERE price >= 1000000) AS high,
  MIN(price) AS least, MAX(price) AS most, AVG(price) AS average, SUM(price) AS paid
FROM bid
GROUP BY auction, DATE_FORMAT(`dateTime`, 'yyyy-MM-dd')
