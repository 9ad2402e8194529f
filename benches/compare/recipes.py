"""How each pooler is told what to serve: the text of its files and its arguments.

All get the same task: transaction pooling, one database, one user, a pool of the same size, logs
quiet, and waits as long as PgBouncer's (120 seconds), so that none gives up where another waits.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

USER = "bench"
DATABASE = "bench"
CLIENTS_MAX = 20_000


class Login(enum.Enum):
    """How clients log in."""

    TRUST = "trust"
    SCRAM = "scram-sha-256"


@dataclass(frozen=True)
class Certificate:
    """What is shown to clients that come with TLS."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Service:
    """What a pooler is to serve."""

    port: int
    backend: int
    workers: int
    login: Login
    password: str
    # PostgreSQL's stored form of the password.
    verifier: str
    directory: Path
    pool: int = 20
    tls: Certificate | None = None
    packet_buffer: int | None = None
    # Where pgweir alone shows its metrics, and whether it counts statements one by one.
    metrics: int | None = None
    counted: bool = True


@dataclass(frozen=True)
class Recipe:
    """Files to write into the pooler's directory, and the arguments to start it with there."""

    files: dict[str, str]
    arguments: list[str] = field(default_factory=list)


def pgbouncer(service: Service) -> Recipe:
    """PgBouncer: one thread, whatever is asked."""
    more = [f"pkt_buf = {service.packet_buffer}"] if service.packet_buffer else []
    return _ini("pgbouncer.ini", service, more)


def pgweir(service: Service) -> Recipe:
    """pgweir reads PgBouncer's file."""
    more = [f"workers = {service.workers}"]
    if service.metrics:
        more.append(f"http_listen = 127.0.0.1:{service.metrics}")
    if not service.counted:
        more += ["query_stats = 0", "log_min_duration = -1"]
    return _ini("pgweir.ini", service, more)


def _ini(name: str, service: Service, more: list[str]) -> Recipe:
    lines = [
        "[databases]",
        f"{DATABASE} = host=127.0.0.1 port={service.backend} dbname={DATABASE}",
        "[pgbouncer]",
        "listen_addr = 127.0.0.1",
        f"listen_port = {service.port}",
        "unix_socket_dir =",
        f"auth_type = {service.login.value}",
        "auth_file = userlist.txt",
        "pool_mode = transaction",
        f"max_client_conn = {CLIENTS_MAX}",
        f"default_pool_size = {service.pool}",
        "max_prepared_statements = 200",
        "log_connections = 0",
        "log_disconnections = 0",
        "server_lifetime = 36000",
        *more,
    ]
    if service.tls:
        lines += [
            "client_tls_sslmode = require",
            f"client_tls_cert_file = {service.tls.certificate}",
            f"client_tls_key_file = {service.tls.key}",
        ]
    files = {name: _text(lines), "userlist.txt": f'"{USER}" "{service.password}"\n'}
    return Recipe(files, ["-q", name])


def odyssey(service: Service) -> Recipe:
    """Odyssey. It is given the stored form of the password, or it would derive it at each login."""
    scram = service.login is Login.SCRAM
    tls: list[str] = []
    if service.tls:
        tls = [
            '  tls "require"',
            f'  tls_cert_file "{service.tls.certificate}"',
            f'  tls_key_file "{service.tls.key}"',
        ]
    lines = [
        "daemonize no",
        f"workers {service.workers}",
        "resolvers 1",
        "log_to_stdout yes",
        'log_format "%p %t %l %m\\n"',
        "log_debug no",
        "log_config no",
        "log_session no",
        "log_query no",
        "log_stats no",
        f"client_max {CLIENTS_MAX}",
        f'locks_dir "{service.directory}"',
        f'unix_socket_dir "{service.directory}"',
        'unix_socket_mode "0644"',
        'storage "server" {',
        '  type "remote"',
        '  host "127.0.0.1"',
        f"  port {service.backend}",
        "}",
        f'database "{DATABASE}" {{',
        f'  user "{USER}" {{',
        f'    authentication "{"scram-sha-256" if scram else "none"}"',
        *([f'    password "{service.verifier}"'] if scram else []),
        '    storage "server"',
        f'    storage_db "{DATABASE}"',
        f'    storage_user "{USER}"',
        f'    storage_password "{service.password}"',
        '    pool "transaction"',
        f"    pool_size {service.pool}",
        "    pool_timeout 0",
        "    pool_discard no",
        "    pool_cancel yes",
        "    pool_rollback yes",
        "    pool_reserve_prepared_statement yes",
        "  }",
        "}",
        "listen {",
        '  host "127.0.0.1"',
        f"  port {service.port}",
        "  backlog 4096",
        *tls,
        "}",
    ]
    return Recipe({"odyssey.conf": _text(lines)}, ["odyssey.conf"])


def pgcat(service: Service) -> Recipe:
    """PgCat. It has no SCRAM towards clients; they log in by md5 instead."""
    trust = service.login is Login.TRUST
    lines = [
        "[general]",
        'host = "127.0.0.1"',
        f"port = {service.port}",
        f"worker_threads = {service.workers}",
        "connect_timeout = 120000",
        "idle_timeout = 36000000",
        "server_lifetime = 36000000",
        "log_client_connections = false",
        "log_client_disconnections = false",
        'admin_username = "admin"',
        f'admin_password = "{service.password}"',
        *_toml_tls(service),
        f"[pools.{DATABASE}]",
        'pool_mode = "transaction"',
        'default_role = "primary"',
        "query_parser_enabled = false",
        "prepared_statements_cache_size = 500",
        f"[pools.{DATABASE}.users.0]",
        f'username = "{USER}"',
        f'password = "{service.password}"',
        *(['auth_type = "trust"'] if trust else []),
        f"pool_size = {service.pool}",
        f"[pools.{DATABASE}.shards.0]",
        f'servers = [["127.0.0.1", {service.backend}, "primary"]]',
        f'database = "{DATABASE}"',
    ]
    return Recipe({"pgcat.toml": _text(lines)}, ["pgcat.toml"])


def pg_doorman(service: Service) -> Recipe:
    """pg_doorman."""
    trust = service.login is Login.TRUST
    lines = [
        "[general]",
        'host = "127.0.0.1"',
        f"port = {service.port}",
        "backlog = 4096",
        f"worker_threads = {service.workers}",
        f"max_connections = {CLIENTS_MAX}",
        "query_wait_timeout = 120000",
        "server_lifetime = 36000000",
        "log_client_connections = false",
        "log_client_disconnections = false",
        'admin_username = "admin"',
        f'admin_password = "{service.password}"',
        *(['tls_mode = "require"'] if service.tls else []),
        *_toml_tls(service),
        *(['pg_hba = "host all all 127.0.0.1/32 trust"'] if trust else []),
        f"[pools.{DATABASE}]",
        'server_host = "127.0.0.1"',
        f"server_port = {service.backend}",
        'pool_mode = "transaction"',
        f"[[pools.{DATABASE}.users]]",
        f'username = "{USER}"',
        f'password = "{service.verifier}"',
        f'server_username = "{USER}"',
        f'server_password = "{service.password}"',
        f"pool_size = {service.pool}",
    ]
    return Recipe({"pg_doorman.toml": _text(lines)}, ["pg_doorman.toml"])


def pgdog(service: Service) -> Recipe:
    """PgDog."""
    trust = service.login is Login.TRUST
    lines = [
        "[general]",
        'host = "127.0.0.1"',
        f"port = {service.port}",
        f"workers = {service.workers}",
        f"default_pool_size = {service.pool}",
        'pooler_mode = "transaction"',
        f'auth_type = "{"trust" if trust else "scram"}"',
        "checkout_timeout = 120000",
        "idle_timeout = 36000000",
        'prepared_statements = "extended"',
        *_toml_tls(service),
        "[[databases]]",
        f'name = "{DATABASE}"',
        'host = "127.0.0.1"',
        f"port = {service.backend}",
    ]
    users = [
        "[[users]]",
        f'name = "{USER}"',
        f'database = "{DATABASE}"',
        f'password = "{service.password}"',
    ]
    files = {"pgdog.toml": _text(lines), "users.toml": _text(users)}
    return Recipe(files, ["--config", "pgdog.toml", "--users", "users.toml"])


def _toml_tls(service: Service) -> list[str]:
    if not service.tls:
        return []
    return [
        f'tls_certificate = "{service.tls.certificate}"',
        f'tls_private_key = "{service.tls.key}"',
    ]


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


# By the name of the program, in the order of the tables.
RECIPES: dict[str, Callable[[Service], Recipe]] = {
    "pgbouncer": pgbouncer,
    "pgweir": pgweir,
    "odyssey": odyssey,
    "pgcat": pgcat,
    "pg_doorman": pg_doorman,
    "pgdog": pgdog,
}
# What has one thread whatever is asked, so that a second worker is no question.
SINGLE_THREADED = {"pgbouncer"}
