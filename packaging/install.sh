#!/bin/sh
# Installs keyfob @VERSION@ for yourself, and takes it out again.
#
#     sh install.sh                  into ~/.local
#     sh install.sh --prefix DIR     into DIR/bin, DIR/share and DIR/lib
#     sh install.sh --uninstall      removes what it installed, unless you have changed it (with --prefix, if you gave one)
#
# It downloads one archive from @FROM@ (--from URL or --from DIR: from elsewhere), whose SHA-256 is
# written below: what is not the very file that was released is not installed. This script itself is signed, like every file of a release.
# It never asks for root, starts nothing, changes no file of yours, and writes through no link. What it wrote is listed in
# PREFIX/share/keyfob/installed.
set -eu
umask 022
export LC_ALL=C

version='@VERSION@'
from='@FROM@'
sums='@SUMS@'

# Three lines: what failed, why, and what to do.
stop() {
    printf 'install.sh: %s\n  %s\n  %s\n' "$1" "$2" "$3" >&2
    exit 1
}
usage() { stop "$1" "it takes --prefix DIR, --from URL and --uninstall" "sh install.sh --help shows what they do"; }

act=install
prefix=
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h)
        sed -n '2,/^set -eu/{/^#/s/^# \{0,1\}//p;}' "$0"
        exit 0
        ;;
    --uninstall) act=uninstall ;;
    --prefix | --from)
        # An empty one comes of a variable that is not set.
        { [ $# -ge 2 ] && [ -n "$2" ]; } || usage "$1 needs a value"
        if [ "$1" = --prefix ]; then prefix=$2; else from=$2; fi
        shift
        ;;
    *) usage "$1 is not an option" ;;
    esac
    shift
done
if [ -z "$prefix" ]; then
    [ -n "${HOME-}" ] || stop "it is not known where your home is" "HOME is not set" "name a place: sh install.sh --prefix DIR"
    prefix=$HOME/.local
fi
case $prefix in
/*) ;;
*) prefix=$PWD/$prefix ;;
esac
# With a slash behind it, a link is taken for what it leads to.
while :; do
    case $prefix in
    ?*/) prefix=${prefix%/} ;;
    *) break ;;
    esac
done
case $prefix in
*'
'*) stop "this place has a line break in its name" "the list of what is installed has a line for each file" "choose another: sh install.sh --prefix DIR" ;;
esac
list=$prefix/share/keyfob/installed
# What is half written has these names, in a directory that nobody else writes to, and is renamed to its place when it is whole.
list_new=$list.new
file_new=$prefix/share/keyfob/file.new

# What was released for which machine is known before anything else is asked for.
if [ "$act" = install ]; then
    system=$(uname -s 2>/dev/null) || system=unknown
    machine=$(uname -m 2>/dev/null) || machine=unknown
    case $machine in
    amd64) machine=x86_64 ;;
    arm64) machine=aarch64 ;;
    esac
    archive=keyfob-$version-$machine-linux.tar.gz
    wanted=
    for word in $sums; do
        [ "$word" != "$archive" ] || wanted=$last
        last=$word
    done
    if [ "$system" != Linux ] || [ -z "$wanted" ]; then
        stop "there is no program for this machine ($system, $machine)" "keyfob $version was released for Linux on x86_64 and aarch64" \
            "build it from source: the README says how"
    fi
fi
for tool in mktemp tar gzip sha256sum sed grep sort find mkdir mv rm rmdir cp cat readlink; do
    command -v "$tool" >/dev/null 2>&1 || stop "the program $tool is not here" "the archive cannot be checked and unpacked without it" \
        "install it with your system's packages (coreutils, findutils, grep, tar, gzip, sed; or busybox), then run this again"
done

# As a shell reads it back.
quoted() {
    case $1 in
    *[!A-Za-z0-9/._-]*) printf "'%s'" "$(printf '%s\n' "$1" | sed "s/'/'\\\\''/g")" ;;
    *) printf '%s' "$1" ;;
    esac
}
again="sh install.sh --uninstall"
[ "$prefix" = "${HOME-}/.local" ] || again="$again --prefix $(quoted "$prefix")"

sum() {
    # shellcheck disable=SC2046 # The first word of what it prints.
    set -- $(sha256sum < "$1")
    printf '%s' "$1"
}
# What a file is: the sum of what is in it, or where a link leads.
state() {
    if [ -L "$1" ]; then
        printf 'link:%s' "$(readlink "$1")"
    elif [ -f "$1" ]; then
        sum "$1"
    elif [ -e "$1" ]; then
        printf 'other'
    else
        printf 'absent'
    fi
}
# Whether the list has this line: a state and a name.
listed() { [ -f "$list" ] && grep -qxF -e "$1 $2" "$list"; }
# Every directory on the way is one, and none is a link: what is behind a link is not what was named.
no_link() {
    way=$prefix
    rest=$1/
    while :; do
        [ ! -L "$way" ] || stop "$way is a link" "files are written through no link; it leads to $(readlink "$way")" \
            "name the real place: sh install.sh --prefix DIR"
        [ ! -e "$way" ] || [ -d "$way" ] || stop "$way is not a directory" "a directory of that name is needed" \
            "move it away, or choose another place: sh install.sh --prefix DIR"
        case $rest in
        */*/*) way=$way/${rest%%/*} rest=${rest#*/} ;;
        *) break ;;
        esac
    done
}
no_link share/keyfob/installed
for name in "$list" "$list_new"; do
    [ ! -L "$name" ] || stop "$name is a link" "files are written through no link; it leads to $(readlink "$name")" "remove it, then run this again"
    # A list has lines of these forms, the first of which may be cut short where it was killed.
    if [ -e "$name" ] && { [ ! -f "$name" ] || sed -n 1p "$name" | grep -qvE '^(dir |up /|link:|[0-9a-f]{64} |(d|di|dir|u|up|up )$)'; }; then
        stop "$name is there already" "it was not written by this script" "move it away, or choose another place: sh install.sh --prefix DIR"
    fi
done
# Without a list, a half-written file is somebody else's; with one, it may well be a link, and is not followed.
if [ ! -e "$list" ] && { [ -e "$file_new" ] || [ -L "$file_new" ]; }; then
    stop "$file_new is there already" "it was not written by this script" "move it away, or choose another place: sh install.sh --prefix DIR"
fi
# Killed while it wrote its first list: nothing but directories was made, all but perhaps the last line is whole, and what is lost of it were
# the directories that the list itself needs.
if [ ! -e "$list" ] && [ -e "$list_new" ]; then
    {
        sed '$d' "$list_new" > "$list" && { grep -q '^dir ' "$list" || echo 'dir share' >> "$list"; } &&
            echo 'dir share/keyfob' >> "$list" && rm -f "$list_new"
    } || stop "$list cannot be written" "the system said why, above" "make room, then run this again"
fi

# Its own directories go if nothing else is in them: first the deepest, last those on the way to the prefix.
directories_go() { # LIST
    printf '%s\n' "$1" | sed -n 's/^dir //p' | sort -ru | while IFS= read -r name; do
        [ -L "$prefix/$name" ] || rmdir "$prefix/$name" 2>/dev/null || true
    done
    printf '%s\n' "$1" | sed -n 's/^up //p' | while IFS= read -r name; do rmdir "$name" 2>/dev/null || true; done
}
uninstall() {
    [ -f "$list" ] || stop "nothing is installed in $prefix" "there is no list $list" "if it is elsewhere, name it: sh install.sh --uninstall --prefix DIR"
    whole=$(cat "$list")
    kept=
    while IFS= read -r name; do
        [ -n "$name" ] || continue
        no_link "$name"
        found=$(state "$prefix/$name")
        if listed "$found" "$name"; then
            rm -f "$prefix/$name" || stop "$prefix/$name cannot be removed" "the system said why, above" "make its directory writable, then run this again"
        elif [ "$found" != absent ]; then
            printf 'kept, as it is not what was installed: %s\n' "$prefix/$name"
            kept=yes
        fi
    done <<LIST
$(printf '%s\n' "$whole" | sed '/^dir /d; /^up /d; s/^[^ ]* //' | sort -u)
LIST
    rm -f "$list_new" "$file_new" "$list" || stop "$list cannot be removed" "the system said why, above" "make its directory writable, then run this again"
    directories_go "$whole"
    [ -n "$kept" ] || printf 'keyfob is no longer in %s. Your logins and configuration are untouched.\n' "$prefix"
}
if [ "$act" = uninstall ]; then
    uninstall
    exit 0
fi

# Interrupted or not, nothing of the download is left. What makes a file ends, whatever happens, and says its name.
work='' probe='' writing=''
trap 'rm -rf ${work:+"$work"}; rm -f ${probe:+"$probe"}' EXIT
interrupted() {
    trap '' HUP INT TERM
    [ -z "$writing" ] || printf 'install.sh: interrupted while it installed\n  a part of keyfob is in %s\n  run this again, or undo it: %s\n' "$prefix" "$again" >&2
    exit "$1"
}
trap 'interrupted 129' HUP
trap 'interrupted 130' INT
trap 'interrupted 143' TERM
made() { (trap '' HUP INT TERM && mktemp "$@"); }

# Whether the place can be written to is known before anything is fetched.
there=$prefix
while [ ! -e "$there" ]; do there=${there%/*} && there=${there:-/}; done
[ -w "$there" ] || stop "$there cannot be written to" "it is read-only, or belongs to somebody else" "choose another place: sh install.sh --prefix DIR"
# `-w` says yes to root even where the whole file system is read-only.
probe=$(made "$there/.keyfob.XXXXXX" 2>/dev/null) || stop "$there cannot be written to" "it is read-only, or full" "choose another place: sh install.sh --prefix DIR"
rm -f "$probe"
probe=''

work=$(made -d) || stop "there is no place for the download" "a directory below ${TMPDIR:-/tmp} cannot be made" "name one: TMPDIR=DIR sh install.sh"

case $from in
http://* | https://*)
    if command -v curl >/dev/null 2>&1; then
        curl --fail --silent --show-error --location --output "$work/archive" "$from/$archive" || fetched=no
    elif command -v wget >/dev/null 2>&1; then
        wget -q -O "$work/archive" "$from/$archive" || fetched=no
    else
        stop "there is neither curl nor wget here" "one of them has to fetch $archive" "install one; or fetch that file yourself, and: sh install.sh --from DIR"
    fi
    ;;
*) cp "$from/$archive" "$work/archive" || fetched=no ;;
esac
[ "${fetched-}" != no ] || stop "$archive could not be fetched" "the reason is above; it was asked of $from" "try again later, or name another place: sh install.sh --from URL"
[ "$(sum "$work/archive")" = "$wanted" ] || stop "$archive is not the file that was released" "its SHA-256 is $(sum "$work/archive"), and not $wanted" \
    "do not use it; fetch install.sh and the archive again from one place, and tell whoever serves them"
mkdir "$work/tree"
{ gzip -dc "$work/archive" > "$work/tar" && (cd "$work/tree" && tar -xf ../tar) && rm "$work/tar"; } ||
    stop "$archive cannot be unpacked" "the system said why, above" "make room in ${TMPDIR:-/tmp}, or name another place: TMPDIR=DIR sh install.sh"
tree=$work/tree/keyfob-$version
# systemd does not look for programs in a home: its units name this one, where that needs no quoting.
units=$tree/share/systemd/user
case $prefix in
*[!A-Za-z0-9/._-]*) rm -rf "$tree/share/systemd" ;;
*)
    for unit in "$units"/keyfob-*.service; do
        sed "s,^ExecStart=keyfob,ExecStart=$prefix/bin/keyfob," "$unit" > "$work/unit"
        mv -f "$work/unit" "$unit"
    done
    ;;
esac

# Directories first, each before what is in it, those of the list before all others; then files and links.
find_all() { (cd "$tree" && find . "$@" | sed -n 's,^\./,,p' | sort); }
{
    printf 'share\nshare/keyfob\n'
    find_all -type d | grep -vxF share
} > "$work/dirs"
find_all ! -type d > "$work/files"

# Everything is judged before anything is changed: what lies in the way and was not put there by this script stays.
while IFS= read -r name; do
    no_link "$name"
    found=$(state "$prefix/$name")
    [ "$found" = absent ] || listed "$found" "$name" ||
        stop "$prefix/$name is there already" "it was not installed by this script, or has been changed since" \
            "move it away, or choose another place: sh install.sh --prefix DIR"
done < "$work/files"

# What is to be removed again: directories that were not there before, those on the way to the prefix, files and links.
{
    [ ! -f "$list" ] || sed -n '/^dir /p; /^up /p' "$list"
    way=$prefix
    # Of a directory of the root, nothing is left.
    while [ -n "$way" ] && [ ! -e "$way" ]; do
        printf 'up %s\n' "$way"
        way=${way%/*}
    done
    while IFS= read -r name; do [ -d "$prefix/$name" ] || printf 'dir %s\n' "$name"; done < "$work/dirs"
    (cd "$tree" && find . -type f -exec sha256sum {} +) | sed 's,  \./, ,'
    find_all -type l | while IFS= read -r name; do printf '%s %s\n' "$(state "$tree/$name")" "$name"; done
} > "$work/list"
replace_list() {
    rm -f "$list_new"
    cp "$1" "$list_new" && mv -f "$list_new" "$list" && return
    # Without a list, nothing but directories was made.
    if [ ! -e "$list" ]; then rm -f "$list_new" && directories_go "$(cat "$work/list")"; fi
    stop "$list cannot be written" "the system said why, above" "make room, then run this again"
}
writing=yes
mkdir -p "$prefix/share/keyfob" || stop "$prefix/share/keyfob cannot be made" "the system said why, above" "choose another place: sh install.sh --prefix DIR"
# The list comes first, with what is there of an earlier version: killed half-way, all of it can be undone, or done again.
{
    cat "$work/list"
    [ ! -f "$list" ] || cat "$list"
} > "$work/both"
sed '/^dir /d; /^up /d; s/^[^ ]* //' "$work/both" | sort -u > "$work/all"
replace_list "$work/both"
cannot_write() { stop "$prefix/$1 cannot be written" "the system said why, above" "make room, then run this again; or undo it: $again"; }
while IFS= read -r name; do mkdir -p "$prefix/$name" || cannot_write "$name"; done < "$work/dirs"
while IFS= read -r name; do
    # Renamed into place: a keyfob that is running goes on with the file that it was started from.
    if [ -e "$file_new" ] || [ -L "$file_new" ]; then rm -f "$file_new"; fi
    { cp -P "$tree/$name" "$file_new" && mv -f "$file_new" "$prefix/$name"; } || cannot_write "$name"
done < "$work/files"
# What an earlier version brought and this one does not.
grep -vxF -f "$work/files" "$work/all" > "$work/former" || [ $? -eq 1 ]
while IFS= read -r name; do
    ! listed "$(state "$prefix/$name")" "$name" || rm -f "$prefix/$name"
done < "$work/former"
replace_list "$work/list"
writing=

printf 'keyfob %s is installed: %s\n' "$version" "$prefix/bin/keyfob"
# shellcheck disable=SC2016 # For the profile, as it stands.
case :${PATH-}: in
*:"$prefix/bin":*) ;;
*) printf 'Your shell does not look there yet. With this line in ~/.profile it does after the next login:\n  export PATH=%s:"$PATH"\n' "$(quoted "$prefix/bin")" ;;
esac
printf 'To remove it: %s\n' "$again"
