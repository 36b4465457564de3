# say.sh - what ./run tells, and the journal of what it made so that all of it can be unmade.
#
# The journal is $run_dir/journal, a line "KIND NAME ..." written before or right after the thing
# is made. unmake.sh walks it backwards, so a crashed run is cleaned by recorded names alone.
# Variables are shared with ./run, which sources this.
# shellcheck shell=bash disable=SC2034,SC2154

say() { printf 'signalbox: %s\n' "$*"; }

fail() { # STATUS TEXT...
	local status=$1
	shift
	printf 'run: %s\n' "$*" >&2
	exit "$status"
}

note() { printf '%s\n' "$*" >>"$run_dir/journal"; }

noted() { # KIND: the rest of its lines
	[[ -r $run_dir/journal ]] && sed -n "s/^$1 //p" "$run_dir/journal"
}

# A process is told from a later one of the same number by its start time.
process_started() { # PID
	local stat fields
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	read -r -a fields <<<"${stat##*) }" # from the state on; the name may hold anything
	echo "${fields[19]}"
}

process_lives() { # PID STARTED
	local stat
	[[ $(process_started "$1") == "$2" ]] || return 1
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	[[ ${stat##*) } != Z* ]]
}

note_process() { # NAME PID
	note "process $1 $2 $(process_started "$2" || echo 0)"
}

# The pid of a noted process that still lives.
noted_process() { # NAME
	local name pid started
	while read -r name pid started; do
		if [[ $name == "$1" ]] && process_lives "$pid" "$started"; then
			echo "$pid"
			return 0
		fi
	done < <(noted process)
	return 1
}

box_runs() { noted_process launcher >/dev/null; }
