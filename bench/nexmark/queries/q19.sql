-- The ten highest bids of each auction.
SELECT *
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) AS nth FROM bid
) AS numbered
WHERE nth <= 10
