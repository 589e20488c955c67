#!/usr/bin/env bash
# Runs every test against real servers. On Debian it installs what is missing;
# elsewhere it says what it leaves out. Servers that are already there are taken
# from REDIS_URL, POSTGRES_URL and CLICKHOUSE_URL.
set -euo pipefail
cd "$(dirname "$0")/.."

left_out=()
as_root=()

have() { command -v "$1" >/dev/null 2>&1; }
have_postgres() { have postgres || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; }
have_nginx() { have nginx || [[ -x /usr/sbin/nginx ]]; } # not on every PATH
have_chromium() { have chromium || have chromium-browser || have google-chrome; }
have_c() { have gcc && echo 'int main(void){return 0;}' | gcc -x c -o /dev/null - 2>/dev/null; }

# missing prints the Debian packages that the tests need and the machine lacks.
missing() {
	[[ -n ${REDIS_URL:-} ]] || have redis-server || echo redis-server
	[[ -n ${POSTGRES_URL:-} ]] || have_postgres || echo postgresql
	have mosquitto_sub || echo mosquitto-clients
	have prosody || echo prosody
	have_nginx || echo nginx
	have openssl || echo openssl
	have promtool || echo prometheus
	have_chromium || echo chromium
	have_c || echo gcc libc6-dev
}

# install_missing installs them without letting any start as a system service.
install_missing() {
	local packages policy=/usr/sbin/policy-rc.d
	read -ra packages <<<"$(missing | xargs)"
	[[ ${#packages[@]} -gt 0 ]] || return 0
	if ! have apt-get; then
		left_out+=("what needs ${packages[*]}: not installed, and this is not Debian")
		return 0
	fi
	if [[ $(id -u) -ne 0 ]]; then
		if ! sudo -n true 2>/dev/null; then
			left_out+=("what needs ${packages[*]}: installing takes root")
			return 0
		fi
		as_root=(sudo -n)
	fi
	echo "installing ${packages[*]}" >&2
	if [[ ! -e $policy ]]; then
		printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
		"${as_root[@]}" chmod +x "$policy"
		trap '"${as_root[@]}" rm -f /usr/sbin/policy-rc.d' EXIT
	fi
	"${as_root[@]}" apt-get update -qq >&2
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
}

# install_clients gets the real clients that some tests speak with, at the
# versions their lock files name.
install_clients() {
	local lock folder
	while IFS= read -r lock; do
		folder=$(dirname "$lock")
		[[ -d $folder/node_modules && ! $lock -nt $folder/node_modules ]] && continue
		if ! have npm; then
			left_out+=("$folder: no npm")
			continue
		fi
		echo "installing the clients of $folder" >&2
		(cd "$folder" && npm ci --no-audit --no-fund --loglevel=error) >&2 ||
			left_out+=("$folder: npm ci failed")
	done < <(find . -path '*/testdata/*' -name package-lock.json -not -path '*/node_modules/*')
}

# run_tests runs all packages side by side. Up to three that failed then run once
# more, one at a time: what failed because a noisy machine starved it passes, and
# the log says so; what is broken fails again. A race or a panic gets no second run.
run_tests() {
	local log again
	log=$(mktemp)
	if go test ${race[@]+"${race[@]}"} -timeout 12m ./... 2>&1 | tee "$log"; then
		rm -f "$log"
		return 0
	fi
	read -ra again <<<"$(awk '$1 == "FAIL" && NF == 3 && $3 ~ /^[0-9.]+s$/ {print $2}' "$log" | xargs)"
	if grep -qE 'DATA RACE|^panic: |\[(build|setup) failed\]' "$log" || ((${#again[@]} == 0 || ${#again[@]} > 3)); then
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
	echo "failed beside others, run once more alone: ${again[*]}" >&2
	go test ${race[@]+"${race[@]}"} -count=1 -p 1 -timeout 12m "${again[@]}" || return 1
	echo "FLAKY, passed only at the second run: ${again[*]}" >&2
}

install_missing
install_clients
if [[ -z ${CLICKHOUSE_URL:-} && -z ${HERALD_CHDB_LIB:-} ]]; then
	scripts/chdb.sh >/dev/null || left_out+=("what needs ClickHouse: the embedded engine could not be installed")
fi

race=(-race)
if ! have_c; then
	race=()
	left_out+=("the race detector: no C compiler")
fi
if [[ ${#left_out[@]} -eq 0 ]]; then
	export HERALD_TEST_REQUIRE=1 # a test that would skip fails instead
fi
for what in ${left_out[@]+"${left_out[@]}"}; do # bash 3.2, as on macOS, takes an empty list for an unset one
	echo "left out: $what" >&2
done

go vet ${race[@]+"${race[@]}"} ./... # built as the tests are, so that nothing is compiled twice
run_tests
if [[ -f client/go.mod ]]; then
	(cd client && go vet ${race[@]+"${race[@]}"} ./... && go test ${race[@]+"${race[@]}"} ./...)
fi
