#!/bin/sh
# Installs the embedded ClickHouse engine (libchdb) into the build cache, once,
# and prints the library's path. The version is pinned in
# internal/chdb/version.txt, which the program reads too.
#
#   scripts/chdb.sh          install if missing, print the path
#   scripts/chdb.sh --path   print the path only, installed or not
#
# Environment: HERALD_CHDB_LIB (use this library, install nothing),
# HERALD_CACHE (default ${XDG_CACHE_HOME:-~/.cache}/herald).
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
version=$(cat "$here/../internal/chdb/version.txt")
cache=${HERALD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/herald}

say() { printf '%s\n' "$*" >&2; }
die() { say "chdb.sh: $*"; exit 1; }

case "$(uname -s)/$(uname -m)" in
Linux/x86_64)                package=@chdb/lib-linux-x64-gnu library=libchdb.so ;;
Linux/aarch64 | Linux/arm64) package=@chdb/lib-linux-arm64-gnu library=libchdb.so ;;
Darwin/arm64)                package=@chdb/lib-darwin-arm64 library=libchdb.dylib ;;
Darwin/x86_64)               package=@chdb/lib-darwin-x64 library=libchdb.dylib ;;
*) die "no embedded ClickHouse for $(uname -s)/$(uname -m); give Herald a server instead (CLICKHOUSE_URL)" ;;
esac

if [ -n "${HERALD_CHDB_LIB:-}" ]; then
	printf '%s\n' "$HERALD_CHDB_LIB"
	exit 0
fi
home=$cache/chdb/$version
if [ "${1:-}" = --path ] || [ -s "$home/$library" ]; then
	printf '%s\n' "$home/$library"
	exit 0
fi
command -v npm >/dev/null 2>&1 || die "npm is needed once, to fetch $package@$version (Debian: apt-get install npm); or give Herald a ClickHouse server (CLICKHOUSE_URL)"

# Everything happens in a folder beside the target and ends in one rename, so
# an interrupted or a second, concurrent run leaves no half library.
mkdir -p "$home"
work=$(mktemp -d "$home/.install.XXXXXX")
worker=
tidy() {
	[ -z "$worker" ] || kill "$worker" 2>/dev/null || true
	rm -rf "$work"
}
trap tidy EXIT
trap 'exit 130' INT TERM

# npm's cache lives in the same folder: the progress line can weigh it, and
# the 170 MB archive does not stay behind.
fetch() {
	cd "$work"
	npm pack --loglevel=error --cache "$work/npm" --pack-destination "$work" "$package@$version" >"$work/log" 2>&1 || return 1
	rm -rf "$work/npm"
	tar -xzf "$work"/*.tgz package/ || return 1
}

started=$(date +%s)
progress() {
	size=$(du -sk "$work" 2>/dev/null | cut -f1)
	printf 'chdb.sh: ClickHouse engine %s: %s MB after %s s' "$version" "$((${size:-0} / 1024))" "$(($(date +%s) - started))"
}
say "chdb.sh: installing the ClickHouse engine $version into $home (once; about 170 MB to fetch, 550 MB on disk)"
fetch &
worker=$!
while kill -0 "$worker" 2>/dev/null; do
	[ ! -t 2 ] || printf '\r%s ' "$(progress)" >&2
	sleep 0.5
done
[ ! -t 2 ] || printf '\n' >&2
wait "$worker" || {
	grep -v '^npm warn' "$work/log" >&2 || true
	die "npm could not fetch $package@$version; see above"
}
worker=

# The macOS packages have named the same file .so and .dylib.
for file in "$work/package/$library" "$work/package/libchdb.so" "$work/package/libchdb.dylib"; do
	[ -s "$file" ] || continue
	mv -f "$file" "$home/$library"
	say "$(progress | sed 's/: [0-9]* MB after/: done in/')"
	printf '%s\n' "$home/$library"
	exit 0
done
die "$package@$version holds no libchdb"
