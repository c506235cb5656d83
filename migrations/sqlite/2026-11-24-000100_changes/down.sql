DROP TABLE leases;
DROP TABLE changes;
