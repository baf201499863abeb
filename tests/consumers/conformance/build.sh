#!/bin/sh
# Build Connect's conformance suite, by the hashes of go.sum, with the protos of its service, into built/.
set -eu
mkdir -p built
go build -o built/connectconformance connectrpc.com/conformance/cmd/connectconformance
rm -rf built/proto
cp -r "$(go list -m -f '{{.Dir}}' connectrpc.com/conformance)/proto" built/proto
chmod -R u+w built/proto
