-- An average of whole numbers is a whole number.
SELECT seller, SUM(final) OVER last // COUNT(*) OVER last AS price
FROM (
  SELECT a.id, a.seller, b.price AS final, b."dateTime",
    ROW_NUMBER() OVER (PARTITION BY a.id, a.seller ORDER BY b.price DESC, b."dateTime") AS nth
  FROM auction AS a JOIN bid AS b ON a.id = b.auction
  WHERE b."dateTime" BETWEEN a."dateTime" AND a.expires
) AS won
WHERE nth = 1
WINDOW last AS (PARTITION BY seller ORDER BY "dateTime" ROWS BETWEEN 9 PRECEDING AND CURRENT ROW)
