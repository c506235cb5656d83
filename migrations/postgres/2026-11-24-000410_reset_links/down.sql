DROP TABLE reset_links;
