# A PostgreSQL server that lives as long as standard input is open.
#   $1  folder of initdb and pg_ctl
#   $2  empty folder for the cluster, its socket and its log; removed at the end
# Prints "ready" on a line of its own, or what went wrong.
# The data outlives nothing, so nothing waits for the disk.
bin=$1 dir=$2
trap '' INT TERM HUP

fail() {
	cat "$dir/log"
	cd / && rm -rf "$dir"
	exit 1
}

"$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1 || fail
"$bin/pg_ctl" start -w -D "$dir/data" -l "$dir/log" \
	-o "-k '$dir' -c listen_addresses= -c max_connections=200 -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c deadlock_timeout=50ms" \
	>"$dir/start" 2>&1 </dev/null || fail
echo ready

cat >/dev/null
"$bin/pg_ctl" stop -m immediate -D "$dir/data" >/dev/null 2>&1
cd / && rm -rf "$dir"
