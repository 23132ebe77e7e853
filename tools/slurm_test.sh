#!/usr/bin/env bash
# Test under Slurm: [NTASKS=... as in slurm_train.sh] tools/slurm_test.sh PARTITION JOB CONFIG CHECKPOINT [options]
exec "$(dirname "$0")/slurm_launch.sh" test "$@"
