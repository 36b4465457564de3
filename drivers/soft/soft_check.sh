#!/usr/bin/env bash
# soft_check.sh - runs soft_check against a kind of software NIC, in a namespace of its own.
#
#	soft_check.sh PROGRAM tap|af_packet|af_xdp
#
# Needs root; without it the test is skipped (exit code 77). The namespace dies with this script,
# and the links with the namespace.
set -euo pipefail

program=$1
kind=$2

if [ "$(id -u)" -ne 0 ] || ! unshare --net true 2>/dev/null; then
	echo "skipped: needs root and network namespaces"
	exit 77
fi
if [ "${SOFT_CHECK_INSIDE:-}" != yes ]; then
	SOFT_CHECK_INSIDE=yes exec unshare --net "$0" "$@"
fi

quiet() { # IPv6 chatter would be counted as wake-ups
	echo 1 >"/proc/sys/net/ipv6/conf/$1/disable_ipv6" 2>/dev/null || true
}

case $kind in
tap)
	ip tuntap add dev check0 mode tap multi_queue
	quiet check0
	ip link set check0 up
	exec "$program" tap check0 check0 "${@:3}"
	;;
af_packet | af_xdp)
	ip link add check0 type veth peer name check1
	quiet check0
	quiet check1
	ip link set check0 up
	ip link set check1 up
	exec "$program" "$kind" check1 check0 "${@:3}"
	;;
*)
	echo "usage: $0 PROGRAM tap|af_packet|af_xdp [WAKES [IDLE_MS]]" >&2
	exit 2
	;;
esac
