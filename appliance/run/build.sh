# build.sh - what ./run needs before it can start anything: packages and our own programs.
# Variables are shared with ./run, which sources this.
# shellcheck shell=bash disable=SC2034,SC2154

packages_missing() {
	local name command
	while read -r name command; do
		[[ -z $name || $name == '#'* ]] && continue
		[[ -n $command ]] && command -v "$command" >/dev/null && continue
		[[ $(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null) == installed ]] ||
			echo "$name"
	done <"$tree/appliance/packages.txt"
}

packages_install() {
	local missing log
	mapfile -t missing < <(packages_missing)
	((${#missing[@]})) || return 0
	say "installing ${#missing[@]} packages: ${missing[*]}"
	log=$(mktemp)
	if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
		--no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
		tail -n 15 "$log" >&2
		rm -f "$log"
		fail 1 "apt-get could not install these packages"
	fi
	rm -f "$log"
}

# Whose files the tree is made of: nothing in it shall become root's.
builder() {
	if [[ -n ${SUDO_USER:-} && $SUDO_USER != root ]]; then
		echo "$SUDO_USER"
	else
		stat -c %U "$tree"
	fi
}

as_builder() {
	local user
	user=$(builder)
	if [[ $user == root || $user == UNKNOWN ]]; then
		"$@"
	else
		runuser -u "$user" -- "$@"
	fi
}

build_step() { # TEXT COMMAND...
	local text=$1 log
	shift
	log=$(mktemp)
	if ! as_builder "$@" >"$log" 2>&1 </dev/null; then
		tail -n 30 "$log" >&2
		rm -f "$log"
		fail 1 "$text failed: $*"
	fi
	rm -f "$log"
}

build() {
	if [[ ! -f $build_dir/build.ninja ]]; then
		say "building; the first time takes a minute"
		build_step "setting up the build" meson setup "$build_dir" "$tree"
	fi
	build_step "the build" ninja -C "$build_dir"
}

program() { # NAME
	local path
	path=$(find "$build_dir" -maxdepth 4 -type f -executable -name "$1" -print -quit)
	[[ -n $path ]] || fail 1 "the build has made no $1 in $build_dir"
	echo "$path"
}

# Before anything is started: all of them are there.
find_programs() {
	local name
	for name in dataplane controlplane mgmt; do
		program "signalbox-$name" >/dev/null
	done
	launcher=$(program signalbox-launcher)
	ctl_program=$(program signalbox-ctl)
	selfcheck_program=$(program signalbox-selfcheck)
}
