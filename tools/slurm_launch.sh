#!/usr/bin/env bash
# Common part of slurm_train.sh and slurm_test.sh: one task per rank; torch's variables are set from Slurm's.
[ $# -ge 4 ] || { echo "usage: slurm_$1.sh PARTITION JOB CONFIG [...]" >&2; exit 2; }
command=$1 partition=$2 job=$3
shift 3
tasks=${NTASKS:-1}
per_node=${NTASKS_PER_NODE:-$tasks}
export RESTOREBOX_TOOL="$(dirname "$0")/$command.py" PORT=${PORT:-29500}
python -c 'import mmengine' || exit 1 # writes yapf's cache once (home folders are shared), see restorebox/engine/launch.py
# shellcheck disable=SC2086,SC2016 (SRUN_ARGS is a list; the variables are the task's)
exec srun -p "$partition" --job-name="$job" --ntasks="$tasks" --ntasks-per-node="$per_node" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${GPUS_PER_NODE:+--gres=gpu:$GPUS_PER_NODE} ${SRUN_ARGS:-} \
    bash -c 'export RANK=$SLURM_PROCID WORLD_SIZE=$SLURM_NTASKS LOCAL_RANK=$SLURM_LOCALID MASTER_PORT=$PORT
             export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
             exec python "$RESTOREBOX_TOOL" "$@" --launcher pytorch' _ "$@"
