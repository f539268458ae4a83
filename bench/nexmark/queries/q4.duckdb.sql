-- An average of whole numbers is a whole number.
SELECT category, SUM(final) // COUNT(*) AS price
FROM (
  SELECT a.id, a.category, MAX(b.price) AS final
  FROM auction AS a JOIN bid AS b ON a.id = b.auction
  WHERE b."dateTime" BETWEEN a."dateTime" AND a.expires
  GROUP BY a.id, a.category
) AS won
GROUP BY category
