#!/usr/bin/env bash
# Test on several ranks: tools/dist_test.sh CONFIG CHECKPOINT RANKS [options of test.py]
# NNODES, NODE_RANK, MASTER_ADDR and PORT as in dist_train.sh.
[ $# -ge 3 ] || { echo "usage: $0 CONFIG CHECKPOINT RANKS [options]" >&2; exit 2; }
config=$1 checkpoint=$2 ranks=$3
shift 3
exec "$(dirname "$0")/launch.sh" test "$config" "$ranks" "$checkpoint" "$@"
