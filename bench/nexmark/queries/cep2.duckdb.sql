-- From each bid below the limit to the one with which the average is not, then those that do not overlap.
WITH RECURSIVE told AS (
  SELECT auction, bidder, price, "dateTime", row_number() OVER w AS nth, sum(price) OVER (w ROWS UNBOUNDED PRECEDING) AS total
  FROM bid WINDOW w AS (PARTITION BY auction, bidder ORDER BY "dateTime", price)
), found AS (
  SELECT a.auction, a.bidder, a.nth AS first, min(b.nth) AS last
  FROM told AS a JOIN told AS b ON b.auction = a.auction AND b.bidder = a.bidder AND b.nth >= a.nth
  WHERE a.price < 10000 AND b.total - a.total + a.price >= 10000 * (b.nth - a.nth + 1)
  GROUP BY ALL
), linked AS (
  SELECT f.*, n.first AS following FROM found AS f ASOF LEFT JOIN found AS n ON n.auction = f.auction AND n.bidder = f.bidder AND f.last < n.first
), taken AS (
  SELECT * FROM linked QUALIFY row_number() OVER (PARTITION BY auction, bidder ORDER BY first) = 1
  UNION ALL
  SELECT l.* FROM taken AS t JOIN linked AS l ON l.auction = t.auction AND l.bidder = t.bidder AND l.first = t.following
)
SELECT m.auction, m.bidder, a."dateTime" AS began, z."dateTime" AS ended, CAST((z.total - a.total + a.price) // (z.nth - a.nth + 1) AS BIGINT) AS price
FROM taken AS m
JOIN told AS a ON a.auction = m.auction AND a.bidder = m.bidder AND a.nth = m.first
JOIN told AS z ON z.auction = m.auction AND z.bidder = m.bidder AND z.nth = m.last - 1
