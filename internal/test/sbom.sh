#!/usr/bin/env bash
# sbom.sh TOOL BINARY... writes BINARY.cdx.json beside each binary: its software bill of materials, as CycloneDX. TOOL is the go package of
# cyclonedx-gomod, with its version. Then it checks that the bill names each module and version that `go version -m` finds in the binary.
set -euo pipefail
tool=$1
shift
go=${GO:-go}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for binary in "$@"; do
  bill=$binary.cdx.json
  "$go" run "$tool" bin -json -std -output "$bill" "$binary" 2>"$tmp/log" || { cat "$tmp/log" >&2; exit 1; }
  # A replaced module has two lines, and the second one is what was linked: "=>".
  "$go" version -m "$binary" | awk '
    $1 == "dep" { if (name != "") print name; name = "pkg:golang/" $2 "@" $3 "?" }
    $1 == "=>"  { if ($2 !~ /^[.\/]/) name = "pkg:golang/" $2 "@" $3 "?" }
    END { if (name != "") print name }' >"$tmp/linked"
  [ -s "$tmp/linked" ] || { echo "go version -m finds no module in $binary" >&2; exit 1; }
  missing=0
  while IFS= read -r purl; do
    grep -qF "\"$purl" "$bill" || { echo "$bill does not name ${purl%\?}" >&2; missing=1; }
  done <"$tmp/linked"
  [ $missing = 0 ] || exit 1
  echo "$bill names the $(wc -l <"$tmp/linked") modules of $(basename "$binary")"
done
