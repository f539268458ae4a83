-- Times in which the average price that a bidder bids for an auction is below a limit, one time after the other.
SELECT auction, bidder, began, ended, price
FROM bid MATCH_RECOGNIZE (
  PARTITION BY auction, bidder
  ORDER BY `dateTime`
  MEASURES FIRST(A.`dateTime`) AS began, LAST(A.`dateTime`) AS ended, AVG(A.price) AS price
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A+ B)
  DEFINE A AS AVG(A.price) < 10000
)
