#!/bin/sh
# Starts pgweir in a container.
#
# A mounted configuration file is used as it is. Without one, a file is written from the environment
# variables of the images that this one can take the place of:
#
#   edoburu/pgbouncer   DATABASE_URL or DATABASE_URLS or DB_HOST and the like, POOL_MODE, AUTH_TYPE, ...
#   bitnami/pgbouncer   POSTGRESQL_HOST and the like, PGBOUNCER_DATABASE, PGBOUNCER_POOL_MODE, ...
#
# In both cases PGWEIR_<SETTING> wins over the file: pgweir reads those itself.
#
# Unlike those images: the query part of a URL is left out, a password may have colons, a value that
# spans lines is refused, and variables that never named a setting are left out with a word about it.
set -eu

# Tests put everything below a folder of their own.
root=${ENTRYPOINT_ROOT-}

say() { printf '%s\n' "entrypoint: $*" >&2; }
die() { say "$*"; exit 1; }

newline='
'

# value NAME: what the variable says.
value() { eval "printf '%s' \"\${$1-}\""; }

# value_or_file NAME: the same, or what the file says that NAME_FILE names.
value_or_file() {
    file=$(value "${1}_FILE")
    if [ -z "$file" ]; then
        value "$1"
    elif [ -r "$file" ]; then
        cat "$file"
    else
        say "cannot read $file, which ${1}_FILE names"
    fi
}

# one_line WHAT VALUE: a line break would begin another setting.
one_line() {
    case $2 in *"$newline"*) die "$1 has more than one line" ;; esac
}

# put KEY VALUE: one line of the file, unless there is no value.
put() {
    one_line "$1" "$2"
    if [ -n "$2" ]; then printf '%s = %s\n' "$1" "$2" >>"$config"; fi
}

doubled() { printf '%s' "$2" | sed "s/$1/$1$1/g"; }

# word TEXT: TEXT as a name or a value of a connect string, in quotes where it needs them.
word() {
    case $1 in
        '' | *[!A-Za-z0-9_.*/:@,-]*) printf "'%s'" "$(doubled "'" "$1")" ;;
        *) printf '%s' "$1" ;;
    esac
}

# entry_name TEXT: TEXT as the name of an entry.
entry_name() {
    case $1 in
        *[!A-Za-z0-9_.*-]*) printf "'%s'" "$(doubled "'" "$1")" ;;
        *) printf '%s' "$1" ;;
    esac
}

# add_user NAME PASSWORD AUTH_TYPE: a line of the user list, unless it has that user.
add_user() {
    if [ -z "$1" ] || [ -z "$2" ]; then return; fi
    one_line 'a user or password' "$1$2"
    start="\"$(doubled '"' "$1")\""
    if START=$start awk 'index($0, ENVIRON["START"]) == 1 { found = 1 } END { exit !found }' "$users"
    then
        return
    fi
    case $3 in
        md5) secret=md5$(printf '%s' "$2$1" | md5sum | cut -c 1-32) ;;
        *) secret=$(doubled '"' "$2") ;;
    esac
    printf '%s "%s"\n' "$start" "$secret" >>"$users"
}

# ---------------------------------------------------------------------------------------------------
# edoburu/pgbouncer

# Settings that are taken from the variable of the same name in capitals. Those with names that any
# program could use (USER, SYSLOG, WORKERS and so on) are not among them.
settings='auth_hba_file auth_ident_file auth_user auth_query auth_dbname pool_mode max_client_conn
default_pool_size min_pool_size reserve_pool_size reserve_pool_timeout max_db_connections
max_user_connections max_db_client_connections max_user_client_connections server_round_robin
disable_pqexec application_name_add_host max_prepared_statements log_connections log_disconnections
log_pooler_errors log_stats stats_period verbose stats_users logfile server_reset_query
server_reset_query_always server_check_delay server_check_query server_lifetime server_fast_close
server_idle_timeout server_connect_timeout server_login_retry client_login_timeout
autodb_idle_timeout dns_max_ttl dns_nxdomain_ttl client_tls_sslmode client_tls_key_file
client_tls_cert_file client_tls_ca_file client_tls_protocols client_tls_ciphers
client_tls_ecdhcurve client_tls_dheparams server_tls_sslmode server_tls_ca_file server_tls_key_file
server_tls_cert_file server_tls_protocols server_tls_ciphers query_timeout query_wait_timeout
query_wait_notify cancel_wait_timeout client_idle_timeout idle_transaction_timeout
transaction_timeout pool_idle_timeout pkt_buf max_packet_size listen_backlog sbuf_loopcnt
suspend_timeout tcp_defer_accept tcp_keepalive tcp_keepcnt tcp_keepidle tcp_keepintvl
tcp_socket_buffer tcp_user_timeout track_extra_parameters scram_iterations so_reuseport
unix_socket_mode unix_socket_group'

# Taken by that image and no setting of any PgBouncer.
no_settings='POOL_SIZE TIMEZONE'

# split_url URL: sets user, password, host, port and database.
split_url() {
    rest=${1#*://}
    user='' password=''
    case $rest in
        *@*)
            user=${rest%@*}
            rest=${rest##*@}
            case $user in *:*) password=${user#*:} user=${user%%:*} ;; esac
            ;;
    esac
    database=''
    case $rest in */*) database=${rest#*/} rest=${rest%%/*} ;; esac
    database=${database%%\?*}
    rest=${rest%%\?*}
    port=''
    case $rest in
        \[*) host=${rest#\[} host=${host%%\]*} port=${rest##*\]} port=${port#:} ;;
        *:*) host=${rest%:*} port=${rest##*:} ;;
        *) host=$rest ;;
    esac
}

# One line of [databases], for what split_url or the environment has set.
edoburu_entry() {
    [ -n "$host" ] || die 'no host to connect to: set DATABASE_URL or DB_HOST'
    one_line 'the address of a database' "$host$port$user$database"
    printf '%s = host=%s port=%s auth_user=%s\n' "$(entry_name "${database:-*}")" \
        "$(word "$host")" "$(word "${port:-5432}")" "$(word "${user:-postgres}")" >>"$config"
}

# each_database COMMAND...: runs it for each database that the environment names.
each_database() {
    if [ -n "${DATABASE_URLS-}" ]; then
        urls=$DATABASE_URLS
    else
        urls=${DATABASE_URL-}
    fi
    if [ -z "$urls" ]; then
        user=${DB_USER-} password=${DB_PASSWORD-} host=${DB_HOST-} port=${DB_PORT-}
        database=${DB_NAME-}
        "$@"
        return
    fi
    while [ -n "$urls" ]; do
        url=${urls%%,*}
        case $urls in *,*) urls=${urls#*,} ;; *) urls='' ;; esac
        if [ -n "$url" ]; then
            split_url "$url"
            "$@"
        fi
    done
}

edoburu_user() {
    case ${AUTH_TYPE:-md5} in
        plain | scram-sha-256) add_user "$user" "$password" plain ;;
        *) add_user "$user" "$password" md5 ;;
    esac
}

edoburu_settings() {
    printf '\n[pgbouncer]\n' >>"$config"
    put listen_addr "${LISTEN_ADDR:-0.0.0.0}"
    put listen_port "${LISTEN_PORT:-5432}"
    # An empty value means: no unix socket.
    printf 'unix_socket_dir = %s\n' "${UNIX_SOCKET_DIR-}" >>"$config"
    put auth_file "$users"
    put auth_type "${AUTH_TYPE:-md5}"
    put admin_users "${ADMIN_USERS:-postgres}"
    put ignore_startup_parameters "${IGNORE_STARTUP_PARAMETERS:-extra_float_digits}"
    for setting in $settings; do
        put "$setting" "$(value "$(printf '%s' "$setting" | tr '[:lower:]' '[:upper:]')")"
    done
    for name in $no_settings; do
        if [ -n "$(value "$name")" ]; then say "$name is no setting and is left out"; fi
    done
}

edoburu() {
    config=$root/etc/pgbouncer/pgbouncer.ini
    users=${AUTH_FILE:-$root/etc/pgbouncer/userlist.txt}
    [ -e "$users" ] || (umask 077 && : >"$users")
    each_database edoburu_user
    if [ -e "$config" ]; then return; fi
    (umask 077 && printf '; Written by the entrypoint.\n[databases]\n' >"$config")
    each_database edoburu_entry
    edoburu_settings
}

# ---------------------------------------------------------------------------------------------------
# bitnami/pgbouncer

# NAME:setting where the variable is PGBOUNCER_NAME, and what is written where it is not set.
bitnami_settings='PORT:listen_port:6432 LISTEN_ADDRESS:listen_addr:0.0.0.0
SOCKET_DIR:unix_socket_dir:/tmp/ SOCKET_MODE:unix_socket_mode:0777 SOCKET_GROUP:unix_socket_group:
AUTH_TYPE:auth_type:scram-sha-256 AUTH_QUERY:auth_query: AUTH_HBA_FILE:auth_hba_file:
AUTH_IDENT_FILE:auth_ident_file: STATS_USERS:stats_users: POOL_MODE:pool_mode: LOG_FILE:logfile:
QUERY_WAIT_TIMEOUT:query_wait_timeout: MAX_CLIENT_CONN:max_client_conn:
MAX_DB_CONNECTIONS:max_db_connections: IDLE_TRANSACTION_TIMEOUT:idle_transaction_timeout:
SERVER_IDLE_TIMEOUT:server_idle_timeout: SERVER_RESET_QUERY:server_reset_query:
DEFAULT_POOL_SIZE:default_pool_size: MIN_POOL_SIZE:min_pool_size:
RESERVE_POOL_SIZE:reserve_pool_size: RESERVE_POOL_TIMEOUT:reserve_pool_timeout:
MAX_PREPARED_STATEMENTS:max_prepared_statements: SERVER_LIFETIME:server_lifetime:
SERVER_CONNECT_TIMEOUT:server_connect_timeout: SERVER_LOGIN_RETRY:server_login_retry:
CLIENT_LOGIN_TIMEOUT:client_login_timeout: AUTODB_IDLE_TIMEOUT:autodb_idle_timeout:
QUERY_TIMEOUT:query_timeout: CLIENT_IDLE_TIMEOUT:client_idle_timeout:
LOG_CONNECTIONS:log_connections: LOG_DISCONNECTIONS:log_disconnections:
LOG_POOLER_ERRORS:log_pooler_errors: LOG_STATS:log_stats:
APPLICATION_NAME_ADD_HOST:application_name_add_host:
IGNORE_STARTUP_PARAMETERS:ignore_startup_parameters:extra_float_digits
STATS_PERIOD:stats_period:60 SERVER_ROUND_ROBIN:server_round_robin:0
SERVER_FAST_CLOSE:server_fast_close:0'

bitnami_tls='CLIENT:SSLMODE CLIENT:CA_FILE CLIENT:CERT_FILE CLIENT:KEY_FILE CLIENT:CIPHERS
SERVER:SSLMODE SERVER:CA_FILE SERVER:CERT_FILE SERVER:KEY_FILE SERVER:PROTOCOLS SERVER:CIPHERS'

# bitnami_value NAME DEFAULT. Kubernetes puts addresses of services into variables like
# PGBOUNCER_PORT; those are not meant.
bitnami_value() {
    found=$(value_or_file "PGBOUNCER_$1")
    case $1:$found in PORT:*://*) found='' ;; esac
    printf '%s' "${found:-$2}"
}

is_yes() { case $1 in 1 | y | Y | yes | YES | Yes | true | TRUE | True) true ;; *) false ;; esac; }

bitnami_entry() {
    auth_user=$(bitnami_value AUTH_USER '')
    query=$(bitnami_value CONNECT_QUERY '')
    name=$(default "$(value_or_file POSTGRESQL_DATABASE)" "$database")
    one_line 'the database entry' "$host$port$user$password$database$name$auth_user$query"
    entry="host=$(word "$host") port=$(word "$port")"
    if [ "$database" != '*' ]; then
        entry="$entry dbname=$(word "$name")"
    fi
    if is_yes "$(bitnami_value SET_DATABASE_USER no)"; then entry="$entry user=$(word "$user")"; fi
    if is_yes "$(bitnami_value SET_DATABASE_PASSWORD no)"; then
        entry="$entry password=$(word "$password")"
    fi
    if [ -n "$auth_user" ]; then entry="$entry auth_user=$(word "$auth_user")"; fi
    if [ -n "$query" ]; then entry="$entry connect_query=$(word "$query")"; fi
    printf '%s = %s\n' "$(entry_name "$database")" "$entry" >>"$config"
    number=0
    while dsn=$(bitnami_value "DSN_$number" '') && [ -n "$dsn" ]; do
        one_line "PGBOUNCER_DSN_$number" "$dsn"
        printf '%s\n' "$dsn" >>"$config"
        number=$((number + 1))
    done
}

default() { printf '%s' "${1:-$2}"; }

bitnami_write() {
    (umask 077 && printf '; Written by the entrypoint.\n[databases]\n' >"$config")
    bitnami_entry
    printf '\n[pgbouncer]\n' >>"$config"
    put auth_file "$users"
    put admin_users "$user"
    put pidfile "$root/opt/bitnami/pgbouncer/tmp/pgbouncer.pid"
    for row in $bitnami_settings; do
        name=${row%%:*} row=${row#*:}
        put "${row%%:*}" "$(bitnami_value "$name" "${row#*:}")"
    done
    for row in $bitnami_tls; do
        setting=${row%%:*}_tls_${row#*:}
        found=$(bitnami_value "${row%%:*}_TLS_${row#*:}" '')
        # What that image writes when nothing is asked for.
        if [ "$found" = fast ]; then found=''; fi
        put "$(printf '%s' "$setting" | tr '[:upper:]' '[:lower:]')" "$found"
    done
}

# Waits until the server can be reached.
bitnami_wait() {
    tries=$(bitnami_value INIT_MAX_RETRIES 10)
    while :; do
        reached=0
        pg_isready --quiet --host="$host" --port="$port" || reached=$?
        # 0: it takes connections; 1: it refuses them for now.
        if [ "$reached" -le 1 ]; then return; fi
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || die "no server at $host:$port"
        say "waiting for the server at $host:$port"
        sleep "$(bitnami_value INIT_SLEEP_TIME 10)"
    done
}

# Scripts of the image's user, once for each container.
bitnami_scripts() {
    ran=$root/opt/bitnami/pgbouncer/tmp/scripts-ran
    if [ -e "$ran" ] && ! is_yes "$(bitnami_value FORCE_INITSCRIPTS no)"; then return; fi
    for script in "$root"/docker-entrypoint-initdb.d/*.sh; do
        if [ -x "$script" ]; then
            "$script"
        elif [ -r "$script" ]; then
            sh "$script"
        fi
    done
    : >"$ran"
}

bitnami() {
    config=$root/opt/bitnami/pgbouncer/conf/pgbouncer.ini
    users=$root/opt/bitnami/pgbouncer/conf/userlist.txt
    mounted=$root/bitnami/pgbouncer/conf
    user=$(default "$(value_or_file POSTGRESQL_USERNAME)" postgres)
    password=$(value_or_file POSTGRESQL_PASSWORD)
    host=$(default "$(value_or_file POSTGRESQL_HOST)" postgresql)
    port=$(default "$(value_or_file POSTGRESQL_PORT)" 5432)
    database=$(bitnami_value DATABASE postgres)
    if [ -e "$mounted/userlist.txt" ]; then
        users=$mounted/userlist.txt
    else
        (umask 077 && : >"$users")
        add_user "$user" "$password" plain
        more=$(bitnami_value USERLIST '')
        if [ -n "$more" ]; then printf '%s\n' "$more" >>"$users"; fi
    fi
    if [ -e "$mounted/pgbouncer.ini" ]; then
        config=$mounted/pgbouncer.ini
    else
        if [ -z "$password" ] && [ "$(bitnami_value AUTH_TYPE '')" != trust ] \
            && [ ! -e "$mounted/userlist.txt" ]; then
            die 'set POSTGRESQL_PASSWORD, or PGBOUNCER_AUTH_TYPE=trust'
        fi
        bitnami_write
    fi
    bitnami_scripts
    bitnami_wait
}

# ---------------------------------------------------------------------------------------------------

# Which of the images the environment was made for.
choose() {
    flags=${PGBOUNCER_EXTRA_FLAGS:-${PGBOUNCER_EXTRA_ARGS-}}
    : "${PGBOUNCER_LISTEN_ADDRESS:=${PGBOUNCER_BIND_ADDRESS-}}"
    if [ -e "$root/etc/pgweir/pgweir.ini" ]; then
        config=$root/etc/pgweir/pgweir.ini
    elif [ -n "${DATABASE_URLS-}${DATABASE_URL-}${DB_HOST-}" ]; then
        edoburu
    elif [ -n "${POSTGRESQL_HOST-}${POSTGRESQL_HOST_FILE-}${POSTGRESQL_PASSWORD-}" ] \
        || [ -n "${POSTGRESQL_PASSWORD_FILE-}${POSTGRESQL_USERNAME-}${PGBOUNCER_DATABASE-}" ] \
        || [ -e "$root/bitnami/pgbouncer/conf/pgbouncer.ini" ]; then
        bitnami
    elif [ -e "$root/etc/pgbouncer/pgbouncer.ini" ]; then
        config=$root/etc/pgbouncer/pgbouncer.ini
    else
        die 'nothing to do: mount /etc/pgweir/pgweir.ini or /etc/pgbouncer/pgbouncer.ini, or set
DATABASE_URL, DB_HOST or POSTGRESQL_HOST'
    fi
}

case ${1-} in
    '' | -* | /opt/bitnami/scripts/*)
        # The command of the image by Bitnami is a script of its own.
        case ${1-} in /*) shift ;; esac
        choose
        # shellcheck disable=SC2086 # the flags are words
        exec pgweir ${flags-} "$@" "$config"
        ;;
    pgbouncer | */pgbouncer | pgweir | */pgweir)
        # Subcommands and files of one's own need no environment.
        case ${2-} in
            '' | -* | *pgbouncer.ini) choose ;;
        esac
        exec "$@"
        ;;
    *) exec "$@" ;;
esac
