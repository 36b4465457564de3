# unmake.sh - ends and removes what the journal says that ./run made, last things first.
# Variables are shared with ./run, which sources this.
# shellcheck shell=bash disable=SC2034,SC2154

# Ends processes politely, then not; each is given as "PID STARTED".
end_processes() { # PATIENCE_S PROCESS...
	local patience=$1
	shift
	signal_living TERM "$@"
	# One that is dead and not yet buried by its parent holds nothing any more.
	# Without its 0, return in a trap gives the status of what came before the trap.
	wait_gone process_lives "$patience" "$@" && return 0
	signal_living KILL "$@"
	wait_gone process_lives 3 "$@" || true
}

signal_living() { # SIGNAL PROCESS...
	local signal=$1 process pid started
	shift
	for process in "$@"; do
		read -r pid started <<<"$process"
		if process_lives "$pid" "$started"; then
			kill -"$signal" "$pid" 2>/dev/null || true
		fi
	done
}

# True when none of them is PREDICATE any more, within the time.
wait_gone() { # PREDICATE SECONDS PROCESS...
	local is=$1 turns=$(($2 * 50)) process pid started any
	shift 2
	for (( ; turns > 0; turns--)); do
		any=no
		for process in "$@"; do
			read -r pid started <<<"$process"
			! "$is" "$pid" "$started" || any=yes
		done
		[[ $any == yes ]] || return 0
		sleep 0.02
	done
	return 1
}

# A proxy serves each connection by a child; they are one process group, led by the proxy.
unmake_proxy() { # PID STARTED
	local pids
	[[ $(process_started "$1") == "$2" ]] || return 0
	mapfile -t pids < <(pgrep -g "$1" || true)
	with_start pids
	end_processes 2 "${pids[@]}"
}

# Appends its start time to each pid of an array.
with_start() { # ARRAY
	local -n array=$1
	local i
	for i in "${!array[@]}"; do
		array[i]+=" $(process_started "${array[i]}" || echo 0)"
	done
}

# Whoever is still inside would keep the namespace, and the NIC in it, alive.
unmake_netns() { # NAME
	local pids
	[[ -e $netns_dir/$1 ]] || return 0
	mapfile -t pids < <(ip netns pids "$1" 2>/dev/null || true)
	if ((${#pids[@]})); then
		with_start pids
		end_processes 5 "${pids[@]}"
	fi
	ip netns del "$1" 2>/dev/null || true
}

# `ip netns add` mounts its folder on itself, and nobody else undoes that.
unmake_netns_dir() { # made|kept
	[[ -z $(ls -A "$netns_dir" 2>/dev/null) ]] || return 0
	umount -n "$netns_dir" 2>/dev/null || true
	[[ $1 == kept ]] || rmdir "$netns_dir" 2>/dev/null || true
}

unmake_one() { # KIND ARGUMENTS...
	local kind=$1
	shift
	case $kind in
	process)
		case $1 in
		proxy) unmake_proxy "$2" "$3" ;;
		launcher) end_processes 10 "$2 $3" ;;
		bridge) end_processes 3 "$2 $3" ;;
		esac
		;;
	link) ip link del "$1" 2>/dev/null || true ;;
	netns) unmake_netns "$1" ;;
	netns_dir) unmake_netns_dir "$1" ;;
	dpdk_dir) find /run/dpdk -depth -type d -empty -delete 2>/dev/null || true ;;
	esac
}

# Safe to call again, and after a part was never made.
unmake() {
	local line
	[[ -d $run_dir ]] || return 0
	while read -r -a line; do
		((${#line[@]})) && unmake_one "${line[@]}"
	done < <(tac "$run_dir/journal" 2>/dev/null)
	rm -rf "$run_dir"
}
