"""The databases and roles of the launcher's own PostgreSQL.

Three roles, none of them a superuser: `ilt_owner` migrates both databases, `ilt_app` reads and writes the main one,
`ilt_keystore` the key store; neither of the last two can connect to the other's database.
What they may do with the tables is granted after each migration by `manage.py grant_roles`.
"""

from psycopg2 import sql

from ilt_site.launcher.servers import Servers

MAIN, KEYSTORE = "ilt", "ilt_keystore"
OWNER, APP, KEEPER = "ilt_owner", "ilt_app", "ilt_keystore"


def make(servers: Servers, passwords: dict[str, str]) -> None:
    """Make roles and databases where absent, and set their passwords to the kept ones."""
    connection = servers.connect("postgres")
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles")
        roles = {name for (name,) in cursor.fetchall()}
        for role, password in ((OWNER, "owner"), (APP, "app"), (KEEPER, "keystore")):
            verb = "ALTER" if role in roles else "CREATE"
            statement = sql.SQL(verb + " ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}")
            cursor.execute(statement.format(sql.Identifier(role), sql.Literal(passwords[password])))
        cursor.execute("SELECT datname FROM pg_database")
        databases = {name for (name,) in cursor.fetchall()}
        for database, user in ((MAIN, APP), (KEYSTORE, KEEPER)):
            names = {"database": sql.Identifier(database), "owner": sql.Identifier(OWNER), "user": sql.Identifier(user)}
            if database not in databases:
                cursor.execute(sql.SQL("CREATE DATABASE {database} OWNER {owner}").format(**names))
            cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {database} FROM PUBLIC").format(**names))
            cursor.execute(sql.SQL("GRANT CONNECT ON DATABASE {database} TO {user}").format(**names))
        for database in ("postgres", "template1"):
            cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))
    connection.close()


def urls(servers: Servers, passwords: dict[str, str]) -> dict[str, str]:
    """Return the application's URLs, as the settings read them."""
    return {
        "DATABASE_URL": servers.database_url(APP, passwords["app"], MAIN),
        "KEYSTORE_DATABASE_URL": servers.database_url(KEEPER, passwords["keystore"], KEYSTORE),
        "REDIS_URL": servers.broker_url,
    }


def owner_urls(servers: Servers, passwords: dict[str, str]) -> dict[str, str]:
    """Return the owner's URLs, which only migrations get."""
    return {
        "DATABASE_OWNER_URL": servers.database_url(OWNER, passwords["owner"], MAIN),
        "KEYSTORE_OWNER_URL": servers.database_url(OWNER, passwords["owner"], KEYSTORE),
    }
