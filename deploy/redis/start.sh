#!/bin/sh
# Starts the server with users.acl, its password's hash filled in from a secret file: neither the
# password nor its hash is in an image, an environment or a command line.
set -eu
here=$(dirname "$0")
run=${RUN_FOLDER:-/run/redis}
hash=$(printf %s "$(cat "${PASSWORD_FILE:-/run/secrets/redis_password}")" | sha256sum | cut -d ' ' -f 1)
umask 077
sed "s/@PASSWORD@/#$hash/" "$here/users.acl" > "$run/users.acl"
exec "${SERVER:-valkey-server}" "$here/redis.conf" --aclfile "$run/users.acl" "$@"
