#!/usr/bin/env bash
#SBATCH --job-name=restore
#SBATCH --array=0-7
#SBATCH --cpus-per-task=4
# A Slurm array restores one list of files: sbatch --array=0-99 tools/slurm_restore.sh OUT SOURCE ... [options of restore]
# Each task takes every N-th file, N being the number of tasks. The same command again continues; the number of tasks
# may change. Tasks write into one OUT, and each a report of its own, OUT-report/TASK.jsonl.
[ $# -ge 2 ] || { echo "usage: sbatch --array=0-N $0 OUT SOURCE ... [options]" >&2; exit 2; }
: "${SLURM_ARRAY_TASK_ID:?is not set; start it with sbatch --array=0-N}"
out=$1
shift
first=${SLURM_ARRAY_TASK_MIN:-0}
step=${SLURM_ARRAY_TASK_STEP:-1} # of --array=0-30:10
# without MASTER_ADDR the tasks do not wait for each other
unset MASTER_ADDR
export RANK=$(( (SLURM_ARRAY_TASK_ID - first) / step )) WORLD_SIZE=${SLURM_ARRAY_TASK_COUNT:-1}
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
[ "$RANK" -lt "$WORLD_SIZE" ] || { echo "error: give the array as FIRST-LAST, without gaps" >&2; exit 2; }
exec "${PYTHON:-python}" -m restorebox restore "$@" --out "$out" --report "$out-report/$SLURM_ARRAY_TASK_ID.jsonl"
