#!/usr/bin/env bash
# Common part of dist_train.sh and dist_test.sh: launch.sh COMMAND CONFIG RANKS [options]
[ $# -ge 3 ] || { echo "usage: dist_$1.sh CONFIG RANKS [options]" >&2; exit 2; }
command=$1 config=$2 ranks=$3
shift 3
case $ranks in '' | *[!0-9]* | 0) echo "error: RANKS is '$ranks'; it must be a positive number" >&2; exit 2 ;; esac
# divide the cores among the ranks; threads of two ranks on one core would slow both down
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(( ($(nproc) + ranks - 1) / ranks ))}
exec "${PYTHON:-python}" -m restorebox.engine.launch \
    --nnodes "${NNODES:-1}" --node_rank "${NODE_RANK:-0}" --nproc_per_node "$ranks" \
    --master_addr "${MASTER_ADDR:-127.0.0.1}" --master_port "${PORT:-29500}" \
    "$(dirname "$0")/$command.py" "$config" "$@" --launcher pytorch
