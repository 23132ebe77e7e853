#!/usr/bin/env bash
# Train under Slurm: [NTASKS=8 NTASKS_PER_NODE=8 CPUS_PER_TASK=5 SRUN_ARGS=...] tools/slurm_train.sh PARTITION JOB CONFIG [options]
exec "$(dirname "$0")/slurm_launch.sh" train "$@"
