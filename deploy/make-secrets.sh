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
scrape=$(random)
grafana=$(random)
printf '%s\n' "$redis" > "$folder/redis_password"
printf '%s\n' "$postgres" > "$folder/postgres_password"
# people, and Prometheus that reads /metrics
printf 'maestrale:%s\nprometheus:%s\n' "$flower" "$scrape" > "$folder/flower_password"
printf '%s' "$scrape" > "$folder/scrape_password"
printf '%s' "$grafana" > "$folder/grafana_password"
# the containers' users read these through their mounts; here the folder (0700) keeps them
chmod 444 "$folder"/*_password
redis_url=redis://maestrale:$redis@redis:6379/0
database_url=postgresql://maestrale:$postgres@postgres:5432/maestrale
# beat talks to the broker only; Flower and the conductor also read and steer jobs: the API's key, and the key that
# seals the webhooks' secrets, are nothing of theirs
echo "REDIS_URL=$redis_url" > "$folder/broker.env"
printf '%s\n' "REDIS_URL=$redis_url" "DATABASE_URL=$database_url" > "$folder/dashboard.env"
cat > "$folder/maestrale.env" <<END
REDIS_URL=$redis_url
DATABASE_URL=$database_url
MAESTRALE_SECRET_KEY=$(random)
MISTRAL_API_KEY=${MISTRAL_API_KEY:-}
END
echo "Flower: http://127.0.0.1:5555, user maestrale, password in $folder/flower_password"
echo "Grafana (--profile monitoring): http://127.0.0.1:3000, user admin, $folder/grafana_password"
echo "Keep $folder/maestrale.env safe: without MAESTRALE_SECRET_KEY no backup opens the webhooks' secrets"
[ -n "${MISTRAL_API_KEY:-}" ] || echo "MISTRAL_API_KEY was not set: write it into $folder/maestrale.env"
