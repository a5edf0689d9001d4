#!/bin/sh
# Draws the secrets of docker/compose.yaml into docker/secrets, once. Keep secret_key safe: what
# Portaria has encrypted can be read with it alone, and it refuses to start with another one.
set -eu
cd "$(dirname "$0")"

if [ -e secrets ]; then
    echo "docker/secrets is there already; nothing was changed" >&2
    exit 0
fi
# The folder is closed to others; the files are readable, for the containers' users are not ours.
mkdir -m 0700 secrets
password=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
printf %s "$password" >secrets/database_password
printf %s "postgres://portaria:$password@database:5432/portaria?sslmode=disable" >secrets/database_url
head -c 32 /dev/urandom | base64 | tr -d '\n' >secrets/secret_key
chmod 0644 secrets/*
echo "docker/secrets: database_password database_url secret_key"
