-- Roles for a new ledger. No process can do more than its work:
--
--   gistmill_owner   owns the tables and migrates the schema; no other program needs it
--   gistmill         enqueue, worker, server, and people who pause, retry and prune: reads and writes rows
--   gistmill_reader  status, show, export, dashboards: reads rows
--
-- Run it once in the ledger's empty database, as a role that may create roles:
--
--   export OWNER_PASSWORD=… GISTMILL_PASSWORD=… READER_PASSWORD=…
--   psql -f roles.sql postgres://postgres@db.example.org/gistmill
--
-- Then run this as the owner: once now, and after each upgrade of gistmill that changes the schema
-- (the new version reports it when it starts):
--
--   GISTMILL_STORE=postgres://gistmill_owner:…@db.example.org/gistmill?sslmode=verify-full gistmill migrate

\set ON_ERROR_STOP on
\getenv owner_password OWNER_PASSWORD
\getenv gistmill_password GISTMILL_PASSWORD
\getenv reader_password READER_PASSWORD
SELECT current_database() AS ledger \gset

BEGIN;
-- Keep the passwords out of the server's log.
SET LOCAL log_statement = 'none';
SET LOCAL log_min_error_statement = 'panic';

CREATE ROLE gistmill_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE gistmill LOGIN PASSWORD :'gistmill_password';
CREATE ROLE gistmill_reader LOGIN PASSWORD :'reader_password';

REVOKE ALL ON DATABASE :"ledger" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"ledger" TO gistmill_owner, gistmill, gistmill_reader;
-- Planning compares the listing with the ledger in a temporary table.
GRANT TEMPORARY ON DATABASE :"ledger" TO gistmill;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA gistmill;
GRANT USAGE, CREATE ON SCHEMA gistmill TO gistmill_owner;
GRANT USAGE ON SCHEMA gistmill TO gistmill, gistmill_reader;
ALTER ROLE gistmill_owner IN DATABASE :"ledger" SET search_path = gistmill;
ALTER ROLE gistmill IN DATABASE :"ledger" SET search_path = gistmill;
ALTER ROLE gistmill_reader IN DATABASE :"ledger" SET search_path = gistmill;

-- The owner creates the tables later. No role needs the sequences of their identity columns.
ALTER DEFAULT PRIVILEGES FOR ROLE gistmill_owner IN SCHEMA gistmill GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO gistmill;
ALTER DEFAULT PRIVILEGES FOR ROLE gistmill_owner IN SCHEMA gistmill GRANT SELECT ON TABLES TO gistmill_reader;
COMMIT;
