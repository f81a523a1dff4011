#!/bin/sh
# Makes deploy/secrets once: random passwords, and the environment of the Maestrale containers.
#   MISTRAL_API_KEY=... sh deploy/make-secrets.sh
set -eu
folder=$(dirname "$0")/secrets
[ ! -e "$folder/maestrale.env" ] || { echo "$folder exists already: nothing was changed" >&2; exit 1; }
umask 077
mkdir -p "$folder"
chmod 700 "$folder" # a checkout made it, with its own ideas
random() { od -A n -N 24 -t x1 /dev/urandom | tr -d ' \n'; }
redis=$(random)
postgres=$(random)
flower=$(random)
printf '%s\n' "$redis" > "$folder/redis_password"
printf '%s\n' "$postgres" > "$folder/postgres_password"
printf 'maestrale:%s\n' "$flower" > "$folder/flower_password"
# the containers' users read these three through their mounts; here the folder (0700) keeps them
chmod 444 "$folder"/*_password
# beat and Flower talk to the broker only: neither the key nor the database is theirs
echo "REDIS_URL=redis://maestrale:$redis@redis:6379/0" > "$folder/broker.env"
cat > "$folder/maestrale.env" <<END
REDIS_URL=redis://maestrale:$redis@redis:6379/0
DATABASE_URL=postgresql://maestrale:$postgres@postgres:5432/maestrale
MISTRAL_API_KEY=${MISTRAL_API_KEY:-}
END
echo "Flower: http://127.0.0.1:5555, user maestrale, password in $folder/flower_password"
[ -n "${MISTRAL_API_KEY:-}" ] || echo "MISTRAL_API_KEY was not set: write it into $folder/maestrale.env"
