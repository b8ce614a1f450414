#!/bin/sh
# Run the fast tests of the RLlib engine as other people have it: with the real ray[rllib], which
# pins gymnasium to 1.2.2, instead of our extra, which does not.
#
#     tools/rllib_pinned.sh [VENV]        # made unless it is there; some 1.5 GB
#
# Everything else is what constraints.txt says.
set -eu
cd "$(dirname "$0")/.."
venv=${1:-.venv-rllib-pinned}
if [ ! -e "$venv/.installed" ]; then
    python3 -m venv "$venv"
    constraints=$(mktemp)
    trap 'rm -f "$constraints"' EXIT
    grep -v '^gymnasium==' constraints.txt > "$constraints"
    "$venv/bin/pip" install --quiet --constraint "$constraints" \
        --editable '.[tune]' 'ray[rllib]' 'gymnasium[classic-control,toy-text]==1.2.2' 'pytest>=8.3'
    touch "$venv/.installed"
fi
"$venv/bin/python" -c 'import gymnasium, ray; print("ray", ray.__version__, "gymnasium", gymnasium.__version__)'
exec "$venv/bin/python" -m pytest -q tests/engines/rllib tests/comparison/test_spread.py
