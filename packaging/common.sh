# shellcheck shell=sh disable=SC2034 # Those who source it use the variables.
# What the scripts of this directory have in common. Sourced, from the root of the tree.
#
# Everything that they make lies in target/packages (KEYFOB_PACKAGES names another place), and is the same bytes for the
# same commit: times are the commit's, owners are root, names are sorted.
set -eu
export LC_ALL=C TZ=UTC
umask 022

version=$(sed -n '/^\[workspace\.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
target_dir=${CARGO_TARGET_DIR:-$PWD/target}
packages=${KEYFOB_PACKAGES:-$target_dir/packages}
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH
mkdir -p "$packages"
homepage=$(sed -n '/^\[workspace\.package\]/,/^\[/s/^homepage = "\(.*\)"$/\1/p' Cargo.toml)
maintainer=$(sed -n 's/^maintainer = "\(.*\)"$/\1/p' Cargo.toml)

# Why a package cannot be made, in the three lines of every failure here: what failed, why, what to do.
stop() {
    printf '%s: %s\n' "packaging/${0##*/}" "$1" >&2
    shift
    for line do printf '  %s\n' "$line" >&2; done
    exit 1
}

# need COMMAND PACKAGE: a program, and the Debian package that brings it.
need() {
    command -v "$1" >/dev/null || stop "$1 is not installed" "packages are made and tried with Debian's own tools" "install it: apt-get install $2"
}

# The program for a machine (x86_64, aarch64), as packaging/static leaves it. KEYFOB_BINARY: this one, whatever it is for.
binary() { printf '%s' "${KEYFOB_BINARY:-$packages/bin/$1/keyfob}"; }

# The one that runs here: what it prints of itself (pages, completions) is the same for every machine.
own_binary() { binary "$(uname -m)"; }

must_be_built() {
    for machine in "$(uname -m)" "${1:-$(uname -m)}"; do
        [ -x "$(binary "$machine")" ] || stop "there is no program for $machine" "packages are made from what is built" "build it: packaging/static $machine"
    done
}

# Debian has names of its own for machines, and so do npm and container images.
machine_of() { # debian|node|oci MACHINE
    case $2-$1 in
    x86_64-debian | x86_64-oci) echo amd64 ;;
    aarch64-debian | aarch64-oci | aarch64-node) echo arm64 ;;
    x86_64-node) echo x64 ;;
    *) stop "no machine is called $2" "packages are made for x86_64 and aarch64" "name one of them" ;;
    esac
}

# The same tar for the same files.
tarred() { tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=ustar "$@"; }

# A place that goes away with the script.
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
# A signal ends it in the same way.
trap 'exit 143' HUP INT TERM
