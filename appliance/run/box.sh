# box.sh - starts the box through its launcher, waits until it serves, asks it, puts proxies up.
# Variables are shared with ./run, which sources this.
# shellcheck shell=bash disable=SC2034,SC2154

mqtt_port=1883
rest_port=8080
log_bytes_max=16777216

hugepages_free_mib() {
	awk '/^HugePages_Free:/ {n = $2} /^Hugepagesize:/ {k = $2} END {print int(n * k / 1024)}' \
		/proc/meminfo
}

open_log() {
	mkdir -p "$data"
	log=$data/signalbox.log
	log_start=$(stat -c %s "$log" 2>/dev/null || echo 0)
	if ((log_start > log_bytes_max)); then
		mv "$log" "$log.1"
		log_start=0
	fi
}

this_log() { tail -c "+$((log_start + 1))" "$log" 2>/dev/null || true; }

# How this run's log begins and ends: the cause tends to be first, the consequence last.
log_tail() {
	this_log | awk '{ line[NR] = $0 }
		END { for (i = 1; i <= NR; i++) {
			if (i <= 12 || i > NR - 8) print line[i]
			else if (i == 13) print "[" NR - 20 " lines]" } }' >&2
}

# The launcher looks for the others in one folder; the build leaves each in its own.
gather_programs() {
	local name
	mkdir -p "$run_dir/bin"
	for name in dataplane controlplane mgmt; do
		ln -sf "$(program "signalbox-$name")" "$run_dir/bin/"
	done
}

# The command line, or the configuration; a wrong one is told by whoever starts with it.
choose_workers() {
	[[ -z $workers ]] || return 0
	local show=("$(program signalbox-controlplane)" --show-config)
	[[ -z $config ]] || show+=("$config")
	workers=$("${show[@]}" 2>/dev/null |
		sed -n 's/^  workers: *\([0-9]*\).*/\1/p') || true
	workers=${workers:-1}
}

# The kernel's end of a memif. It waits for the box, and is there until after it.
start_bridge() {
	RUNTIME_DIRECTORY=$run_dir setsid nsenter --net="$netns_dir/$ns" -- \
		"$(program signalbox-bridge)" --socket "$interface" --tap sbx0 \
		--queues "$workers" >>"$log" 2>&1 </dev/null &
	note_process bridge $!
}

start_launcher() {
	local options=(--run-dir "$run_dir" --bin "$run_dir/bin" --data "$data"
		--nic "$nic" --interface "$interface" --mgmt-listen "$gateway:$rest_port"
		--workers "$workers")
	# A real NIC is in a network that has addresses already: the configuration tells.
	[[ $nic == pci ]] || options+=(--address "$address/30" --gateway "$gateway")
	[[ -z $config ]] || options+=(--config "$config")
	[[ ! -e $netns_dir/$ns_nic ]] || options+=(--dataplane-netns "$netns_dir/$ns_nic")
	[[ -z $impair ]] || options+=(--impair "$impair")
	if (($(hugepages_free_mib) >= hugepages_wanted_mib * workers)); then
		options+=(--hugepages)
	fi
	[[ -d /run/dpdk ]] || note dpdk_dir
	gather_programs
	# RUNTIME_DIRECTORY: where DPDK puts what it wants to put somewhere.
	RUNTIME_DIRECTORY=$run_dir setsid nsenter --net="$netns_dir/$ns" -- \
		"$launcher" "${options[@]}" >>"$log" 2>&1 </dev/null &
	launcher_pid=$!
	note_process launcher "$launcher_pid"
}

ctl() {
	[[ -n ${ctl_program:-} ]] || ctl_program=$(program signalbox-ctl)
	"$ctl_program" --socket "$run_dir/control.sock" "$@"
}

# One of the box's own facts, or a default when it does not tell.
box_fact() { # NAME DEFAULT
	local value
	value=$(ctl facts 2>/dev/null | sed -n "s/^$1: //p" | head -n 1) || true
	echo "${value:-$2}"
}

controlplane_said() { # LOG
	{ grep '^signalbox-controlplane: ' "$1" 2>/dev/null || true; } | tail -n 1 |
		sed 's/^signalbox-controlplane: //'
}

# Damaged, or again and again: a store that another process is about to close opens a moment later.
store_refused() {
	local times
	! this_log | grep -q 'signalbox-controlplane .*exited with code 5$' || return 0
	times=$(this_log | grep -c 'signalbox-controlplane .*exited with code 3$') || true
	((times >= 4))
}

wait_ready() {
	local i
	for ((i = 0; i < ready_wait_s * 10; i++)); do
		case $(box_fact ready no) in
		yes | true | 1) return 0 ;;
		esac
		if ! box_runs; then
			log_tail
			fail 1 "the box ended before it was ready; its log: $log"
		fi
		# It refused what it was given, and will again.
		if this_log | grep -q 'exited with code 2$'; then
			log_tail
			fail 1 "the box cannot start like this; its log: $log"
		fi
		if store_refused; then
			log_tail
			fail 1 "$(controlplane_said "$log")"
		fi
		sleep 0.1
	done
	log_tail
	fail 1 "the box is not ready after $ready_wait_s s; its log: $log"
}

self_check() {
	local out worker="worker 0"
	if ! out=$(in_ns "$ns" "$selfcheck_program" "$address" "$mqtt_port" 2>&1); then
		[[ -n $impair && $impair != off ]] || {
			log_tail
			fail 1 "self-check: no message came through: $out"
		}
		say "self-check: no message came through under --impair $impair: $out"
		return
	fi
	[[ $workers == 1 ]] || worker="one of $workers workers"
	say "self-check: one message through our own TCP over $nic ($worker):" \
		"round trip ${out#round_trip_us: } us"
}

# What listens on a port such that localhost cannot have it.
port_taken() { # PORT
	ss -Hltnp "sport = :$1" |
		awk '$4 ~ /^(127\.|0\.0\.0\.0|\*|\[::\]|\[::1\])/ {print $NF; exit}' |
		sed 's/users:(("\([^"]*\)",pid=\([0-9]*\).*/\1 (process \2)/'
}

start_proxy() { # PORT TARGET
	local taken family listen pid
	taken=$(port_taken "$1")
	if [[ -n $taken ]]; then
		say "port $1 of localhost is taken by $taken: no proxy for it"
		return 1
	fi
	for family in 4 6; do
		listen=TCP4-LISTEN:$1,bind=127.0.0.1,fork,reuseaddr
		if ((family == 6)); then
			[[ -n $(ip -6 addr show dev lo 2>/dev/null) ]] || continue
			listen="TCP6-LISTEN:$1,bind=[::1],ipv6only=1,fork,reuseaddr"
		fi
		setsid setpriv --reuid=nobody --regid=nogroup --clear-groups \
			socat "$listen" "TCP4:$2" >/dev/null 2>&1 </dev/null &
		pid=$!
		note_process proxy "$pid"
	done
	wait_port "$1"
}

wait_port() { # PORT
	local i
	for ((i = 0; i < 40; i++)); do
		[[ -z $(port_taken "$1") ]] || return 0
		sleep 0.05
	done
	say "the proxy for port $1 of localhost does not start"
	return 1
}

write_facts() {
	workers=$(box_fact workers "$workers")
	address=$(box_fact address "$address")
	mqtt_port=$(box_fact mqtt_port "$mqtt_port")
	cat >"$run_dir/facts" <<-END
		address: $address
		mqtt: $address:$mqtt_port
		rest: $gateway:$rest_port
		workers: $workers
		nic: $nic
		interface: $interface
		data: $data
		log: $log
	END
}

# The processes under the launcher, which may be others than a moment ago.
print_status() {
	local launcher_pid pid name pids=()
	local -A of=()
	launcher_pid=$(noted_process launcher) || return 1
	[[ -f $run_dir/facts ]] || fail 1 "the box is still starting"
	for pid in $(pgrep -P "$launcher_pid"); do
		# It may have ended meanwhile.
		name=$({ tr '\0' '\n' <"/proc/$pid/cmdline"; } 2>/dev/null | head -n 1) || continue
		name=${name##*/}
		pids+=("$pid")
		[[ $name != signalbox-* ]] || of[${name#signalbox-}]=$pid
	done
	cat "$run_dir/facts"
	echo "pids: ${pids[*]}"
	pid=$(noted_process bridge) && echo "bridge: $pid"
	for name in dataplane controlplane mgmt; do
		[[ -z ${of[$name]:-} ]] || echo "$name: ${of[$name]}"
	done
	if [[ -z ${of[controlplane]:-} ]]; then
		name=$(sed -n 's/^log: //p' "$run_dir/facts")
		echo "controlplane: does not run: $(controlplane_said "$name")"
	fi
	local impaired
	impaired=$(box_fact impair "")
	[[ -z $impaired ]] || echo "impair: $impaired"
}

print_lines() { # HOST REST
	echo "  mosquitto_sub -h $1 -t hello &"
	echo "  mosquitto_pub -h $1 -t hello -m world"
	[[ -z $2 ]] || echo "  curl http://$2:$rest_port/api/v1/monitor/overview"
}

print_invitation() {
	local mqtt_proxied=no rest_proxied=no
	start_proxy "$mqtt_port" "$address:$mqtt_port" && mqtt_proxied=yes
	start_proxy "$rest_port" "$gateway:$rest_port" && rest_proxied=yes
	echo
	echo "The box's own address, from this machine:"
	print_lines "$address" "$gateway"
	if [[ $mqtt_proxied == yes || $rest_proxied == yes ]]; then
		echo
		echo "The same at localhost, through a kernel proxy (socat): no measure of the box:"
		if [[ $mqtt_proxied == yes ]]; then
			print_lines localhost ""
		fi
		if [[ $rest_proxied == yes ]]; then
			echo "  curl http://localhost:$rest_port/api/v1/monitor/overview"
		fi
	fi
	echo
}
