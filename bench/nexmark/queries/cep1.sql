-- Times in which the price that a bidder bids for an auction falls, and the bid that ends each.
SELECT auction, bidder, began, bottom, ended
FROM bid MATCH_RECOGNIZE (
  PARTITION BY auction, bidder
  ORDER BY `dateTime`
  MEASURES FIRST_BID.`dateTime` AS began, LAST(FALL.`dateTime`) AS bottom, LAST(RISE.`dateTime`) AS ended
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO LAST RISE
  PATTERN (FIRST_BID FALL+ RISE)
  DEFINE
    FALL AS (LAST(FALL.price, 1) IS NULL AND FALL.price < FIRST_BID.price) OR FALL.price < LAST(FALL.price, 1),
    RISE AS RISE.price > LAST(FALL.price, 1)
)
