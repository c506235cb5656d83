DROP TABLE known_networks;
DROP TABLE guess_counters;
