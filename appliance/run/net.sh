# net.sh - the network that ./run makes: namespaces, the software NIC, the way from the host.
#
#	host  sbx-host .5 ---- .6 sbx-up  [namespace signalbox]  .1 sbx0 ==== .2 the box
#
# tap: sbx0 is a persistent tap, so that its addresses outlive a killed dataplane, which runs in
# the same namespace. af_packet and af_xdp: sbx0 and sbx-nic are a veth pair; sbx-nic is alone with
# the dataplane in a second namespace, so that the kernel does not answer for the box. memif: sbx0
# is a tap, and signalbox-bridge carries between it and the socket where the dataplane listens.
# All addresses are of one free /29 out of 198.18.0.0/15 (RFC 2544: benchmarks, never routed).
# Variables are shared with ./run, which sources this.
# shellcheck shell=bash disable=SC2034,SC2154

ns=signalbox
ns_nic=signalbox-nic
netns_dir=/run/netns

in_ns() { # NAMESPACE COMMAND...
	local name=$1
	shift
	nsenter --net="$netns_dir/$name" -- "$@"
}

ipv4_number() { # A.B.C.D
	local a b c d
	IFS=. read -r a b c d <<<"$1"
	echo $((a << 24 | b << 16 | c << 8 | d))
}

prefixes_overlap() { # A.B.C.D/N A.B.C.D/N
	local bits=$((${1#*/} < ${2#*/} ? ${1#*/} : ${2#*/}))
	((($(ipv4_number "${1%/*}") ^ $(ipv4_number "${2%/*}")) >> (32 - bits) == 0))
}

# Any route of the host that touches the prefix, the default route aside, or the network of an
# interface, be it down.
prefix_used() { # PREFIX
	local routes network
	routes=$(ip -4 route show table all root "$1" && ip -4 route show table all match "$1")
	if grep -qv -e '^default' -e '^$' <<<"$routes"; then
		return 0
	fi
	while read -r network; do
		if prefixes_overlap "$network" "$1"; then
			return 0
		fi
	done < <(ip -4 -o addr show | awk '{print $4 ~ "/" ? $4 : $4 "/32"}')
	return 1
}

# A free /29, and the addresses in it.
choose_addresses() {
	local i net first
	for ((i = 0; i < 64; i++)); do
		net=198.18.$((i / 32))
		first=$((i % 32 * 8))
		prefix_used "$net.$first/29" || break
	done
	((i < 64)) || fail 1 "no free /29 among the first 64 of 198.18.0.0/15:" \
		"see \`ip route show table all\`"
	((i == 0)) || say "198.18.0.0/29 is in use on this host; taking $net.$first/29"
	box_net=$net.$first/30
	gateway=$net.$((first + 1))
	address=$net.$((first + 2))
	up_host=$net.$((first + 5))
	up_ns=$net.$((first + 6))
}

# Names that somebody else uses are not ours to remove.
net_names_free() {
	local name
	for name in "$ns" "$ns_nic"; do
		[[ ! -e $netns_dir/$name ]] || fail 1 "a network namespace $name exists that" \
			"./run did not make; if nobody needs it: ip netns del $name"
	done
	! ip link show sbx-host >/dev/null 2>&1 || fail 1 "an interface sbx-host exists that" \
		"./run did not make; if nobody needs it: ip link del sbx-host"
}

make_ns() { # NAME
	note "netns $1"
	ip netns add "$1"
	ip -n "$1" link set lo up
}

# No IPv6 on these links: the box has none yet, and its chatter would wake the dataplane.
no_ipv6() { # NAMESPACE INTERFACE
	in_ns "$1" bash -c "echo 1 >/proc/sys/net/ipv6/conf/$2/disable_ipv6" 2>/dev/null || true
}

# The kernel leaves checksums and segmentation to the "hardware", which here is the box.
no_offloads() { # NAMESPACE INTERFACE
	in_ns "$1" ethtool -K "$2" tx off tso off gso off gro off >/dev/null 2>&1 ||
		fail 1 "the offloads of $2 cannot be switched off by ethtool -K"
}

make_tap() {
	[[ -c /dev/net/tun ]] || modprobe tun 2>/dev/null || true
	[[ -c /dev/net/tun ]] || fail 1 "no /dev/net/tun (modprobe tun); try --nic af_packet"
	ip -n "$ns" tuntap add dev sbx0 mode tap multi_queue
}

# af_xdp wants as many queues as workers, and as many at the other end.
make_veth() {
	local queues=(numtxqueues "$workers" numrxqueues "$workers")
	make_ns "$ns_nic"
	ip -n "$ns" link add sbx0 "${queues[@]}" type veth \
		peer name sbx-nic "${queues[@]}" netns "$ns_nic"
	no_ipv6 "$ns_nic" sbx-nic
	no_offloads "$ns_nic" sbx-nic
	ip -n "$ns_nic" link set sbx-nic up
}

make_way_from_host() {
	note "link sbx-host"
	ip link add sbx-host type veth peer name sbx-up netns "$ns"
	echo 1 >/proc/sys/net/ipv6/conf/sbx-host/disable_ipv6 2>/dev/null || true
	no_ipv6 "$ns" sbx-up
	ip addr add "$up_host/30" dev sbx-host
	ip -n "$ns" addr add "$up_ns/30" dev sbx-up
	ip link set sbx-host up
	ip -n "$ns" link set sbx-up up
	ip route add "$box_net" via "$up_ns" dev sbx-host
	in_ns "$ns" bash -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
}

make_net() {
	if ! mountpoint -q "$netns_dir"; then
		note "netns_dir $([[ -d $netns_dir ]] && echo kept || echo made)"
	fi
	make_ns "$ns"
	case $nic in
	tap)
		make_tap
		interface=sbx0
		;;
	memif | pcap | pci)
		make_tap # of REST's address, and of the bridge
		interface=${nic_arg:-$run_dir/memif}
		;;
	*)
		make_veth
		interface=sbx-nic
		;;
	esac
	no_ipv6 "$ns" sbx0
	no_offloads "$ns" sbx0
	ip -n "$ns" addr add "$gateway/30" dev sbx0
	ip -n "$ns" link set sbx0 up
	make_way_from_host
}
