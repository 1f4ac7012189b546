-- What calls that were begun on a UTC day (days since 1970) cost, reservations in flight included. A day has a row only
-- once somebody has set a cap on it.
CREATE TABLE days (
    day        BIGINT PRIMARY KEY,
    spent_nano BIGINT NOT NULL
);
