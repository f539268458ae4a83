-- Falling runs as large as they are, of three bids or more, and the bid behind each.
WITH told AS (
  SELECT *, row_number() OVER w AS nth, coalesce(price < lag(price) OVER w, false) AS falls
  FROM bid WINDOW w AS (PARTITION BY auction, bidder ORDER BY "dateTime", price)
), runs AS (
  SELECT *, count(*) FILTER (NOT falls) OVER (PARTITION BY auction, bidder ORDER BY nth) AS run FROM told
), falls AS (
  SELECT auction, bidder, run, max(nth) AS last, count(*) AS bids, arg_min("dateTime", nth) AS began, arg_max("dateTime", nth) AS bottom
  FROM runs GROUP BY auction, bidder, run HAVING count(*) > 2
)
SELECT f.auction, f.bidder, f.began, f.bottom, up."dateTime" AS ended
FROM falls AS f
JOIN told AS up ON up.auction = f.auction AND up.bidder = f.bidder AND up.nth = f.last + 1
JOIN told AS down ON down.auction = f.auction AND down.bidder = f.bidder AND down.nth = f.last - 1
WHERE up.price > down.price
