# Whether the plugin can be put into this base image. The build begins with it and says in words what a later step would
# break on without a word; in plain sh, because a wrong base may have no Python.
set -eu

fail() {
    echo "The base image ${BASE_IMAGE:-} $1. $2" >&2
    exit 1
}

official="Use an image of Immich's machine learning service, ghcr.io/immich-app/immich-machine-learning:RELEASE. With \
Compose IMMICH_VERSION and IMMICH_DOGS_HARDWARE in .env name it, else --build-arg BASE_IMAGE="

command -v python >/dev/null || fail "has no Python" "$official"
user=$(id -u)
[ "$user" = 0 ] || fail "runs as user $user, who may not put the plugin in" \
    "End it with USER root; a container of it may still run as another user (user: in the compose file)"
python -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "has $(python --version 2>&1), and the plugin needs Python 3.11 or newer" "$official"
misfits=$(python -m image.requirements) || fail "does not hold what the plugin needs: $misfits" "$official"
