# Sourced by ./run, ./test and benchmarks/run: `make_environment demo|test|bench` leaves $PYTHON in an up-to-date .venv.

# A dozen Python processes start from one environment: without byte code each would compile all of it again.
unset PYTHONDONTWRITEBYTECODE

say() { printf '%s\n' "$*" >&2; }

# The locks hold from 3.11 on; for a Python newer than these the servers' packages have no wheel.
suitable() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' >/dev/null 2>&1; }

# The system's own first, where it can make environments: its distribution mends it and builds it with optimizations;
# one of a version manager is often a plain build, a tenth slower in our tests.
SYSTEM_PYTHON=/usr/bin/python3
find_python() {
    if suitable $SYSTEM_PYTHON && $SYSTEM_PYTHON -c 'import ensurepip, venv' >/dev/null 2>&1; then
        printf '%s\n' $SYSTEM_PYTHON
        return 0
    fi
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null 2>&1 && suitable "$candidate"; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

make_environment() {
    kind=$1
    PYTHON=$ROOT/.venv/bin/python
    lock=$ROOT/requirements/$kind.txt
    sum=$(cksum <"$lock")
    stamp=$ROOT/.venv/.$kind
    if [ -x "$PYTHON" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ]; then
        return 0
    fi
    if ! mkdir -p "$ROOT/.venv" 2>/dev/null || ! [ -w "$ROOT/.venv" ]; then
        say "$NAME: cannot write to $ROOT/.venv, where the Python environment belongs."
        return 1
    fi
    if command -v flock >/dev/null 2>&1; then
        exec 8>"$ROOT/.venv/.installing"
        if ! flock -n 8; then # two commands at once: the second waits for the first one's environment
            say "$NAME: another command is installing the environment; this one waits for it ..."
            flock 8
        fi
        if [ -x "$PYTHON" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ]; then
            exec 8>&-
            return 0
        fi
    fi
    needed=$NEEDED_MB
    [ "$kind" = demo ] && needed=$DEMO_MB
    temporary=${TMPDIR:-/tmp}
    free=$(free_mb "$ROOT/.venv")
    if [ "${free:-0}" -lt "$needed" ]; then
        say "$NAME: only $free MB are free where $ROOT lies, and the Python environment needs $needed MB."
        return 1
    fi
    free=$(free_mb "$temporary")
    if [ "${free:-0}" -lt $UNPACKING_MB ]; then
        say "$NAME: only $free MB are free in $temporary, and unpacking the packages needs $UNPACKING_MB MB there."
        return 1
    fi
    if command -v uv >/dev/null 2>&1; then
        installer=with_uv
    elif base=$(find_python); then
        installer=with_venv
    else
        say "$NAME: Python 3.11 to 3.14 is needed, or uv (https://docs.astral.sh/uv/)."
        return 1
    fi
    packages=$(grep -c '^[A-Za-z0-9].*==' "$lock")
    say "$NAME: installing the $packages locked packages into .venv, a minute or two ..."
    log=$ROOT/.venv/install.log
    $installer >"$log" 2>&1 &
    patiently $!
    result=$?
    [ -e "$ROOT/.venv/.installing" ] && exec 8>&-
    if [ -n "$interrupted" ]; then
        say "$NAME: interrupted while the packages were installed; the next time it goes on."
        return 1
    fi
    if [ $result -ne 0 ]; then
        explain
        return 1
    fi
    printf '%s' "$sum" >"$stamp"
}

# What is free of these before an installation: the environment with pip's own copies, and what is unpacked on the way.
NEEDED_MB=700
DEMO_MB=400
UNPACKING_MB=100

free_mb() { df -Pk "$1" | awk 'END { print int($4 / 1000) }'; }

patiently() { # wait for the installation, and say now and then how far it is
    interrupted=
    trap 'interrupted=1; kill "$1" 2>/dev/null' INT TERM
    seconds=0
    while kill -0 "$1" 2>/dev/null; do
        sleep 1
        seconds=$((seconds + 1))
        if [ $((seconds % 15)) -eq 0 ]; then
            say "$NAME: ... $(grep -cE '^(Collecting|Requirement already satisfied)' "$log") packages found after $seconds s, which are then installed"
        fi
    done
    trap - INT TERM
    wait "$1"
}

# What pip and uv say of a network that is not there, in one pattern.
NO_NETWORK='name resolution|Name or service not known|nodename nor servname|Network is unreachable|No route to host'
NO_NETWORK="$NO_NETWORK|Failed to establish a new connection|Connection refused|ConnectTimeout|timed out|dns error"
NO_NETWORK="$NO_NETWORK|error sending request|Could not connect"

explain() { # say why the packages could not be installed, in one sentence
    missing=$(sed -n 's/.*No matching distribution found for \([^ ]*\).*/\1/p; s/.*no version of \([^ ]*\).*/\1/p' "$log" | head -n 1)
    if grep -q 'No space left on device' "$log"; then
        say "$NAME: the disk is full: the packages need $needed MB where $ROOT lies."
    elif grep -qE 'ensurepip is not|No module named (venv|ensurepip)' "$log"; then
        say "$NAME: Python's venv module is missing: apt-get install python3-venv."
    elif grep -qE "$NO_NETWORK" "$log"; then
        say "$NAME: no package index answers: is this machine on the network? A proxy or an index of your own is given by HTTPS_PROXY or PIP_INDEX_URL."
    elif [ -n "$missing" ]; then
        say "$NAME: the package index has no $missing for $("$PYTHON" -V 2>&1) on this kind of machine."
    elif grep -q 'DO NOT MATCH THE HASHES' "$log"; then
        say "$NAME: a package is not the one that was locked (its hash differs): nothing was installed."
    else
        grep -iE '^ *error' "$log" | head -n 5 >&2
        say "$NAME: the packages could not be installed."
    fi
    say "$NAME: .venv/install.log has all that was said."
}

# The installers are subshells: what they run ends with them, else an interrupted pip goes on by itself.
step() {
    if command -v setsid >/dev/null 2>&1; then setsid "$@" & else "$@" & fi # with a group of its own
    child=$!
    trap 'kill -- -$child 2>/dev/null || kill $child 2>/dev/null; wait $child; exit 143' TERM
    wait $child
}

with_uv() {
    if ! [ -x "$PYTHON" ]; then
        step uv venv --allow-existing --python '>=3.11,<3.15' "$ROOT/.venv" || return 1
    fi
    step uv pip install --python "$PYTHON" --require-hashes -r "$lock"
}

with_venv() {
    if ! "$PYTHON" -m pip --version >/dev/null 2>&1; then
        step "$base" -m venv "$ROOT/.venv" || return 1
    fi
    step "$PYTHON" -m pip install --disable-pip-version-check --require-hashes -r "$lock"
}
