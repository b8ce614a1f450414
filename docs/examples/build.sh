#!/bin/sh
# Train the example comparison where that is not done yet, and write its pages beside this file:
# docs/examples/frozenlake/report.html and replay-0.html. Pages are built, not committed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dragoman=${DRAGOMAN:-dragoman}
runs=${RUNS:-$here/../../runs/frozenlake}
pages=$here/frozenlake

$dragoman compare "$here/../../recipes/comparisons/frozenlake.yaml" --seeds "${SEEDS:-10}" --out "$runs"
# Written into the same folder first, so that the report links the replay.
$dragoman replay "$runs"/*/0 --episodes 2 --out "$runs/replay-0.html"
$dragoman report "$runs"
mkdir -p "$pages"
cp "$runs/report.html" "$runs/replay-0.html" "$pages/"
