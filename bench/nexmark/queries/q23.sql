-- Bids with who bids and what for.
SELECT b.auction, b.bidder, b.price, b.`dateTime`, p.name, p.city, p.state, a.itemName, a.seller, a.category
FROM bid AS b JOIN person AS p ON b.bidder = p.id JOIN auction AS a ON a.seller = b.bidder
