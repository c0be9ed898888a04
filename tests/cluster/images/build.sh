#!/usr/bin/env bash
# Build images as archives that a node can load, by docker where there is a daemon, else by buildah:
#
#   tests/cluster/images/build.sh FOLDER [operator] [trainer]
#
# Writes FOLDER/scaling-<target>.tar, tagged localhost/scaling-<target>:<version>, and prints a line for each: its size,
# its size above the base, and the seconds that it took. Without docker it needs root, buildah and debootstrap, and
# makes the base from the machine's own release; the machine's certificates are trusted while building, and only then.
# BASE names another base image. While the trainer is built FOLDER takes 30 GB.
set -euo pipefail

folder=$(realpath -m "${1:?the folder to write to}")
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(operator trainer)
repository=$(cd "$(dirname "$0")/../../.." && pwd)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$repository/pyproject.toml")
revision=$(git -C "$repository" rev-parse HEAD 2>/dev/null || echo unknown)
certificates=${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}
mkdir -p "$folder"

by_docker() { # target name
    docker build --quiet --target "$1" --tag "$2" --build-arg VERSION="$version" --build-arg REVISION="$revision" \
        ${BASE:+--build-arg BASE="$BASE"} "$repository" >&2
    docker save --output "$folder/scaling-$1.tar" "$2"
    size=$(docker image inspect --format '{{.Size}}' "$2")
    base_size=$(docker image inspect --format '{{.Size}}' "${BASE:-python:3.11-slim-bookworm}" 2>/dev/null || echo 0)
}

buildah() {
    command buildah --root "$folder/storage" --runroot "$folder/run" --storage-driver "$driver" "$@"
}

# vfs copies a layer's whole tree into the next one, gigabytes each time; it works where overlays cannot be mounted.
choose_driver() {
    local tried="$folder/tried"
    mkdir -p "$tried"/{lower,upper,work,merged}
    driver=vfs
    if mount -t overlay overlay -o "lowerdir=$tried/lower,upperdir=$tried/upper,workdir=$tried/work" "$tried/merged" \
        2>/dev/null; then
        driver=overlay
        umount "$tried/merged"
    fi
    rm -rf "$tried"
}

size_of() {
    buildah images --json "$1" | sed -n 's/.*"size": "\(.*\)".*/\1/p'
}

make_base() {
    BASE=localhost/scaling-image-base:1
    if [ ! -f "$folder/base.done" ]; then
        debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
            "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$folder/base" >&2
        rm -rf "$folder"/base/var/cache/apt/* "$folder"/base/var/lib/apt/lists/* "$folder"/base/usr/share/{doc,man}
        touch "$folder/base.done"
    fi
    container=$(buildah from --pull-never scratch)
    buildah add --quiet "$container" "$folder/base" / >/dev/null
    buildah commit --quiet --rm "$container" "$BASE" >&2
}

by_buildah() { # target name
    [ -n "${BASE:-}" ] || make_base
    # The base's own certificates are covered while building, by a mount: no layer holds the machine's.
    buildah bud --quiet --layers --isolation chroot --network host --target "$1" --tag "$2" \
        --volume "$certificates:/etc/ssl/certs/ca-certificates.crt:ro" \
        --build-arg PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
        --build-arg BASE="$BASE" --build-arg VERSION="$version" --build-arg REVISION="$revision" "$repository" >&2
    rm -f "$folder/scaling-$1.tar"
    buildah push --quiet "$2" "docker-archive:$folder/scaling-$1.tar:$2" >&2
    size=$(size_of "$2") base_size=$(size_of "$BASE")
}

builder=by_buildah
if docker info >/dev/null 2>&1; then builder=by_docker; else choose_driver; fi
for target in "${targets[@]}"; do
    began=$SECONDS name=localhost/scaling-$target:$version
    $builder "$target" "$name"
    echo "$name: $size ($base_size of them the base's), $((SECONDS - began)) s, $folder/scaling-$target.tar"
done
# What was built is in the archives.
[ "$builder" = by_docker ] || rm -rf "$folder/storage" "$folder/run"
