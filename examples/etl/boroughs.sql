-- What the report says, by borough.
SELECT borough, COUNT(*) AS days, SUM(trips) AS trips, SUM(revenue) AS revenue, MAX(distance) AS longest_mean
FROM '${dir}/daily_revenue'
GROUP BY borough
ORDER BY revenue DESC;
