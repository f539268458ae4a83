SELECT b.auction, b.price, b.bidder, b."dateTime", b.extra
FROM bid AS b
JOIN (
  SELECT MAX(price) AS price, time_bucket(INTERVAL 10 SECOND, "dateTime", TIMESTAMP '1970-01-01') AS started
  FROM bid GROUP BY started
) AS m ON b.price = m.price
WHERE b."dateTime" BETWEEN m.started AND m.started + INTERVAL 10 SECOND
