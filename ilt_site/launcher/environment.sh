# Sourced by ./run, ./test and benchmarks/run: `make_environment demo|test|bench` leaves $PYTHON in an up-to-date .venv.

# A dozen Python processes start from one environment: without byte code each would compile all of it again.
unset PYTHONDONTWRITEBYTECODE

say() { printf '%s\n' "$*" >&2; }

suitable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
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
        flock 8 # two commands at once: the second waits for the first one's environment
        if [ -x "$PYTHON" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ]; then
            exec 8>&-
            return 0
        fi
    fi
    say "$NAME: installing the locked packages into .venv ..."
    log=$ROOT/.venv/install.log
    if command -v uv >/dev/null 2>&1; then
        with_uv >"$log" 2>&1
    elif base=$(find_python); then
        with_venv >"$log" 2>&1
    else
        say "$NAME: Python 3.11 or newer is needed, or uv (https://docs.astral.sh/uv/)."
        return 1
    fi
    result=$?
    [ -e "$ROOT/.venv/.installing" ] && exec 8>&-
    if [ $result -ne 0 ]; then
        tail -n 5 "$log" >&2
        say "$NAME: the packages could not be installed; .venv/install.log says why."
        return 1
    fi
    printf '%s' "$sum" >"$stamp"
}

with_uv() {
    if ! [ -x "$PYTHON" ]; then
        uv venv --allow-existing --python '>=3.11' "$ROOT/.venv" || return 1
    fi
    uv pip install --python "$PYTHON" --require-hashes -r "$lock"
}

with_venv() {
    if ! "$PYTHON" -m pip --version >/dev/null 2>&1; then
        "$base" -m venv "$ROOT/.venv" || return 1
    fi
    "$PYTHON" -m pip install --disable-pip-version-check --require-hashes -r "$lock"
}
