-- The first bid that is no longer near each one, if it is far below and comes in time, then those that do not overlap.
WITH RECURSIVE told AS (
  SELECT auction, bidder, price, "dateTime", row_number() OVER w AS nth
  FROM bid WINDOW w AS (PARTITION BY auction, bidder ORDER BY "dateTime", price)
), found AS (
  SELECT a.auction, a.bidder, a.nth AS first, b.nth AS last, b."dateTime" AS dropped, a.price - b.price AS difference
  FROM told AS a JOIN told AS b ON b.auction = a.auction AND b.bidder = a.bidder AND b.nth > a.nth
  WHERE b.price <= a.price - 50
  QUALIFY row_number() OVER (PARTITION BY a.auction, a.bidder, a.nth ORDER BY b.nth) = 1
), drops AS (
  SELECT f.* FROM found AS f JOIN told AS a ON a.auction = f.auction AND a.bidder = f.bidder AND a.nth = f.first
  WHERE difference > 50 AND dropped < a."dateTime" + INTERVAL 5 SECOND
), linked AS (
  SELECT f.*, n.first AS following FROM drops AS f ASOF LEFT JOIN drops AS n ON n.auction = f.auction AND n.bidder = f.bidder AND f.last < n.first
), taken AS (
  SELECT * FROM linked QUALIFY row_number() OVER (PARTITION BY auction, bidder ORDER BY first) = 1
  UNION ALL
  SELECT l.* FROM taken AS t JOIN linked AS l ON l.auction = t.auction AND l.bidder = t.bidder AND l.first = t.following
)
SELECT auction, bidder, dropped, difference FROM taken
