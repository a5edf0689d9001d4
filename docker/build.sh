#!/bin/sh
# Builds the static binary and lays out the files of the image, with or without Docker:
#     docker/build.sh DIR
# leaves DIR/portaria, and DIR/image and DIR/data, which the Dockerfile copies to / and /data.
# VERSION, GOOS and GOARCH may be set.
set -eu
cd "$(dirname "$0")/.."

out=${1:?usage: docker/build.sh DIR}
version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || true)}

fail() {
    echo "docker/build.sh: $*" >&2
    exit 1
}

mkdir -p "$out"
CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.release=$version" -o "$out/portaria" ./cmd/portaria

# Static: the image has no C library and no loader.
go version -m "$out/portaria" | grep -q 'CGO_ENABLED=0' || fail "the binary was built with cgo"
if command -v ldd >/dev/null && ldd "$out/portaria" 2>/dev/null | grep -q '=>'; then
    fail "the binary is linked dynamically"
fi
if [ "$(go env GOOS)/$(go env GOARCH)" = "$(go env GOHOSTOS)/$(go env GOHOSTARCH)" ]; then
    said=$("$out/portaria" version)
    echo "$said"
    case $said in *"$version"*) ;; *) fail "the binary does not know its version, $version" ;; esac
fi

# The image: the binary, the certificates that webhooks and media need, time zones for quiet
# hours, a user, and empty folders for temporary files and for the data.
image=$out/image
rm -rf "$image" "$out/data"
mkdir -p "$image/etc/ssl/certs" "$image/tmp" "$out/data"
chmod 0700 "$out/data" # apart, for it belongs to the service's user
chmod 1777 "$image/tmp"
install -m 0755 "$out/portaria" "$image/portaria"
[ -e /etc/ssl/certs/ca-certificates.crt ] || fail "no certificates: install the package ca-certificates"
cp /etc/ssl/certs/ca-certificates.crt "$image/etc/ssl/certs/"
cp "$(go env GOROOT)/lib/time/zoneinfo.zip" "$image/etc/zoneinfo.zip"
echo 'portaria:x:65532:65532:portaria:/data:/portaria' >"$image/etc/passwd"
echo 'portaria:x:65532:' >"$image/etc/group"
