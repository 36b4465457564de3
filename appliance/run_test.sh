#!/usr/bin/env bash
# run_test.sh - what of ./run can be tried without root: its command line, and its arithmetic.
#
#	run_test.sh TREE
#
# Whatever starts a box is tested by conversations with it, as root.
set -euo pipefail

tree=$1
failed=0

check() { # NAME COMMAND...
	local name=$1
	shift
	if "$@"; then
		echo "ok $name"
	else
		echo "not ok $name"
		failed=$((failed + 1))
	fi
}

# The command line is refused with exit code 2, and the reason names what is wrong.
refuses() { # WORD OPTION...
	local word=$1 out status=0
	shift
	out=$("$tree/run" "$@" 2>&1 </dev/null) || status=$?
	check "refuses: $*" refused_for "$word" "$status" "$out"
}

refused_for() { # WORD STATUS OUTPUT
	(($2 == 2)) && [[ $3 == *"$1"* ]]
}

refuses "--nic memif" --nic memif
refuses "--nic needs" --nic
refuses "--impair loss" --impair loss
refuses "--impair loss=101%" --impair loss=101%
refuses "--impair delay=20" --impair delay=20
refuses "--impair loss=1%," --impair loss=1%,
refuses "--impair lost=1%" --impair lost=1%
refuses "--impair off,seed=1" --impair off,seed=1
refuses "--config /nonexistent" --config /nonexistent
refuses "no such file" --config "$tree"
refuses "no folder" --data "$tree/run"
refuses "--exec needs" --exec
refuses "--frob: unknown" --frob
refuses "tap: unknown" tap

out=$("$tree/run" --help)
for option in --nic --impair --config --data --detach --status --exec --stop; do
	check "help tells of $option" grep -q -e "$option" <<<"$out"
done

# shellcheck source=/dev/null
source "$tree/appliance/run/net.sh"

overlap() { # yes|no PREFIX PREFIX
	local got=no
	prefixes_overlap "$2" "$3" && got=yes
	check "overlap of $2 and $3: $1" test "$got" = "$1"
}

overlap yes 198.18.0.3/24 198.18.0.8/29
overlap yes 198.18.0.8/29 198.18.0.3/24
overlap no 198.18.0.3/24 198.18.1.0/29
overlap no 198.18.0.16/29 198.18.0.8/29
overlap yes 198.18.0.9/32 198.18.0.8/29
overlap no 10.0.0.1/8 198.18.0.0/29
overlap yes 192.0.0.0/2 198.18.0.0/29
overlap yes 0.0.0.0/0 198.18.0.0/29

exit "$failed"
