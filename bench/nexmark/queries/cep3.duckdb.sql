-- From each bid below the limit to the one with which the average is not.
WITH told AS (
  SELECT auction, bidder, price, "dateTime", row_number() OVER w AS nth, sum(price) OVER (w ROWS UNBOUNDED PRECEDING) AS total
  FROM bid WINDOW w AS (PARTITION BY auction, bidder ORDER BY "dateTime", price)
), found AS (
  SELECT a.auction, a.bidder, a.nth AS first, min(b.nth) AS last
  FROM told AS a JOIN told AS b ON b.auction = a.auction AND b.bidder = a.bidder AND b.nth >= a.nth
  WHERE a.price < 10000 AND b.total - a.total + a.price >= 10000 * (b.nth - a.nth + 1)
  GROUP BY ALL
)
SELECT m.auction, m.bidder, a."dateTime" AS began, z."dateTime" AS ended, CAST((z.total - a.total + a.price) // (z.nth - a.nth + 1) AS BIGINT) AS price
FROM found AS m
JOIN told AS a ON a.auction = m.auction AND a.bidder = m.bidder AND a.nth = m.first
JOIN told AS z ON z.auction = m.auction AND z.bidder = m.bidder AND z.nth = m.last - 1
