#!/usr/bin/env bash
# tidy.sh [check] brings go.mod and go.sum of every module of this repository up to date, or says which are not.
#
# go mod tidy knows no workspace, and the modules here require each other at a version that is published after them. So each is tidied on a
# copy of its go.mod that has the others replaced by their folders; the copy goes back without these replaces. No go.mod of a release may
# have one: go install refuses such a module.
set -euo pipefail
cd "$(dirname "$0")/../.."
top=$PWD base=github.com/taskscaler/taskscaler
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

failed=0
for m in . pkg/simulate cmd/taskscaler plugins/aws plugins/gcp examples/docker-autoscaler-executor examples/plugin internal/test; do
  cp "$m/go.mod" "$tmp/go.mod"
  cp "$m/go.sum" "$tmp/go.sum"
  replaces=()
  if [ "$m" != . ]; then
    replaces=("$base" "$base/pkg/simulate")
    go mod edit -replace "$base=$top" -replace "$base/pkg/simulate=$top/pkg/simulate" "$tmp/go.mod"
  fi
  (cd "$m" && GOWORK=off GOFLAGS=-mod=mod go mod tidy -modfile="$tmp/go.mod")
  for r in "${replaces[@]}"; do go mod edit -dropreplace "$r" "$tmp/go.mod"; done
  for f in go.mod go.sum; do
    cmp -s "$tmp/$f" "$m/$f" && continue
    if [ "${1:-}" = check ]; then
      diff -u "$m/$f" "$tmp/$f" || true
      failed=1
    else
      cp "$tmp/$f" "$m/$f"
      echo "$m/$f"
    fi
  done
done
if [ $failed = 1 ]; then
  echo "not tidy: run make tidy and commit what it writes" >&2
  exit 1
fi
