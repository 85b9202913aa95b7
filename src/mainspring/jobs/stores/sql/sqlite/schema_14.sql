-- Version 14. The label of the app that the store belongs to; no row before an app has opened it.
CREATE TABLE store_app(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    label TEXT NOT NULL
);
